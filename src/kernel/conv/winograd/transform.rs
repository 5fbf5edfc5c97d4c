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
    let planes = planes::<T, POINTS>(to, piece.tiles() * channels);
    input_tiles(x, channels, piece, planes);
}

wide! {
    fn input_tiles<T: Real>(x: &[T], channels: usize, piece: &Piece, planes: [&mut [T]; POINTS]) {
        let mut planes = planes;
        let zeros = vec![T::ZERO; channels];
        for (index, tile) in piece.each().enumerate() {
            let mut patch = [&[][..]; POINTS];
            for (point, vectors) in patch.iter_mut().enumerate() {
                let (down, right) = (point as isize / 4 - 1, point as isize % 4 - 1);
                *vectors = pixel_vectors(x, tile.pixel(down, right), &zeros);
            }
            for block in 0..channels / LANES {
                let values = square::<T, 4, POINTS>(&patch, block);
                let at = index * channels + block * LANES;
                store(&mut planes, at, &on_both_sides(&values, differences));
            }
        }
    }
}

/// `Bᵀ d` for one column.
#[inline(always)]
fn differences<T: Real>([a, b, c, d]: [Lanes<T>; 4]) -> [Lanes<T>; 4] {
    [a - c, b + c, c - b, b - d]
}

/// `Aᵀ m A` of each tile's products, written to the piece's pixels [pixels, filters].
pub(super) fn output<T: Real>(products: &[T], filters: usize, piece: &Piece, y: &mut [T]) {
    let plane = piece.tiles() * filters;
    let planes = std::array::from_fn(|point| products[point * plane..][..plane].as_chunks().0);
    output_tiles(planes, filters, piece, y);
}

wide! {
    fn output_tiles<T: Real>(
        planes: [&[[T; LANES]]; POINTS],
        filters: usize,
        piece: &Piece,
        y: &mut [T],
    ) {
        let first = piece.pixels().start;
        for (index, tile) in piece.each().enumerate() {
            for block in 0..filters / LANES {
                let values = square::<T, 4, POINTS>(&planes, index * (filters / LANES) + block);
                let pixels = on_both_sides(&values, gathered);
                for (values, pixel) in pixels.as_flattened().iter().zip(corners(&tile)) {
                    let Some(pixel) = pixel else { continue };
                    let start = (pixel - first) * filters + block * LANES;
                    y[start..start + LANES].copy_from_slice(&values.0);
                }
            }
        }
    }
}

/// `Aᵀ m` for one column.
#[inline(always)]
fn gathered<T: Real>([a, b, c, d]: [Lanes<T>; 4]) -> [Lanes<T>; 2] {
    [a + b + c, b - c - d]
}

/// `A dy Aᵀ` of each tile's 2×2 gradients: [16, tiles, filters].
pub(super) fn output_gradient<T: Real>(dy: &[T], filters: usize, piece: &Piece, to: &mut [T]) {
    let planes = planes::<T, POINTS>(to, piece.tiles() * filters);
    output_gradient_tiles(dy, filters, piece, planes);
}

wide! {
    fn output_gradient_tiles<T: Real>(
        dy: &[T],
        filters: usize,
        piece: &Piece,
        planes: [&mut [T]; POINTS],
    ) {
        let mut planes = planes;
        let zeros = vec![T::ZERO; filters];
        for (index, tile) in piece.each().enumerate() {
            let mut patch = [&[][..]; 4];
            for (vectors, pixel) in patch.iter_mut().zip(corners(&tile)) {
                *vectors = pixel_vectors(dy, pixel, &zeros);
            }
            for block in 0..filters / LANES {
                let values = square::<T, 2, 4>(&patch, block);
                let at = index * filters + block * LANES;
                store(&mut planes, at, &on_both_sides(&values, spread));
            }
        }
    }
}

/// `A d` for one column.
#[inline(always)]
fn spread<T: Real>([a, b]: [Lanes<T>; 2]) -> [Lanes<T>; 4] {
    [a, a + b, a - b, -b]
}

/// `G w Gᵀ` of a kernel [3, 3, plane]: [16, plane].
pub(super) fn kernel<T: Real>(weight: &[T], plane: usize) -> Vec<T> {
    transformed_planes::<T, 3, 4, 9, POINTS>(weight, plane, refined)
}

/// `G w` for one column.
#[inline(always)]
fn refined<T: Real>([a, b, c]: [Lanes<T>; 3]) -> [Lanes<T>; 4] {
    let half = T::of(0.5);
    [a, (a + c + b).scaled(half), (a + c - b).scaled(half), c]
}

