//! The inner loops: sums for several windows and filters at once, held in registers.

use super::frame::Frame;
use crate::kernel::avx512::Vector;
use crate::kernel::lanes::LANES;
use crate::kernel::real::Real;

/// One element of a kernel: where it lies from the window's position, and its index.
#[derive(Clone, Copy)]
pub(super) struct Tap {
    pub(super) down: isize,
    pub(super) right: isize,
    pub(super) index: usize,
}

/// A kernel that slides over framed images, and where its results go in the output image.
pub(super) struct Slide {
    pub(super) taps: Vec<Tap>,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) origin: usize,
    pub(super) row_step: usize,
    pub(super) column_step: usize,
    /// Output channels.
    pub(super) filters: usize,
}

/// Windows and vectors of filters that are summed at once.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Shape {
    P14B1,
    P16B1,
    P7B2,
    P8B2,
}

impl Shape {
    /// The shape for rows of `columns` windows, if there is one.
    pub(super) fn of(columns: usize, filters: usize) -> Option<Self> {
        match (filters.is_multiple_of(2 * LANES), columns) {
            (true, _) if columns.is_multiple_of(7) => Some(Self::P7B2),
            (true, 8..) => Some(Self::P8B2),
            (false, _) if columns.is_multiple_of(14) => Some(Self::P14B1),
            (false, 16..) => Some(Self::P16B1),
            _ => None,
        }
    }

    /// Filters that are summed at once.
    pub(super) fn filters(self) -> usize {
        match self {
            Self::P14B1 | Self::P16B1 => LANES,
            Self::P7B2 | Self::P8B2 => 2 * LANES,
        }
    }
}

impl Slide {
    /// Writes the results for a framed image; `weight` is [filter blocks, channel blocks, taps,
    /// channels of a block, filters of a block].
    pub(super) fn run<T: Real>(&self, frame: &Frame, image: &[T], weight: &[T], y: &mut [T]) {
        let Some(shape) = Shape::of(self.columns, self.filters) else {
            unreachable!("the shape was found before")
        };
        let run = match (shape, frame.block()) {
            (Shape::P14B1, 1) => slide_image::<T, 14, 1, 1>,
            (Shape::P14B1, _) => slide_image::<T, 14, 1, LANES>,
            (Shape::P16B1, 1) => slide_image::<T, 16, 1, 1>,
            (Shape::P16B1, _) => slide_image::<T, 16, 1, LANES>,
            (Shape::P7B2, 1) => slide_image::<T, 7, 2, 1>,
            (Shape::P7B2, _) => slide_image::<T, 7, 2, LANES>,
            (Shape::P8B2, 1) => slide_image::<T, 8, 2, 1>,
            (Shape::P8B2, _) => slide_image::<T, 8, 2, LANES>,
        };
        // SAFETY: this method is used on processors with AVX-512 only.
        unsafe { run(self, frame, image, weight, y) }
    }
}

#[target_feature(enable = "avx512f")]
fn slide_image<T: Real, const P: usize, const B: usize, const C: usize>(
    slide: &Slide,
    frame: &Frame,
    image: &[T],
    weight: &[T],
    y: &mut [T],
) {
    let offsets: Vec<usize> = slide.taps.iter().map(|tap| frame.offset(tap)).collect();
    let (weight, _) = weight.as_chunks::<LANES>();
    let weights = weight.chunks_exact((frame.blocks() * offsets.len() * C * B).max(1));
    for row in 0..slide.rows {
        for filter in 0..slide.filters / (B * LANES) {
            let weight = weights.clone().nth(filter).unwrap_or_default();
            for group in 0..slide.columns.div_ceil(P) {
                // The last group overlaps the one before where they do not come out even.
                let column = (group * P).min(slide.columns - P);
                let image = &image[row * frame.window_row() + column * C..];
                let sums = windows::<T, P, B, C>(frame, image, weight, &offsets);
                let origin = slide.origin + row * slide.row_step + filter * B * LANES;
                for (p, sums) in sums.iter().enumerate() {
                    let start = origin + (column + p) * slide.column_step;
                    store::<T, B>(sums, &mut y[start..start + B * LANES]);
                }
            }
        }
    }
}

