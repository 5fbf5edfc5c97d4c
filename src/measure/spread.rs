//! Points moved to mean zero, where differences of products lose least.

use rayon::prelude::*;

use super::points::{BLOCK, Points};
use crate::kernel::matrix::{Matrix, Product};

/// A copy of points, seen from their mean.
pub(super) struct Moved {
    values: Vec<f32>,
    pub(super) dim: usize,
    pub(super) origin: Vec<f64>,
    /// The squared length of each.
    squares: Vec<f64>,
}

impl Moved {
    pub(super) fn new(points: Points) -> Self {
        let origin = points.mean();
        let values: Vec<f32> =
            points.blocks(BLOCK).flat_map_iter(|block| block.less(&origin)).collect();
        let square = |row: &[f32]| row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        let squares = values.par_chunks(points.dim).map(square).collect();
        Self { values, dim: points.dim, origin, squares }
    }

    pub(super) fn points(&self) -> Points<'_> {
        Points::new(&self.values, self.dim)
    }

    pub(super) fn len(&self) -> usize {
        self.squares.len()
    }

    /// Other points, seen from the same place.
    pub(super) fn move_along(&self, points: Points) -> Vec<f32> {
        points.less(&self.origin)
    }

    /// The mean variance of a dimension.
    pub(super) fn variance(&self) -> f64 {
        self.squares.iter().sum::<f64>() / (self.len().max(1) * self.dim) as f64
    }
}

impl Points<'_> {
    /// The same, seen from `origin`.
    pub(super) fn less(&self, origin: &[f64]) -> Vec<f32> {
        let rows = self.values.chunks_exact(self.dim);
        let less = |row: &[f32], out: &mut Vec<f32>| {
            out.extend(row.iter().zip(origin).map(|(x, origin)| (f64::from(*x) - origin) as f32));
        };
        let mut moved = Vec::with_capacity(self.values.len());
        rows.for_each(|row| less(row, &mut moved));
        moved
    }
}

/// The squared distance of each point, in turn, from each of some of them.
pub(super) fn distances(moved: &Moved, from: &[usize]) -> Vec<f64> {
    let (points, dim, count) = (moved.points(), moved.dim, from.len());
    let centres: Vec<f32> = from.iter().flat_map(|at| points.row(*at)).copied().collect();
    let blocks = points.blocks(BLOCK).zip(moved.squares.par_chunks(BLOCK));
    let found = blocks.map(|(block, squares)| {
        let mut products = vec![0.0; block.len() * count];
        Product::into(&mut products, count)
            .of(Matrix::new(block.values, block.len(), dim), Matrix::new(&centres, count, dim).t());
        let pairs = products.iter().enumerate().map(|(at, product)| {
            let squares = squares[at / count] + moved.squares[from[at % count]];
            (squares - 2.0 * f64::from(*product)).max(0.0)
        });
        pairs.collect::<Vec<f64>>()
    });
    found.collect::<Vec<_>>().concat()
}
