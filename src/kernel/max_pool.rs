//! The largest of each window of channels-last images, channel by channel.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use super::card::{Made, Operand, pixels};
use super::pieces::room;
use super::real::{Real, with_real};
use super::tape::apply1;
use super::values::{Values, output, slice, tensor};

/// Square windows of a pooling; nothing is as small as what is around the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPool {
    /// Pixels along a side of a window.
    pub side: usize,
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Pixels that windows may begin before the image, and end behind it.
    pub padding: usize,
}

/// The largest of each window, [N,OH,OW,C] of `x` [N,H,W,C].
///
/// The gradient goes to the first of equally large pixels, row by row.
///
/// # Errors
/// When a window does not fit the padded image or could lie outside the image.
pub fn max_pool(x: &Tensor, pool: MaxPool) -> Result<Tensor> {
    let (_, height, width, _) = x.dims4()?;
    let MaxPool { side, stride, padding } = pool;
    let smallest = height.min(width) + 2 * padding;
    if stride == 0 || side == 0 || smallest < side || 2 * padding > side {
        bail!(
            "windows of {side} at stride {stride}, padded by {padding}, do not fit \
             {height}×{width} pixels"
        );
    }
    apply1(&x.contiguous()?, pool)
}

impl MaxPool {
    /// How many windows there are along a side of `size` pixels.
    fn windows(&self, size: usize) -> usize {
        (size + 2 * self.padding - self.side) / self.stride + 1
    }

    /// The pixels of window `index` along a side of `size` pixels.
    fn window(&self, index: usize, size: usize) -> std::ops::Range<usize> {
        let start = index * self.stride;
        let end = (start + self.side).saturating_sub(self.padding);
        start.saturating_sub(self.padding)..end.min(size)
    }

    /// For each output pixel of an image, in order, the pixels of its window.
    fn sources(&self, shape: &Shape) -> Result<Vec<Vec<usize>>> {
        let (_, height, width, _) = shape.dims4()?;
        let mut all = Vec::new();
        for i in 0..self.windows(height) {
            for j in 0..self.windows(width) {
                let row = |i: usize| self.window(j, width).map(move |j| i * width + j);
                all.push(self.window(i, height).flat_map(row).collect());
            }
        }
        Ok(all)
    }

    fn output_shape(&self, shape: &Shape) -> Result<(usize, usize, usize, usize)> {
        let (batch, height, width, channels) = shape.dims4()?;
        Ok((batch, self.windows(height), self.windows(width), channels))
    }
}

/// The largest of each channel over some pixels of an image.
fn largest<T: Real>(image: &[T], pixels: &[usize], y: &mut [T]) {
    let channels = y.len();
    let pixel = |index: usize| &image[index * channels..(index + 1) * channels];
    let (first, others) = pixels.split_first().expect("every window has a pixel of the image");
    y.copy_from_slice(pixel(*first));
    for index in others {
        y.iter_mut().zip(pixel(*index)).for_each(|(y, x)| *y = y.larger(*x));
    }
}

/// Adds the gradient of one window to those of the pixels that were the largest.
fn hand_back<T: Real>(image: &[T], pixels: &[usize], [y, dy]: [&[T]; 2], dx: &mut [T]) {
    let channels = y.len();
    for channel in 0..channels {
        let at = |index: &usize| index * channels + channel;
        let is_largest = |at: &usize| image[*at] == y[channel];
        if let Some(at) = pixels.iter().map(at).find(is_largest) {
            dx[at] += dy[channel];
        }
    }
}

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max-pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, height, width, channels) = layout.shape().dims4()?;
        let shape = self.output_shape(layout.shape())?;
        let sources = self.sources(layout.shape())?;
        with_real!(x.dtype(), T => {
            let x = slice::<T>(x, layout)?;
            let mut y = room(Shape::from(shape).elem_count());
            let images = x.par_chunks((height * width * channels).max(1));
            y.par_chunks_mut((sources.len() * channels).max(1)).zip(images).for_each(|(y, x)| {
                for (y, pixels) in y.chunks_exact_mut(channels).zip(&sources) {
                    largest(x, pixels, y);
                }
            });
            output(y, shape)
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<Made> {
        let (_, rows, columns, _) = self.output_shape(layout.shape())?;
        pixels::max_pool(Operand::new(x, layout)?, [rows, columns], *self)
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let (_, rows, columns, _) = y.dims4()?;
            return pixels::max_pool_back([x, y, dy], [rows, columns], *self).map(Some);
        }
        let ((_, height, width, channels), dy) = (x.dims4()?, dy.contiguous()?);
        let sources = self.sources(x.shape())?;
        let (from, to) = (height * width * channels, sources.len() * channels);
        with_real!(x.dtype(), T => {
            let (values, y, dy) = (Values::<T>::of(x)?, Values::<T>::of(y)?, Values::<T>::of(&dy)?);
            let mut dx = vec![T::ZERO; x.elem_count()];
            let inputs = values.par_chunks(from.max(1));
            let outputs = y.par_chunks(to.max(1)).zip(dy.par_chunks(to.max(1)));
            dx.par_chunks_mut(from.max(1)).zip(inputs.zip(outputs)).for_each(|(dx, (x, (y, dy)))| {
                let windows = y.chunks_exact(channels).zip(dy.chunks_exact(channels));
                for ((y, dy), pixels) in windows.zip(&sources) {
                    hand_back(x, pixels, [y, dy], dx);
                }
            });
            tensor(dx, x.shape()).map(Some)
        })
    }
}
