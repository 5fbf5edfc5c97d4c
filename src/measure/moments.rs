//! Means and scatter of rows of numbers, a block of rows at a time.

use rayon::prelude::*;

use crate::kernel::matrix::{Matrix, Product};

/// Rows that are widened at once.
const BLOCK: usize = 1024;
/// Rows of a scatter that one task computes.
const STRIP: usize = 64;

/// Rows of `dim` numbers side by side.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    pub values: &'a [f32],
    pub dim: usize,
}

impl<'a> Table<'a> {
    /// The number of rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.dim.max(1)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows in order.
    pub fn rows(&self) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        self.values.chunks_exact(self.dim.max(1))
    }

    /// The mean row; zeros without rows.
    pub fn mean(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.dim];
        for row in self.rows() {
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
        }
        let count = self.len().max(1) as f64;
        sums.into_iter().map(|sum| sum / count).collect()
    }

    /// The sum of all squares.
    pub fn squares(&self) -> f64 {
        self.values.iter().map(|x| f64::from(*x).powi(2)).sum()
    }

    /// The rows less `around`, in blocks.
    fn blocks<'b>(&self, around: &'b [f64]) -> impl Iterator<Item = Vec<f64>> + use<'a, 'b> {
        let dim = self.dim.max(1);
        self.values.chunks(BLOCK * dim).map(move |block| {
            let rows = block.chunks_exact(dim);
            let less = |row: &'a [f32]| row.iter().zip(around).map(|(x, m)| f64::from(*x) - m);
            rows.flat_map(less).collect()
        })
    }

    /// `X'X` of the rows less `around`: `dim` × `dim` numbers.
    pub fn scatter(&self, around: &[f64]) -> Vec<f64> {
        self.cross(around, self, around)
    }

    /// `X'Y` of the rows of two tables, each less its own `around`.
    pub fn cross(&self, around: &[f64], other: &Table, others: &[f64]) -> Vec<f64> {
        assert_eq!(self.len(), other.len(), "the rows belong together");
        let (dim, width) = (self.dim, other.dim);
        let mut sum = vec![0.0; dim * width];
        for (x, y) in self.blocks(around).zip(other.blocks(others)) {
            let rows = x.len() / dim;
            let (x, y) = (Matrix::new(&x, rows, dim), Matrix::new(&y, rows, width));
            sum.par_chunks_mut(STRIP * width).enumerate().for_each(|(strip, sum)| {
                let columns = strip * STRIP..strip * STRIP + sum.len() / width;
                Product::onto(sum, width).of(x.columns(columns).t(), y);
            });
        }
        sum
    }

    /// `XX'` of the rows less `around`, for tables of few rows.
    pub fn gram(&self, around: &[f64]) -> Vec<f64> {
        let (rows, wide) = (self.len(), self.blocks(around).collect::<Vec<_>>().concat());
        let x = Matrix::new(&wide, rows, self.dim);
        let mut gram = vec![0.0; rows * rows];
        gram.par_chunks_mut(STRIP * rows).enumerate().for_each(|(strip, gram)| {
            let own = strip * STRIP..strip * STRIP + gram.len() / rows;
            Product::into(gram, rows).of(x.rows(own), x.t());
        });
        gram
    }
}
