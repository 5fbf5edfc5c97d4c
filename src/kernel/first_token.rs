//! The first token of each sample.

use candle_core::{Result, Tensor};

#[cfg(feature = "cuda")]
use super::card::{Made, Operand, tokens};
#[cfg(feature = "cuda")]
use super::tape::apply1;
#[cfg(feature = "cuda")]
use candle_core::{CpuStorage, CudaStorage, CustomOp1, Layout, Shape, bail};

/// The first token of each sample of `x` [B,N,D], [B,1,D]. On a card the way back is one kernel; candle
/// fills and adds up several tensors.
///
/// # Errors
/// When there is no token.
pub fn first_token(x: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() && x.dim(1)? > 0 {
        return apply1(&x.contiguous()?, FirstToken);
    }
    x.narrow(1, 0, 1)?.contiguous()
}

#[cfg(feature = "cuda")]
struct FirstToken;

#[cfg(feature = "cuda")]
impl CustomOp1 for FirstToken {
    fn name(&self) -> &'static str {
        "first-token"
    }

    fn cpu_fwd(&self, _x: &CpuStorage, _layout: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("this is an operation of cards")
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<Made> {
        tokens::first(Operand::new(x, layout)?)
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        tokens::first_back(dy, x.dim(1)?).map(Some)
    }
}
