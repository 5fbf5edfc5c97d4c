//! The transforms of Winograd's F(2×2, 3×3) and their adjoints, sixteen channels at a time.

use rayon::prelude::*;

use super::POINTS;
use super::tiling::{Piece, Tile};
use crate::kernel::lanes::{LANES, Lanes};
use crate::kernel::pieces::room;
use crate::kernel::real::Real;
use crate::kernel::wide::wide;

/// Channels of a task that transforms kernels.
const RUN: usize = 4096;

/// `Bᵀ x B` of each tile's 4×4 inputs: [16, tiles, channels].
pub(super) fn input<T: Real>(x: &[T], channels: usize, piece: &Piece, to: &mut [T]) {
    let zeros = vec![T::ZERO; channels];
    let mut planes = planes::<T, POINTS>(to, piece.tiles() * channels);
    wide(|| {
        for (index, tile) in piece.each().enumerate() {
            let patch: [&[[T; LANES]]; POINTS] = std::array::from_fn(|point| {
                let (down, right) = (point as isize / 4 - 1, point as isize % 4 - 1);
                vectors(x, tile.pixel(down, right), &zeros)
            });
            for block in 0..channels / LANES {
                let result = input_tile(|row, column| Lanes(patch[row * 4 + column][block]));
                store(&mut planes, index * channels + block * LANES, result);
            }
        }
    });
}

#[inline(always)]
fn input_tile<T: Real>(x: impl Fn(usize, usize) -> Lanes<T>) -> [[Lanes<T>; 4]; 4] {
    let rows = transpose([0, 1, 2, 3].map(|j| differences([0, 1, 2, 3].map(|i| x(i, j)))));
    rows.map(differences)
}

/// `Bᵀ d` for one column.
#[inline(always)]
fn differences<T: Real>([a, b, c, d]: [Lanes<T>; 4]) -> [Lanes<T>; 4] {
    [a - c, b + c, c - b, b - d]
}

/// `Aᵀ m A` of each tile's products, written to the piece's pixels [pixels, filters].
pub(super) fn output<T: Real>(products: &[T], filters: usize, piece: &Piece, y: &mut [T]) {
    let plane = piece.tiles() * filters;
    let planes: [&[[T; LANES]]; POINTS] =
        std::array::from_fn(|point| products[point * plane..][..plane].as_chunks().0);
    let first = piece.pixels().start;
    wide(|| {
        for (index, tile) in piece.each().enumerate() {
            for block in 0..filters / LANES {
                let at = index * (filters / LANES) + block;
                let pixels = output_tile(|row, column| Lanes(planes[row * 4 + column][at]));
                for (values, pixel) in pixels.iter().flatten().zip(corners(&tile)) {
                    let Some(pixel) = pixel else { continue };
                    let start = (pixel - first) * filters + block * LANES;
                    y[start..start + LANES].copy_from_slice(&values.0);
                }
            }
        }
    });
}

#[inline(always)]
fn output_tile<T: Real>(m: impl Fn(usize, usize) -> Lanes<T>) -> [[Lanes<T>; 2]; 2] {
    let sums = [0, 1, 2, 3].map(|j| gathered([0, 1, 2, 3].map(|i| m(i, j))));
    [0, 1].map(|row| gathered([0, 1, 2, 3].map(|j| sums[j][row])))
}

/// `Aᵀ m` for one column.
#[inline(always)]
fn gathered<T: Real>([a, b, c, d]: [Lanes<T>; 4]) -> [Lanes<T>; 2] {
    [a + b + c, b - c - d]
}

/// `A dy Aᵀ` of each tile's 2×2 gradients: [16, tiles, filters].
pub(super) fn output_gradient<T: Real>(dy: &[T], filters: usize, piece: &Piece, to: &mut [T]) {
    let zeros = vec![T::ZERO; filters];
    let mut planes = planes::<T, POINTS>(to, piece.tiles() * filters);
    wide(|| {
        for (index, tile) in piece.each().enumerate() {
            let patch = corners(&tile).map(|pixel| vectors(dy, pixel, &zeros));
            for block in 0..filters / LANES {
                let result = output_gradient_tile(patch.map(|pixel| Lanes(pixel[block])));
                store(&mut planes, index * filters + block * LANES, result);
            }
        }
    });
}

#[inline(always)]
fn output_gradient_tile<T: Real>([a, b, c, d]: [Lanes<T>; 4]) -> [[Lanes<T>; 4]; 4] {
    let rows = transpose([spread([a, c]), spread([b, d])]);
    rows.map(spread)
}

/// `A d` for one column.
#[inline(always)]
fn spread<T: Real>([a, b]: [Lanes<T>; 2]) -> [Lanes<T>; 4] {
    [a, a + b, a - b, -b]
}