/// `Gᵀ u G` of a transformed kernel's gradient [16, plane]: [3, 3, plane].
pub(super) fn kernel_gradient<T: Real>(from: &[T], plane: usize) -> Vec<T> {
    transformed_planes::<T, 4, 3, POINTS, 9>(from, plane, coarsened)
}

/// `Gᵀ u` for one column.
#[inline(always)]
fn coarsened<T: Real>([a, b, c, d]: [Lanes<T>; 4]) -> [Lanes<T>; 3] {
    let half = T::of(0.5);
    let (sum, difference) = ((b + c).scaled(half), (b - c).scaled(half));
    [a + sum, difference, d + sum]
}

/// Applies a transform to both sides of the squares whose elements lie in N·N planes.
fn transformed_planes<T: Real, const N: usize, const M: usize, const NN: usize, const MM: usize>(
    from: &[T],
    plane: usize,
    transform: impl Fn([Lanes<T>; N]) -> [Lanes<T>; M] + Copy + Sync,
) -> Vec<T> {
    let mut to = room(MM * plane);
    let from: [&[T]; NN] = std::array::from_fn(|index| &from[index * plane..][..plane]);
    runs::<T, MM>(&mut to, plane).into_par_iter().enumerate().for_each(|(run, mut planes)| {
        let vectors = from.map(|plane| plane[run * RUN..].as_chunks().0);
        transform_run(vectors, &mut planes, transform);
    });
    to
}

wide! {
    fn transform_run<T: Real, const N: usize, const M: usize, const NN: usize, const MM: usize>(
        from: [&[[T; LANES]]; NN],
        to: &mut [&mut [T]; MM],
        transform: impl Fn([Lanes<T>; N]) -> [Lanes<T>; M] + Copy,
    ) {
        for block in 0..from[0].len().min(to[0].len() / LANES) {
            let values = square::<T, N, NN>(&from, block);
            store(to, block * LANES, &on_both_sides(&values, transform));
        }
    }
}

/// Applies a transform to all columns of a square and then to all rows.
///
/// Written with loops: the compiler keeps vectors in registers only where it inlines everything.
#[inline(always)]
fn on_both_sides<T: Real, const N: usize, const M: usize>(
    square: &[[Lanes<T>; N]; N],
    transform: impl Fn([Lanes<T>; N]) -> [Lanes<T>; M],
) -> [[Lanes<T>; M]; M] {
    let mut rows = [[Lanes::zero(); N]; M];
    for j in 0..N {
        let mut column = [Lanes::zero(); N];
        for i in 0..N {
            column[i] = square[i][j];
        }
        let column = transform(column);
        for i in 0..M {
            rows[i][j] = column[i];
        }
    }
    let mut result = [[Lanes::zero(); M]; M];
    for i in 0..M {
        result[i] = transform(rows[i]);
    }
    result
}

/// The square of vectors at `index` of each of N·N slices.
#[inline(always)]
fn square<T: Real, const N: usize, const NN: usize>(
    vectors: &[&[[T; LANES]]; NN],
    index: usize,
) -> [[Lanes<T>; N]; N] {
    let mut square = [[Lanes::zero(); N]; N];
    for i in 0..N {
        for j in 0..N {
            square[i][j] = Lanes(vectors[i * N + j][index]);
        }
    }
    square
}

/// The pixels of a tile's 2×2 outputs.
#[inline(always)]
fn corners(tile: &Tile) -> [Option<usize>; 4] {
    [tile.pixel(0, 0), tile.pixel(0, 1), tile.pixel(1, 0), tile.pixel(1, 1)]
}

/// The channels of a pixel as vectors; zeros outside the image.
#[inline(always)]
fn pixel_vectors<'a, T: Real>(
    x: &'a [T],
    pixel: Option<usize>,
    zeros: &'a [T],
) -> &'a [[T; LANES]] {
    let channels = zeros.len();
    pixel.map_or(zeros, |pixel| &x[pixel * channels..(pixel + 1) * channels]).as_chunks().0
}

/// Writes element (i, j) of `values` into plane `i * M + j`.
#[inline(always)]
fn store<T: Real, const M: usize, const MM: usize>(
    planes: &mut [&mut [T]; MM],
    at: usize,
    values: &[[Lanes<T>; M]; M],
) {
    for i in 0..M {
        for j in 0..M {
            planes[i * M + j][at..at + LANES].copy_from_slice(&values[i][j].0);
        }
    }
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
