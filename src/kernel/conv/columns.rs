//! Convolution of any geometry: windows laid out as rows of a matrix (im2col), tile by tile.

use std::ops::Range;

use rayon::prelude::*;

use super::geometry::Geometry;
use crate::kernel::matrix::{Matrix, Product};
use crate::kernel::pieces::{fold, ranges, room, scratch, shares};
use crate::kernel::real::Real;
use crate::kernel::wide::wide;

/// Windows of a part of a weight gradient, at least: each part has a gradient of its own.
pub(super) const LEAST: usize = 512;

pub(super) fn forward<T: Real>(x: &[T], weight: &[T], geometry: &Geometry) -> Vec<T> {
    let (filters, len) = (geometry.filters, geometry.window_len());
    let (weight, rows) = (Matrix::new(weight, len, filters), tile_rows(geometry));
    let mut y = room(geometry.windows() * filters);
    y.par_chunks_mut(rows * filters).enumerate().for_each(|(tile, y)| {
        let windows = tile * rows..tile * rows + y.len() / filters;
        with_windows(x, geometry, windows, |windows| {
            Product::into(y, filters).of(windows, weight);
        });
    });
    y
}

pub(super) fn weight_gradient<T: Real>(x: &[T], dy: &[T], geometry: &Geometry) -> Vec<T> {
    let (filters, len) = (geometry.filters, geometry.window_len());
    let parts = shares(geometry.windows(), 16, LEAST).into_par_iter().map(|share| {
        let mut dw = vec![T::ZERO; len * filters];
        for tile in ranges(share.len(), tile_rows(geometry)) {
            let windows = share.start + tile.start..share.start + tile.end;
            let dy = Matrix::new(&dy[windows.start * filters..], windows.len(), filters);
            with_windows(x, geometry, windows, |windows| {
                Product::onto(&mut dw, filters).of(windows.t(), dy);
            });
        }
        dw
    });
    fold(parts.collect(), len * filters)
}

pub(super) fn input_gradient<T: Real>(weight: &[T], dy: &[T], geometry: &Geometry) -> Vec<T> {
    let (filters, len) = (geometry.filters, geometry.window_len());
    let pixels = geometry.out_height * geometry.out_width;
    let weight = Matrix::new(weight, len, filters);
    let images = 256usize.div_ceil(pixels);
    let mut dx = room(geometry.batch * geometry.image_len());
    dx.par_chunks_mut(images * geometry.image_len())
        .zip(dy.par_chunks(images * pixels * filters))
        .for_each(|(dx, dy)| {
            let rows = dy.len() / filters;
            scratch(rows * len, |windows| {
                Product::into(windows, len).of(Matrix::new(dy, rows, filters), weight.t());
                fold_windows(windows, geometry, dx);
            });
        });
    dx
}

/// Windows in a tile: about 768 KiB of them in `f32`, so that they stay in the second cache.
fn tile_rows(geometry: &Geometry) -> usize {
    (192 * 1024 / geometry.window_len()).clamp(96, 1024) / 16 * 16
}

/// Lends the matrix whose rows are the given windows, each in the order (row, column, channel).
fn with_windows<T: Real, R>(
    x: &[T],
    geometry: &Geometry,
    windows: Range<usize>,
    work: impl FnOnce(Matrix<T>) -> R,
) -> R {
    let len = geometry.window_len();
    scratch(windows.len() * len, |rows| {
        gather_windows(x, geometry, windows.clone(), &mut *rows);
        work(Matrix::new(rows, windows.len(), len))
    })
}

/// Adds the windows of whole images to the pixels they came from.
fn fold_windows<T: Real>(windows: &[T], geometry: &Geometry, images: &mut [T]) {
    images.fill(T::ZERO);
    scatter_windows(windows, geometry, images);
}

wide! {
    fn gather_windows<T: Real>(
        x: &[T],
        geometry: &Geometry,
        windows: Range<usize>,
        rows: &mut [T],
    ) {
        for (row, window) in rows.chunks_exact_mut(geometry.window_len()).zip(windows) {
            gather(x, &Window::new(geometry, window), row);
        }
    }
}

wide! {
    fn scatter_windows<T: Real>(windows: &[T], geometry: &Geometry, images: &mut [T]) {
        for (index, window) in windows.chunks_exact(geometry.window_len()).enumerate() {
            scatter_add(window, &Window::new(geometry, index), images);
        }
    }
}

/// One window: where its first element lies, possibly outside the image.
struct Window<'a> {
    geometry: &'a Geometry,
    image: usize,
    top: isize,
    left: isize,
    /// The columns of the window that lie within the image.
    inside: Range<usize>,
}

impl<'a> Window<'a> {
    #[inline(always)]
    fn new(geometry: &'a Geometry, index: usize) -> Self {
        let Geometry { out_height, out_width, stride, padding, .. } = *geometry;
        let (image, rest) = (index / (out_height * out_width), index % (out_height * out_width));
        let start = |position: usize| (position * stride) as isize - padding as isize;
        let (top, left) = (start(rest / out_width), start(rest % out_width));
        let first = (-left).max(0).min(geometry.kernel_width as isize);
        let end = (geometry.width as isize - left).clamp(first, geometry.kernel_width as isize);
        Self { geometry, image, top, left, inside: first as usize..end as usize }
    }

    /// Where row `row` of the window begins in the images, or none when it is outside.
    #[inline(always)]
    fn row_start(&self, row: usize) -> Option<usize> {
        let Geometry { height, width, channels, .. } = *self.geometry;
        let y = self.top + row as isize;
        let within = (0..height as isize).contains(&y) && !self.inside.is_empty();
        let column = self.left + self.inside.start as isize;
        within.then(|| ((self.image * height + y as usize) * width + column as usize) * channels)
    }
}

#[inline(always)]
fn gather<T: Real>(x: &[T], window: &Window, row: &mut [T]) {
    let Geometry { channels, kernel_width, .. } = *window.geometry;
    let inside = window.inside.start * channels..window.inside.end * channels;
    for (index, part) in row.chunks_exact_mut(kernel_width * channels).enumerate() {
        let Some(start) = window.row_start(index) else {
            part.fill(T::ZERO);
            continue;
        };
        part[..inside.start].fill(T::ZERO);
        part[inside.end..].fill(T::ZERO);
        part[inside.clone()].copy_from_slice(&x[start..start + inside.len()]);
    }
}

#[inline(always)]
fn scatter_add<T: Real>(row: &[T], window: &Window, images: &mut [T]) {
    let Geometry { channels, kernel_width, .. } = *window.geometry;
    let inside = window.inside.start * channels..window.inside.end * channels;
    for (index, part) in row.chunks_exact(kernel_width * channels).enumerate() {
        let Some(start) = window.row_start(index) else { continue };
        let pixels = &mut images[start..start + inside.len()];
        for (pixel, value) in pixels.iter_mut().zip(&part[inside.clone()]) {
            *pixel += *value;
        }
    }
}
