//! Convolution with a kernel of one pixel: products of tall matrices.

use rayon::prelude::*;

use super::geometry::Geometry;
use crate::kernel::matrix::{Matrix, Product};
use crate::kernel::pieces::{fold, room, shares};
use crate::kernel::real::Real;

/// Rows of one task.
const ROWS: usize = 512;

pub(super) fn forward<T: Real>(x: &[T], weight: &[T], geometry: &Geometry) -> Vec<T> {
    let Geometry { channels, filters, .. } = *geometry;
    let weight = Matrix::new(weight, channels, filters);
    let mut y = room(geometry.windows() * filters);
    y.par_chunks_mut(ROWS * filters).zip(x.par_chunks(ROWS * channels)).for_each(|(y, x)| {
        let rows = Matrix::new(x, x.len() / channels, channels);
        Product::into(y, filters).of(rows, weight);
    });
    y
}

pub(super) fn input_gradient<T: Real>(weight: &[T], dy: &[T], geometry: &Geometry) -> Vec<T> {
    let Geometry { channels, filters, .. } = *geometry;
    let weight = Matrix::new(weight, channels, filters);
    let mut dx = room(geometry.windows() * channels);
    dx.par_chunks_mut(ROWS * channels).zip(dy.par_chunks(ROWS * filters)).for_each(|(dx, dy)| {
        let rows = Matrix::new(dy, dy.len() / filters, filters);
        Product::into(dx, channels).of(rows, weight.t());
    });
    dx
}

pub(super) fn weight_gradient<T: Real>(x: &[T], dy: &[T], geometry: &Geometry) -> Vec<T> {
    let Geometry { channels, filters, .. } = *geometry;
    let parts = shares(geometry.windows(), 16, ROWS).into_par_iter().map(|rows| {
        let x = Matrix::new(&x[rows.start * channels..], rows.len(), channels);
        let dy = Matrix::new(&dy[rows.start * filters..], rows.len(), filters);
        let mut dw = room(channels * filters);
        Product::into(&mut dw, filters).of(x.t(), dy);
        dw
    });
    fold(parts.collect(), channels * filters)
}