/// `G w Gᵀ` of a kernel [3, 3, plane]: [16, plane].
pub(super) fn kernel<T: Real>(weight: &[T], plane: usize) -> Vec<T> {
    let mut to = room(POINTS * plane);
    runs::<T, POINTS>(&mut to, plane).into_par_iter().enumerate().for_each(|(run, mut planes)| {
        wide(|| {
            for at in (0..planes[0].len()).step_by(LANES) {
                let tap = |row: usize, column: usize| {
                    load(&weight[(row * 3 + column) * plane + run * RUN + at..])
                };
                let columns = [0, 1, 2].map(|j| refined([0, 1, 2].map(|i| tap(i, j))));
                store(&mut planes, at, transpose(columns).map(refined));
            }
        });
    });
    to
}

/// `G w` for one column.
#[inline(always)]
fn refined<T: Real>([a, b, c]: [Lanes<T>; 3]) -> [Lanes<T>; 4] {
    let half = T::of(0.5);
    [a, (a + c + b).scaled(half), (a + c - b).scaled(half), c]
}

/// `Gᵀ u G` of a transformed kernel's gradient [16, plane]: [3, 3, plane].
pub(super) fn kernel_gradient<T: Real>(from: &[T], plane: usize) -> Vec<T> {
    let mut to = room(9 * plane);
    runs::<T, 9>(&mut to, plane).into_par_iter().enumerate().for_each(|(run, mut planes)| {
        wide(|| {
            for at in (0..planes[0].len()).step_by(LANES) {
                let point = |row: usize, column: usize| {
                    load(&from[(row * 4 + column) * plane + run * RUN + at..])
                };
                let columns = [0, 1, 2, 3].map(|j| coarsened([0, 1, 2, 3].map(|i| point(i, j))));
                store(&mut planes, at, transpose(columns).map(coarsened));
            }
        });
    });
    to
}

/// `Gᵀ u` for one column.
#[inline(always)]
fn coarsened<T: Real>([a, b, c, d]: [Lanes<T>; 4]) -> [Lanes<T>; 3] {
    let half = T::of(0.5);
    let (sum, difference) = ((b + c).scaled(half), (b - c).scaled(half));
    [a + sum, difference, d + sum]
}

/// The pixels of a tile's 2×2 outputs.
#[inline(always)]
fn corners(tile: &Tile) -> [Option<usize>; 4] {
    [tile.pixel(0, 0), tile.pixel(0, 1), tile.pixel(1, 0), tile.pixel(1, 1)]
}

/// The channels of a pixel as vectors; zeros outside the image.
#[inline(always)]
fn vectors<'a, T: Real>(x: &'a [T], pixel: Option<usize>, zeros: &'a [T]) -> &'a [[T; LANES]] {
    let channels = zeros.len();
    pixel.map_or(zeros, |pixel| &x[pixel * channels..(pixel + 1) * channels]).as_chunks().0
}

#[inline(always)]
fn load<T: Real>(from: &[T]) -> Lanes<T> {
    Lanes(*from.first_chunk().expect("kernels have a multiple of 16 elements"))
}

/// Writes element (i, j) of `values` into plane `i * N + j`.
#[inline(always)]
fn store<T: Real, const M: usize, const N: usize, const P: usize>(
    planes: &mut [&mut [T]; P],
    at: usize,
    values: [[Lanes<T>; N]; M],
) {
    for (plane, values) in planes.iter_mut().zip(values.as_flattened()) {
        plane[at..at + LANES].copy_from_slice(&values.0);
    }
}

#[inline(always)]
fn transpose<T: Real, const M: usize, const N: usize>(
    columns: [[Lanes<T>; N]; M],
) -> [[Lanes<T>; M]; N] {
    std::array::from_fn(|i| std::array::from_fn(|j| columns[j][i]))
}

/// The planes of `len` elements each that `values` consists of.
fn planes<T: Real, const P: usize>(values: &mut [T], len: usize) -> [&mut [T]; P] {
    let mut planes = values.chunks_exact_mut(len);
    std::array::from_fn(|_| planes.next().expect("one plane for each point"))
}

/// The planes of `values` cut into runs of [`RUN`] elements.
fn runs<T: Real, const P: usize>(values: &mut [T], plane: usize) -> Vec<[&mut [T]; P]> {
    let mut planes = planes::<T, P>(values, plane).map(|plane| plane.chunks_mut(RUN));
    let run = |_| planes.each_mut().map(|runs| runs.next().expect("planes have one length"));
    (0..plane.div_ceil(RUN)).map(run).collect()
}
