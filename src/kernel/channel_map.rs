//! Maps of channels-last data that scale and shift every channel, with the residual connection and
//! the rectifier that often follow: what normalisations are as operations on tensors.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};
#[cfg(feature = "cuda")]
use candle_core::{CudaStorage, DType};

#[cfg(feature = "cuda")]
use super::card::{self, Made, Operand, channel_map as on_card};
use super::channels::Pass;
use super::real::{Real, with_real};
#[cfg(feature = "cuda")]
use super::tape::other_part;
use super::tape::{apply2, apply3};
use super::values::{Values, output, slice, tensor};

/// An affine map of each channel whose gradient is known.
pub(super) trait ChannelMap {
    const NAME: &'static str;

    fn relu(&self) -> bool;

    /// The image of `x` under given scales and shifts, with what is added to it.
    fn output<T: Real>(&self, x: &[T], scale_shift: [&[T]; 2], residual: Option<&[T]>) -> Vec<T>;

    /// The gradients of the input and of the scales and shifts.
    fn gradients<T: Real>(&self, pass: Pass<T>, scale: &[T]) -> (Vec<T>, Vec<T>);

    /// Images that differ in how they are mapped.
    #[cfg(feature = "cuda")]
    fn images(&self) -> usize {
        1
    }

    /// Finds what a card maps `x` by, and keeps it.
    #[cfg(feature = "cuda")]
    fn prepare(&self, x: Operand, scale_shift: Operand) -> Result<()>;

    /// What was kept, if it is not the scales and shifts themselves.
    #[cfg(feature = "cuda")]
    fn table(&self) -> Option<&Tensor>;

    /// What the gradients are made of on a card.
    #[cfg(feature = "cuda")]
    fn terms(&self, parts: &on_card::Parts, scale_shift: Operand) -> Result<on_card::Terms>;
}

/// Maps `x` [..., C] by `map` with `scale_shift` [2,C], adding `residual`.
///
/// # Errors
/// When shapes do not fit.
pub(super) fn apply<M: ChannelMap + Send + Sync + 'static>(
    x: &Tensor,
    scale_shift: &Tensor,
    residual: Option<&Tensor>,
    map: M,
) -> Result<Tensor> {
    let (expected, found) = ((2, x.dim(candle_core::D::Minus1)?), scale_shift.dims2()?);
    if expected != found {
        bail!("expected scales and shifts of shape {expected:?}, found {found:?}");
    }
    let (x, scale_shift) = (x.contiguous()?, scale_shift.contiguous()?);
    let Some(residual) = residual else { return apply2(&x, &scale_shift, Mapped(map)) };
    if residual.shape() != x.shape() {
        bail!("expected a residual of shape {:?}, found {:?}", x.dims(), residual.dims());
    }
    #[cfg(feature = "cuda")]
    let takes_parts = x.device().is_cuda() && map.relu();
    let y = apply3(&x, &scale_shift, &residual.contiguous()?, Mapped(map))?;
    #[cfg(feature = "cuda")]
    if takes_parts {
        super::tape::takes_parts(&y);
    }
    Ok(y)
}

/// Storage and layout of one argument.
type Argument<'a> = (&'a CpuStorage, &'a Layout);

fn forward<M: ChannelMap>(
    map: &M,
    x: Argument,
    scale_shift: Argument,
    residual: Option<Argument>,
) -> Result<(CpuStorage, Shape)> {
    with_real!(x.0.dtype(), T => {
        let values = slice::<T>(x.0, x.1)?;
        let (scale, shift) = halves(slice::<T>(scale_shift.0, scale_shift.1)?);
        let residual = residual.map(|(storage, layout)| slice::<T>(storage, layout)).transpose()?;
        output(map.output(values, [scale, shift], residual), x.1.shape())
    })
}

#[cfg(feature = "cuda")]
fn card_forward<M: ChannelMap>(
    map: &M,
    x: Operand,
    scale_shift: Operand,
    residual: Option<Operand>,
) -> Result<Made> {
    if scale_shift.dtype() != DType::F32 {
        bail!("scales and shifts on a card are f32, not {:?}", scale_shift.dtype());
    }
    map.prepare(x, scale_shift)?;
    let sizes = sizes(map, x.len(), scale_shift.len() / 2);
    match map.table() {
        None => on_card::apply(x, (scale_shift, sizes), residual, map.relu()),
        Some(table) => {
            card::on([table], |[table]| on_card::apply(x, (table, sizes), residual, map.relu()))
        }
    }
}

