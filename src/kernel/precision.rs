//! Whether the products of layers are computed in half precision: a matter of the whole step, not of
//! the layers.

use std::cell::Cell;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor};

#[cfg(feature = "cuda")]
use super::card::{Operand, elementwise, leaf, on};
use super::tape::apply1;

thread_local! {
    static HALVES: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` with the products of linear layers in bf16, added up in f32, if `halves`; forward as
/// back, on `f32` alone.
pub fn in_halves<R>(halves: bool, work: impl FnOnce() -> R) -> R {
    let _before = Before(HALVES.replace(halves));
    work()
}

/// Whether operations that begin now multiply halves.
pub(crate) fn multiplies_halves() -> bool {
    HALVES.get()
}

/// `x` in another type; its gradient is in its own.
pub(crate) fn in_type(x: &Tensor, dtype: DType) -> Result<Tensor> {
    if x.dtype() == dtype { Ok(x.clone()) } else { apply1(&x.contiguous()?, InType(dtype)) }
}

/// What `layers` make of `x`. On a card that multiplies halves all between them is in halves; what
/// they make of it is not.
pub(crate) fn between(
    x: &Tensor,
    layers: impl FnOnce(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    if x.device().is_cpu() || !multiplies_halves() {
        return layers(x);
    }
    in_type(&layers(&in_type(x, DType::BF16)?)?, DType::F32)
}

/// What programs have in the place of weights that steps round on a card, where there are none.
#[cfg(not(feature = "cuda"))]
#[derive(Default)]
pub struct Rounded(());

#[cfg(not(feature = "cuda"))]
impl Rounded {
    /// Runs `work`.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn during<R>(
        &mut self,
        _of: impl FnOnce() -> Vec<(String, candle_core::Var)>,
        work: impl FnOnce() -> Result<R>,
    ) -> Result<R> {
        work()
    }
}

struct InType(DType);

impl CustomOp1 for InType {
    fn name(&self) -> &'static str {
        "in-type"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((x.to_dtype(layout, self.0)?, layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &candle_core::CudaStorage, layout: &Layout) -> Result<super::card::Made> {
        match elementwise::in_type(Operand::new(x, layout)?, self.0)? {
            Some(made) => Ok(made),
            None => Ok((x.to_dtype(layout, self.0)?, layout.shape().clone())),
        }
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        #[cfg(feature = "cuda")]
        if dy.device().is_cuda()
            && let Some(made) = on([dy], |[dy]| elementwise::in_type(dy, x.dtype()))?
        {
            return Ok(Some(leaf(made)));
        }
        dy.to_dtype(x.dtype()).map(Some)
    }
}

/// What was asked before; it is asked again when this is dropped.
struct Before(bool);

impl Drop for Before {
    fn drop(&mut self) {
        HALVES.set(self.0);
    }
}
