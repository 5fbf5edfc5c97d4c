//! Points in a space: rows of numbers in one slice.

use rayon::prelude::*;

/// Rows that one task sees at once: with a few hundred dimensions they fit into a core's cache.
pub(super) const BLOCK: usize = 256;

/// Points of `dim` finite numbers each, one after another.
#[derive(Debug, Clone, Copy)]
pub struct Points<'a> {
    pub(super) values: &'a [f32],
    pub(super) dim: usize,
}

impl<'a> Points<'a> {
    /// The rows of `values`.
    pub fn new(values: &'a [f32], dim: usize) -> Self {
        assert!(dim > 0 && values.len().is_multiple_of(dim), "points are whole rows");
        Self { values, dim }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// One of them.
    pub fn row(&self, at: usize) -> &'a [f32] {
        &self.values[at * self.dim..][..self.dim]
    }

    /// Some of them.
    pub(super) fn part(&self, rows: std::ops::Range<usize>) -> Self {
        let values = &self.values[rows.start * self.dim..rows.end * self.dim];
        Self { values, dim: self.dim }
    }

    /// All of them, `rows` at a time.
    pub(super) fn blocks(
        &self,
        rows: usize,
    ) -> impl IndexedParallelIterator<Item = Self> + use<'a> {
        let dim = self.dim;
        self.values.par_chunks(rows * dim).map(move |values| Self { values, dim })
    }

    /// The mean of each dimension.
    pub(super) fn mean(&self) -> Vec<f64> {
        let sums: Vec<Vec<f64>> = self.blocks(BLOCK).map(|block| block.sum()).collect();
        let total = added(sums, self.dim);
        total.iter().map(|sum| sum / (self.len().max(1)) as f64).collect()
    }

    fn sum(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.dim];
        for row in self.values.chunks_exact(self.dim) {
            for (sum, x) in sums.iter_mut().zip(row) {
                *sum += f64::from(*x);
            }
        }
        sums
    }
}

/// The sum of rows of `dim` numbers, in their order.
pub(super) fn added(rows: impl IntoIterator<Item = Vec<f64>>, dim: usize) -> Vec<f64> {
    rows.into_iter().fold(vec![0.0; dim], |mut sum, row| {
        for (sum, x) in sum.iter_mut().zip(row) {
            *sum += x;
        }
        sum
    })
}
