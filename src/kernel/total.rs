//! The weighted sum of losses.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, DType, Layout, Result, Shape, Tensor, bail};

use super::precision::in_type;
use super::tape::{apply1, apply2};

/// `sum + weight · value` of scalars, or `weight · value` without a sum. On a card it is one kernel
/// there and at most one back, where candle has ten.
///
/// # Errors
/// When they are on different devices.
pub(crate) fn plus(sum: Option<&Tensor>, value: &Tensor, weight: f64) -> Result<Tensor> {
    if value.device().is_cuda() {
        let value = in_type(value, DType::F32)?;
        return match sum {
            None => apply1(&value, Plus(weight)),
            Some(sum) => apply2(sum, &value, Plus(weight)),
        };
    }
    match sum {
        None => value.affine(weight, 0.0),
        Some(sum) if weight == 1.0 => sum + value,
        Some(sum) => sum + value.affine(weight, 0.0)?,
    }
}

struct Plus(f64);

impl Plus {
    fn back(&self, value: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        match value.track_op() {
            #[cfg(feature = "cuda")]
            true => super::card::losses::plus_weighted_back(dy, self.0).map(Some),
            #[cfg(not(feature = "cuda"))]
            true => dy.affine(self.0, 0.0).map(Some),
            false => Ok(None),
        }
    }
}

impl CustomOp1 for Plus {
    fn name(&self) -> &'static str {
        "weighted"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("this is an operation of cards")
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        value: &candle_core::CudaStorage,
        layout: &Layout,
    ) -> Result<super::card::Made> {
        let value = super::card::Operand::new(value, layout)?;
        super::card::losses::plus_weighted(None, value, self.0)
    }

    fn bwd(&self, value: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        self.back(value, dy)
    }
}

impl CustomOp2 for Plus {
    fn name(&self) -> &'static str {
        "plus-weighted"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("this is an operation of cards")
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        sum: &candle_core::CudaStorage,
        sum_layout: &Layout,
        value: &candle_core::CudaStorage,
        layout: &Layout,
    ) -> Result<super::card::Made> {
        let sum = super::card::Operand::new(sum, sum_layout)?;
        let value = super::card::Operand::new(value, layout)?;
        super::card::losses::plus_weighted(Some(sum), value, self.0)
    }

    fn bwd(
        &self,
        sum: &Tensor,
        value: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((sum.track_op().then(|| dy.clone()), self.back(value, dy)?))
    }
}
