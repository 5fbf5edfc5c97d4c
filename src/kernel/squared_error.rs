//! The mean squared error.

#[cfg(feature = "cuda")]
use candle_core::{CpuStorage, CudaStorage, CustomOp2, DType, Layout, Shape, bail};
use candle_core::{Result, Tensor};

#[cfg(feature = "cuda")]
use super::card::{Made, Operand, losses};
#[cfg(feature = "cuda")]
use super::tape::apply2;

/// The mean of the squares of `x - target` over all elements. On a card it is two kernels there and one
/// back; candle adds all elements up in one block.
///
/// # Errors
/// When the shapes differ.
pub fn squared_error(x: &Tensor, target: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() && x.dtype() == DType::F32 && !target.track_op() {
        if x.dims() != target.dims() {
            bail!("a target of shape {:?} of {:?}", target.dims(), x.dims());
        }
        let target = target.to_dtype(DType::F32)?.contiguous()?;
        return apply2(&x.contiguous()?, &target, SquaredError);
    }
    (x - target.to_dtype(x.dtype())?)?.sqr()?.mean_all()
}

#[cfg(feature = "cuda")]
struct SquaredError;

#[cfg(feature = "cuda")]
impl CustomOp2 for SquaredError {
    fn name(&self) -> &'static str {
        "squared-error"
    }

    fn cpu_fwd(
        &self,
        _x: &CpuStorage,
        _x_layout: &Layout,
        _target: &CpuStorage,
        _target_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("this is an operation of cards")
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        target: &CudaStorage,
        target_layout: &Layout,
    ) -> Result<Made> {
        losses::squared_error(Operand::new(x, x_layout)?, Operand::new(target, target_layout)?)
    }

    fn bwd(
        &self,
        x: &Tensor,
        target: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some(losses::squared_error_back(x, target, dy)?), None))
    }
}
