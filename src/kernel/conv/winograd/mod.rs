//! Convolution with a 3×3 kernel at stride 1 by Winograd's minimal filtering F(2×2, 3×3): 16
//! multiplications instead of 36 for each 2×2 outputs (Lavin and Gray 2016, arXiv:1509.09308).
//!
//! `y = Aᵀ[(G w Gᵀ) ⊙ (Bᵀ x B)]A`; both gradients are the exact adjoints of that formula.

mod tiling;
mod transform;

use rayon::prelude::*;

use super::geometry::Geometry;
use crate::kernel::lanes::LANES;
use crate::kernel::matrix::{Matrix, Product};
use crate::kernel::pieces::{fold, ranges, room, scratch, split};
use crate::kernel::real::Real;
use tiling::Tiling;

/// Numbers of a transformed tile.
const POINTS: usize = 16;

pub(super) fn fits(geometry: &Geometry) -> bool {
    let Geometry { kernel_height, kernel_width, stride, padding, channels, filters, .. } =
        *geometry;
    let kernel = (kernel_height, kernel_width, stride, padding) == (3, 3, 1, 1);
    kernel
        && channels.is_multiple_of(LANES)
        && filters.is_multiple_of(LANES)
        && geometry.height >= 4
}

pub(super) fn forward<T: Real>(x: &[T], weight: &[T], geometry: &Geometry) -> Vec<T> {
    let (channels, filters) = (geometry.channels, geometry.filters);
    let kernel = transform::kernel(weight, channels * filters);
    filter(x, &kernel, &Tiling::new(geometry), (channels, filters))
}

/// The gradient of the input is the convolution of `dy` with the kernel turned by 180° and with
/// channels and filters exchanged.
pub(super) fn input_gradient<T: Real>(weight: &[T], dy: &[T], geometry: &Geometry) -> Vec<T> {
    let (channels, filters) = (geometry.channels, geometry.filters);
    let kernel = transform::kernel(&turned(weight, channels, filters), channels * filters);
    filter(dy, &kernel, &Tiling::new(geometry), (filters, channels))
}

pub(super) fn weight_gradient<T: Real>(x: &[T], dy: &[T], geometry: &Geometry) -> Vec<T> {
    let (tiling, size) = (Tiling::new(geometry), (geometry.channels, geometry.filters));
    let plane = size.0 * size.1;
    // Each share keeps a whole transformed gradient, so large kernels get few shares.
    let count = (512 * 1024 / plane).clamp(2, 16);
    let shares = tiling.shares(count).into_par_iter().map(|rows| {
        let mut sum = vec![T::ZERO; POINTS * plane];
        for piece in ranges(rows.len(), tiling.rows_per_piece(size)) {
            let rows = rows.start + piece.start..rows.start + piece.end;
            add_weight_gradient(&mut sum, (x, dy), &tiling.piece(rows), size);
        }
        sum
    });
    transform::kernel_gradient(&fold(shares.collect(), POINTS * plane), plane)
}

/// Convolves images of `size.0` channels with a transformed kernel for `size.1` filters.
fn filter<T: Real>(x: &[T], kernel: &[T], tiling: &Tiling, size: (usize, usize)) -> Vec<T> {
    let (channels, filters) = size;
    let mut y = room(tiling.pixels() * filters);
    let pieces = tiling.pieces(size);
    let lengths = pieces.iter().map(|piece| piece.pixels().len() * filters);
    let outputs = split(&mut y, lengths);
    pieces.par_iter().zip(outputs).for_each(|(piece, y)| {
        let tiles = piece.tiles();
        scratch(POINTS * tiles * (channels + filters), |buffer| {
            let (inputs, products) = buffer.split_at_mut(POINTS * tiles * channels);
            transform::input(x, channels, piece, inputs);
            for point in 0..POINTS {
                let inputs = Matrix::new(&inputs[point * tiles * channels..], tiles, channels);
                let kernel = Matrix::new(&kernel[point * channels * filters..], channels, filters);
                let products = &mut products[point * tiles * filters..];
                Product::into(products, filters).of(inputs, kernel);
            }
            transform::output(products, filters, piece, y);
        });
    });
    y
}

/// Adds a piece's part of the transformed kernel's gradient.
fn add_weight_gradient<T: Real>(
    sum: &mut [T],
    (x, dy): (&[T], &[T]),
    piece: &tiling::Piece,
    (channels, filters): (usize, usize),
) {
    let tiles = piece.tiles();
    scratch(POINTS * tiles * (channels + filters), |buffer| {
        let (inputs, gradients) = buffer.split_at_mut(POINTS * tiles * channels);
        transform::input(x, channels, piece, inputs);
        transform::output_gradient(dy, filters, piece, gradients);
        let product = |(point, sum): (usize, &mut [T])| {
            let inputs = Matrix::new(&inputs[point * tiles * channels..], tiles, channels);
            let gradients = Matrix::new(&gradients[point * tiles * filters..], tiles, filters);
            Product::onto(sum, filters).of(inputs.t(), gradients);
        };
        // Large kernels have few shares, so their points are shared out too.
        if channels * filters >= 128 * 128 {
            sum.par_chunks_mut(channels * filters).enumerate().for_each(product);
        } else {
            sum.chunks_mut(channels * filters).enumerate().for_each(product);
        }
    });
}

/// The kernel turned by 180°, [3,3,F,C] from [3,3,C,F].
fn turned<T: Real>(weight: &[T], channels: usize, filters: usize) -> Vec<T> {
    let mut turned = room(weight.len());
    let plane = channels * filters;
    turned.par_chunks_mut(plane).zip(weight.par_chunks(plane).rev()).for_each(|(to, from)| {
        for (block, to) in to.chunks_exact_mut(LANES * channels).enumerate() {
            for (channel, from) in from.chunks_exact(filters).enumerate() {
                for (filter, value) in from[block * LANES..][..LANES].iter().enumerate() {
                    to[filter * channels + channel] = *value;
                }
            }
        }
    });
    turned
}