/// The sums of P adjacent windows for B vectors of filters.
#[inline(always)]
fn windows<T: Real, const P: usize, const B: usize, const C: usize>(
    frame: &Frame,
    image: &[T],
    weight: &[[T; LANES]],
    offsets: &[usize],
) -> [[T::Vector; B]; P] {
    // SAFETY: only code for AVX-512 calls this.
    let mut sums = [[unsafe { T::Vector::zero() }; B]; P];
    let mut weights = weight.chunks_exact(C * B);
    for block in 0..frame.blocks() {
        let image = &image[block * frame.block_len()..];
        for (offset, weight) in offsets.iter().zip(weights.by_ref()) {
            let image = &image[*offset..*offset + P * C];
            for c in 0..C {
                for p in 0..P {
                    for b in 0..B {
                        // SAFETY: only code for AVX-512 calls this.
                        sums[p][b] = unsafe {
                            let weight = T::Vector::load(&weight[c * B + b]);
                            sums[p][b].plus_scaled(weight, image[p * C + c])
                        };
                    }
                }
            }
        }
    }
    sums
}

#[inline(always)]
fn store<T: Real, const B: usize>(sums: &[T::Vector; B], to: &mut [T]) {
    let (to, _) = to.as_chunks_mut::<LANES>();
    for b in 0..B {
        // SAFETY: only code for AVX-512 calls this.
        unsafe { sums[b].store(&mut to[b]) };
    }
}

/// A gradient of weights: where a tap's part [channels, filters] is summed up.
pub(super) struct Correlation<'a, T> {
    pub(super) frame: &'a Frame,
    /// The framed image.
    pub(super) image: &'a [T],
    /// The gradient of the output image [rows, columns, filters].
    pub(super) dy: &'a [T],
    pub(super) columns: usize,
    pub(super) filters: usize,
}

impl<T: Real> Correlation<'_, T> {
    /// Adds the image's part to the gradient of `tap`.
    pub(super) fn add(&self, tap: &Tap, dw: &mut [T]) {
        let offset = self.frame.offset(tap);
        let pairs = self.filters.is_multiple_of(2 * LANES);
        let run = match (self.frame.block(), pairs) {
            (1, _) => correlate::<T, 1, 1, 1>,
            (_, false) => correlate::<T, 16, 1, LANES>,
            (_, true) => correlate::<T, 8, 2, LANES>,
        };
        // SAFETY: this method is used on processors with AVX-512 only.
        unsafe { run(self, offset, dw) }
    }
}

#[target_feature(enable = "avx512f")]
fn correlate<T: Real, const K: usize, const B: usize, const C: usize>(
    problem: &Correlation<T>,
    offset: usize,
    dw: &mut [T],
) {
    let Correlation { frame, image, filters, .. } = *problem;
    for channel in (0..frame.blocks() * C).step_by(K) {
        let image = &image[channel / C * frame.block_len() + channel % C + offset..];
        for filter in (0..filters).step_by(B * LANES) {
            let mut sums = [[T::ZERO; LANES]; B];
            let products = products::<T, K, B, C>(problem, image, filter);
            for (k, products) in products.iter().enumerate() {
                let start = (channel + k) * filters + filter;
                store::<T, B>(products, sums.as_flattened_mut());
                for (dw, sum) in dw[start..start + B * LANES].iter_mut().zip(sums.as_flattened()) {
                    *dw += *sum;
                }
            }
        }
    }
}

/// The sums over all pixels of K channels times B vectors of filters.
#[inline(always)]
fn products<T: Real, const K: usize, const B: usize, const C: usize>(
    problem: &Correlation<T>,
    image: &[T],
    filter: usize,
) -> [[T::Vector; B]; K] {
    let Correlation { frame, dy, columns, filters, .. } = *problem;
    // SAFETY: only code for AVX-512 calls this.
    let mut sums = [[unsafe { T::Vector::zero() }; B]; K];
    for (row, dy) in dy.chunks_exact(columns * filters).enumerate() {
        let image = &image[row * frame.window_row()..];
        for (column, dy) in dy.chunks_exact(filters).enumerate() {
            let (dy, _) = dy[filter..filter + B * LANES].as_chunks::<LANES>();
            let image = &image[column * C..column * C + K];
            for k in 0..K {
                for b in 0..B {
                    // SAFETY: only code for AVX-512 calls this.
                    sums[k][b] =
                        unsafe { sums[k][b].plus_scaled(T::Vector::load(&dy[b]), image[k]) };
                }
            }
        }
    }
    sums
}
