//! The first channels of all that there are.

use candle_core::{D, Result, Tensor};

#[cfg(feature = "cuda")]
use super::card::{Made, Operand, elementwise, leaf, on};
#[cfg(feature = "cuda")]
use super::tape::apply1;
#[cfg(feature = "cuda")]
use candle_core::{CpuStorage, CudaStorage, CustomOp1, Layout, Shape, bail};

/// The first `channels` of `x` [..., C]. On a card one kernel there and one back; candle copies by
/// strides, and adds the gradient to zeros.
///
/// # Errors
/// When there are not so many.
pub fn first_channels(x: &Tensor, channels: usize) -> Result<Tensor> {
    let some = x.narrow(D::Minus1, 0, channels)?;
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() {
        return apply1(&x.contiguous()?, FirstChannels(channels));
    }
    some.contiguous()
}

#[cfg(feature = "cuda")]
struct FirstChannels(usize);

#[cfg(feature = "cuda")]
impl CustomOp1 for FirstChannels {
    fn name(&self) -> &'static str {
        "first-channels"
    }

    fn cpu_fwd(&self, _x: &CpuStorage, _layout: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("this is an operation of cards")
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<Made> {
        elementwise::first_columns(Operand::new(x, layout)?, self.0)
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let all = x.dim(D::Minus1)?;
        on([dy], |[dy]| elementwise::first_columns_back(dy, all)).map(leaf).map(Some)
    }
}
