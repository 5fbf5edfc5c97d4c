//! Silhouettes: how much nearer points are to their own cluster than to the next (Rousseeuw, 1987).

use rayon::prelude::*;

use super::points::{BLOCK, Points};
use crate::kernel::matrix::{Matrix, Product};

/// Rows whose distances to a block are looked at together.
const OTHERS: usize = 1024;

/// The silhouette of each point, for each of several labellings: from one pass over the distances.
/// A point alone in its cluster has 0, and so has every point when there is but one cluster.
pub fn silhouettes(points: Points, labellings: &[Vec<u32>]) -> Vec<Vec<f64>> {
    let members = Members::new(labellings);
    let origin = points.mean();
    let starts: Vec<usize> = (0..points.len()).step_by(BLOCK).collect();
    let blocks: Vec<Vec<Vec<f64>>> = starts
        .into_par_iter()
        .map(|start| {
            let end = (start + BLOCK).min(points.len());
            let sums = members.distances(points, &origin, start..end);
            let labellings = labellings.iter().enumerate();
            labellings.map(|(at, labels)| members.values(&sums, at, &labels[start..end])).collect()
        })
        .collect();
    let of = |at: usize| blocks.iter().flat_map(|block| block[at].iter().copied()).collect();
    (0..labellings.len()).map(of).collect()
}

/// The mean over clusters of the mean over their points; 0 without points.
pub fn mean_of_clusters(silhouettes: &[f64], labels: &[u32]) -> f64 {
    let means: Vec<f64> =
        means(silhouettes, labels).into_iter().filter(|it| !it.is_nan()).collect();
    if means.is_empty() { 0.0 } else { means.iter().sum::<f64>() / means.len() as f64 }
}

/// The mean over the points of each cluster; not a number for one without points.
pub(super) fn means(silhouettes: &[f64], labels: &[u32]) -> Vec<f64> {
    let count = labels.iter().max().map_or(0, |most| *most as usize + 1);
    let (mut sums, mut sizes) = (vec![0.0; count], vec![0.0; count]);
    for (value, label) in silhouettes.iter().zip(labels) {
        sums[*label as usize] += value;
        sizes[*label as usize] += 1.0;
    }
    sums.iter().zip(&sizes).map(|(sum, size)| sum / size).collect()
}

/// Which points are in which cluster of which labelling.
struct Members {
    /// A column for each cluster, those of a labelling side by side.
    ones: Vec<f64>,
    width: usize,
    starts: Vec<usize>,
    sizes: Vec<f64>,
}

impl Members {
    fn new(labellings: &[Vec<u32>]) -> Self {
        let counts =
            labellings.iter().map(|it| it.iter().max().map_or(0, |most| *most as usize + 1));
        let mut starts = vec![0];
        for count in counts {
            starts.push(starts[starts.len() - 1] + count);
        }
        let width = starts[labellings.len()];
        let rows = labellings.first().map_or(0, Vec::len);
        let (mut ones, mut sizes) = (vec![0.0; rows * width], vec![0.0; width]);
        for (labels, start) in labellings.iter().zip(&starts) {
            for (row, label) in labels.iter().enumerate() {
                ones[row * width + start + *label as usize] = 1.0;
                sizes[start + *label as usize] += 1.0;
            }
        }
        Self { ones, width, starts, sizes }
    }

    /// The sum of the distances of each point of `rows` to the members of each cluster.
    fn distances(&self, points: Points, origin: &[f64], rows: std::ops::Range<usize>) -> Vec<f64> {
        let block = Wide::new(points.part(rows.clone()), origin);
        let mut sums = vec![0.0; rows.len() * self.width];
        for first in (0..points.len()).step_by(OTHERS) {
            let last = (first + OTHERS).min(points.len());
            let mut distances = block.distances(&Wide::new(points.part(first..last), origin));
            for same in rows.start.max(first)..rows.end.min(last) {
                distances[(same - rows.start) * (last - first) + same - first] = 0.0;
            }
            let ones = &self.ones[first * self.width..last * self.width];
            Product::onto(&mut sums, self.width).of(
                Matrix::new(&distances, rows.len(), last - first),
                Matrix::new(ones, last - first, self.width),
            );
        }
        sums
    }

    /// The silhouettes by the labelling number `at` of points with these `labels`.
    fn values(&self, sums: &[f64], at: usize, labels: &[u32]) -> Vec<f64> {
        let (start, end) = (self.starts[at], self.starts[at + 1]);
        let sizes = &self.sizes[start..end];
        let rows = sums.chunks_exact(self.width).map(|row| &row[start..end]);
        rows.zip(labels).map(|(row, own)| value(row, sizes, *own as usize)).collect()
    }
}

fn value(sums: &[f64], sizes: &[f64], own: usize) -> f64 {
    let others = (0..sums.len()).filter(|it| *it != own && sizes[*it] > 0.0);
    let next = others.map(|it| sums[it] / sizes[it]).fold(f64::INFINITY, f64::min);
    if sizes[own] < 2.0 || next == f64::INFINITY {
        return 0.0;
    }
    let within = sums[own] / (sizes[own] - 1.0);
    let longer = within.max(next);
    if longer > 0.0 { (next - within) / longer } else { 0.0 }
}

/// A block of points in `f64`, with their squared lengths.
struct Wide {
    values: Vec<f64>,
    squares: Vec<f64>,
    dim: usize,
}

impl Wide {
    fn new(points: Points, origin: &[f64]) -> Self {
        let dim = points.dim;
        let mut values = Vec::with_capacity(points.values.len());
        for row in points.values.chunks_exact(dim) {
            values.extend(row.iter().zip(origin).map(|(x, origin)| f64::from(*x) - origin));
        }
        let square = |row: &[f64]| row.iter().map(|x| x * x).sum();
        let squares = values.chunks_exact(dim).map(square).collect();
        Self { values, squares, dim }
    }

    fn distances(&self, others: &Self) -> Vec<f64> {
        let (rows, columns) = (self.squares.len(), others.squares.len());
        let mut products = vec![0.0; rows * columns];
        Product::into(&mut products, columns).of(
            Matrix::new(&self.values, rows, self.dim),
            Matrix::new(&others.values, columns, self.dim).t(),
        );
        for (row, square) in products.chunks_exact_mut(columns).zip(&self.squares) {
            for (x, other) in row.iter_mut().zip(&others.squares) {
                *x = (square + other - 2.0 * *x).max(0.0).sqrt();
            }
        }
        products
    }
}
