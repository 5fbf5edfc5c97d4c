//! Two-dimensional convolution (cross-correlation, as everywhere in deep learning).

mod columns;
#[cfg_attr(not(target_arch = "x86_64"), path = "direct_elsewhere.rs")]
mod direct;
mod geometry;
mod operator;
mod pointwise;
mod winograd;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

#[cfg(feature = "cuda")]
use super::card::{Made, Operand, conv as on_card};
#[cfg(feature = "cuda")]
use super::first_channels::first_channels;
use super::real::{Real, with_real};
use super::tape::apply2;
use super::values::{Values, output, slice, tensor};
pub(in crate::kernel) use geometry::Geometry;
pub(in crate::kernel) use operator::Operator;

/// Stride and zero padding of a convolution, the same in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2d {
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Zeros around the image.
    pub padding: usize,
}

/// Convolves `x` [N,H,W,C] with `weight` [KH,KW,C,F], giving [N,OH,OW,F].
///
/// # Errors
/// When the shapes do not fit or the kernel is larger than the padded image.
pub fn conv2d(x: &Tensor, weight: &Tensor, conv: Conv2d) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if let Some((filters, more)) = on_card::missing(x, weight) {
        // A filter of zeros costs less than windows laid out in rows.
        let weight = weight.pad_with_zeros(3, 0, more)?;
        return first_channels(&convolved(x, &weight, conv)?, filters);
    }
    convolved(x, weight, conv)
}

fn convolved(x: &Tensor, weight: &Tensor, conv: Conv2d) -> Result<Tensor> {
    apply2(&x.contiguous()?, &weight.contiguous()?, Convolve::new(conv))
}

/// A convolution as an operation on tensors.
struct Convolve {
    conv: Conv2d,
    #[cfg(feature = "cuda")]
    kept: on_card::Kept,
}

impl Convolve {
    fn new(conv: Conv2d) -> Self {
        Self {
            conv,
            #[cfg(feature = "cuda")]
            kept: on_card::Kept::default(),
        }
    }
}

/// Whether summing windows of so many channels in registers is the fastest, as measured.
fn are_few(channels: usize, geometry: &Geometry) -> bool {
    channels <= if winograd::fits(geometry) { 32 } else { 64 }
}

fn forward<T: Real>(x: &[T], weight: &[T], geometry: &Geometry) -> Vec<T> {
    if direct::fits_forward(geometry) && are_few(geometry.channels, geometry) {
        direct::forward(x, weight, geometry)
    } else if geometry.is_pointwise() {
        pointwise::forward(x, weight, geometry)
    } else if winograd::fits(geometry) {
        winograd::forward(x, weight, geometry)
    } else {
        columns::forward(x, weight, geometry)
    }
}

fn weight_gradient<T: Real>(x: &[T], dy: &[T], geometry: &Geometry) -> Vec<T> {
    if direct::fits_weight_gradient(geometry) && are_few(geometry.channels, geometry) {
        direct::weight_gradient(x, dy, geometry)
    } else if geometry.is_pointwise() {
        pointwise::weight_gradient(x, dy, geometry)
    } else if winograd::fits(geometry) {
        winograd::weight_gradient(x, dy, geometry)
    } else {
        columns::weight_gradient(x, dy, geometry)
    }
}

fn input_gradient<T: Real>(weight: &[T], dy: &[T], geometry: &Geometry) -> Vec<T> {
    if direct::fits_input_gradient(geometry) && are_few(geometry.filters, geometry) {
        direct::input_gradient(weight, dy, geometry)
    } else if geometry.is_pointwise() {
        pointwise::input_gradient(weight, dy, geometry)
    } else if winograd::fits(geometry) {
        winograd::input_gradient(weight, dy, geometry)
    } else {
        columns::input_gradient(weight, dy, geometry)
    }
}

impl CustomOp2 for Convolve {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let geometry = Geometry::new(x_layout.shape(), weight_layout.shape(), self.conv)?;
        with_real!(x.dtype(), T => {
            let (x, weight) = (slice::<T>(x, x_layout)?, slice::<T>(weight, weight_layout)?);
            output(forward(x, weight, &geometry), geometry.output_shape())
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
    ) -> Result<Made> {
        let geometry = Geometry::new(x_layout.shape(), weight_layout.shape(), self.conv)?;
        let (x, weight) = (Operand::new(x, x_layout)?, Operand::new(weight, weight_layout)?);
        on_card::forward(x, weight, geometry, &self.kept)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let geometry = Geometry::new(x.shape(), weight.shape(), self.conv)?;
            return on_card::backward([x, weight, dy], geometry, &self.kept);
        }
        with_real!(x.dtype(), T => backward::<T>(self.conv, x, weight, dy))
    }
}

fn backward<T: Real>(
    conv: Conv2d,
    x: &Tensor,
    weight: &Tensor,
    dy: &Tensor,
) -> Result<(Option<Tensor>, Option<Tensor>)> {
    let geometry = Geometry::new(x.shape(), weight.shape(), conv)?;
    let dy = dy.contiguous()?;
    let dy = Values::<T>::of(&dy)?;
    let dx = || tensor(input_gradient(&Values::<T>::of(weight)?, &dy, &geometry), x.shape());
    let dw = || tensor(weight_gradient(&Values::<T>::of(x)?, &dy, &geometry), weight.shape());
    Ok((x.track_op().then(dx).transpose()?, weight.track_op().then(dw).transpose()?))
}
