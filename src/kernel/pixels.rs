//! What moves or averages whole pixels of channels-last images: nearest up-sampling, pooling.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use super::card::{Made, Operand, pixels as on_card};
use super::pieces::room;
use super::real::{Real, with_real};
use super::tape::apply1;
use super::values::{Values, output, slice, tensor};
use super::wide::wide;

/// Resizes `x` [N,H,W,C] to [N,`height`,`width`,C], each output pixel (i, j) being the input pixel
/// (⌊i·H/height⌋, ⌊j·W/width⌋).
///
/// # Errors
/// When a size is 0.
pub fn upsample_nearest(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    let (_, from_height, from_width, _) = x.dims4()?;
    if [height, width, from_height, from_width].contains(&0) {
        bail!("cannot resize {from_height}×{from_width} pixels to {height}×{width}");
    }
    apply1(&x.contiguous()?, Nearest { height, width })
}

/// The mean over the pixels of each image: [N,C] of `x` [N,H,W,C].
///
/// # Errors
/// When there is no pixel.
pub fn global_average_pool(x: &Tensor) -> Result<Tensor> {
    let (_, height, width, _) = x.dims4()?;
    if height * width == 0 {
        bail!("cannot average over {height}×{width} pixels");
    }
    apply1(&x.contiguous()?, Average)
}

struct Nearest {
    height: usize,
    width: usize,
}

impl Nearest {
    /// For each output pixel of an image, in order, the input pixel it copies.
    fn sources(&self, shape: &Shape) -> Result<Vec<usize>> {
        let (_, height, width, _) = shape.dims4()?;
        let source = |i: usize, j: usize| i * height / self.height * width + j * width / self.width;
        let row = |i| (0..self.width).map(move |j| source(i, j));
        Ok((0..self.height).flat_map(row).collect())
    }
}

/// Sizes of one image before and after, and its number of channels.
fn image_lens(shape: &Shape, pixels: usize) -> Result<(usize, usize, usize)> {
    let (_, height, width, channels) = shape.dims4()?;
    Ok((height * width * channels, pixels * channels, channels))
}

impl CustomOp1 for Nearest {
    fn name(&self) -> &'static str {
        "upsample-nearest"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, _, _, channels) = layout.shape().dims4()?;
        let sources = self.sources(layout.shape())?;
        let (from, to, _) = image_lens(layout.shape(), sources.len())?;
        with_real!(x.dtype(), T => {
            let x = slice::<T>(x, layout)?;
            let mut y = room(batch * to);
            y.par_chunks_mut(to).zip(x.par_chunks(from)).for_each(|(y, x)| {
                for (y, source) in y.chunks_exact_mut(channels).zip(&sources) {
                    y.copy_from_slice(&x[source * channels..(source + 1) * channels]);
                }
            });
            output(y, (batch, self.height, self.width, channels))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<Made> {
        on_card::nearest(Operand::new(x, layout)?, [self.height, self.width])
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            return on_card::nearest_back(x, dy).map(Some);
        }
        let (sources, dy) = (self.sources(x.shape())?, dy.contiguous()?);
        let (from, to, channels) = image_lens(x.shape(), sources.len())?;
        with_real!(x.dtype(), T => {
            let dy = Values::<T>::of(&dy)?;
            let mut dx = vec![T::ZERO; x.elem_count()];
            dx.par_chunks_mut(from).zip(dy.par_chunks(to)).for_each(|(dx, dy)| {
                for (dy, source) in dy.chunks_exact(channels).zip(&sources) {
                    add(&mut dx[source * channels..(source + 1) * channels], dy);
                }
            });
            tensor(dx, x.shape()).map(Some)
        })
    }
}

#[inline(always)]
fn add<T: Real>(to: &mut [T], from: &[T]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += *from;
    }
}

wide! {
    fn average<T: Real>(y: &mut [T], x: &[T], scale: T) {
        for x in x.chunks_exact(y.len()) {
            add(y, x);
        }
        for y in y {
            *y *= scale;
        }
    }
}

struct Average;

impl CustomOp1 for Average {
    fn name(&self) -> &'static str {
        "global-average-pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, height, width, channels) = layout.shape().dims4()?;
        let pixels = height * width;
        with_real!(x.dtype(), T => {
            let (x, scale) = (slice::<T>(x, layout)?, T::of(1.0 / pixels as f64));
            let mut y = vec![T::ZERO; batch * channels];
            y.par_chunks_mut(channels).zip(x.par_chunks(pixels * channels)).for_each(|(y, x)| {
                average(y, x, scale);
            });
            output(y, (batch, channels))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<Made> {
        on_card::average(Operand::new(x, layout)?)
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            return on_card::average_back(x, dy).map(Some);
        }
        let ((_, height, width, channels), dy) = (x.dims4()?, dy.contiguous()?);
        let pixels = height * width;
        with_real!(x.dtype(), T => {
            let (dy, scale) = (Values::<T>::of(&dy)?, T::of(1.0 / pixels as f64));
            let mut dx = room(x.elem_count());
            dx.par_chunks_mut(pixels * channels).zip(dy.par_chunks(channels)).for_each(
                |(dx, dy)| {
                    let share: Vec<T> = dy.iter().map(|dy| *dy * scale).collect();
                    dx.chunks_exact_mut(channels).for_each(|dx| dx.copy_from_slice(&share));
                },
            );
            tensor(dx, x.shape()).map(Some)
        })
    }
}