#[cfg(feature = "cuda")]
fn card_backward<M: ChannelMap>(
    map: &M,
    [x, y, dy]: Tensors,
    scale_shift: &Tensor,
    has_residual: bool,
) -> Result<[Tensor; 3]> {
    let sizes = sizes(map, x.elem_count(), scale_shift.elem_count() / 2);
    let (table, relu) = (map.table().unwrap_or(scale_shift), map.relu());
    // Only the output of a map with both is in parts.
    let other = other_part();
    let other = other.as_ref();
    let back = on_card::Back { x, y, dy, other, scale_shift, table, relu, has_residual, sizes };
    on_card::backward(&back, |parts, scale_shift| map.terms(&parts, scale_shift))
}

/// Images, pixels of each, and channels.
#[cfg(feature = "cuda")]
fn sizes<M: ChannelMap>(map: &M, len: usize, channels: usize) -> on_card::Sizes {
    let images = map.images();
    [images, len / (images * channels).max(1), channels]
}

/// Input, output, and the gradient of the output.
type Tensors<'a> = [&'a Tensor; 3];

fn backward<M: ChannelMap>(
    map: &M,
    tensors: Tensors,
    scales: &Tensor,
    relu: bool,
) -> Result<[Tensor; 2]> {
    with_real!(scales.dtype(), T => {
        let [x, y, dy] = tensors.map(Values::<T>::of);
        let (x, y, dy) = (x?, y?, dy?);
        let pass = Pass { x: &x, y: &y, dy: &dy, relu };
        let scale_shift = Values::<T>::of(scales)?;
        let (dx, gradient) = map.gradients(pass, halves(&scale_shift).0);
        Ok([tensor(dx, tensors[0].shape())?, tensor(gradient, scales.shape())?])
    })
}

/// The gradient of what is added before the rectifier.
fn residual_gradient(relu: bool, y: &Tensor, dy: &Tensor) -> Result<Tensor> {
    if !relu {
        return Ok(dy.clone());
    }
    with_real!(y.dtype(), T => {
        let (values, gradient) = (Values::<T>::of(y)?, Values::<T>::of(dy)?);
        let pass = Pass { x: &values, y: &values, dy: &gradient, relu: true };
        tensor(pass.rectified(), y.shape())
    })
}

fn halves<T>(values: &[T]) -> (&[T], &[T]) {
    values.split_at(values.len() / 2)
}

/// A channel map as an operation on tensors.
struct Mapped<M>(M);

impl<M: ChannelMap> CustomOp2 for Mapped<M> {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        scales: &CpuStorage,
        scales_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        forward(&self.0, (x, x_layout), (scales, scales_layout), None)
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        scales: &CudaStorage,
        scales_layout: &Layout,
    ) -> Result<Made> {
        let (x, scales) = (Operand::new(x, x_layout)?, Operand::new(scales, scales_layout)?);
        card_forward(&self.0, x, scales, None)
    }

    fn bwd(
        &self,
        x: &Tensor,
        scales: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let [dx, dscales, _] = card_backward(&self.0, [x, y, &dy], scales, false)?;
            return Ok((Some(dx), Some(dscales)));
        }
        let [dx, dscales] = backward(&self.0, [x, y, &dy], scales, self.0.relu())?;
        Ok((Some(dx), Some(dscales)))
    }
}

impl<M: ChannelMap> CustomOp3 for Mapped<M> {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        scales: &CpuStorage,
        scales_layout: &Layout,
        residual: &CpuStorage,
        residual_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let residual = Some((residual, residual_layout));
        forward(&self.0, (x, x_layout), (scales, scales_layout), residual)
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        scales: &CudaStorage,
        scales_layout: &Layout,
        residual: &CudaStorage,
        residual_layout: &Layout,
    ) -> Result<Made> {
        let (x, scales) = (Operand::new(x, x_layout)?, Operand::new(scales, scales_layout)?);
        card_forward(&self.0, x, scales, Some(Operand::new(residual, residual_layout)?))
    }

    fn bwd(
        &self,
        x: &Tensor,
        scales: &Tensor,
        _residual: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let [dx, dscales, dy] = card_backward(&self.0, [x, y, &dy], scales, true)?;
            return Ok((Some(dx), Some(dscales), Some(dy)));
        }
        // What flows into the residual has passed the rectifier, so the rest need not mask again.
        let dy = residual_gradient(self.0.relu(), y, &dy)?;
        let [dx, dscales] = backward(&self.0, [x, y, &dy], scales, false)?;
        Ok((Some(dx), Some(dscales), Some(dy)))
    }
}
