//! Two tensors of one shape, one upon the other.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

use super::real::with_real;
use super::tape::apply2;
use super::values::{output, slice};

/// `x` and `y` as one tensor [2, ...], as scales and shifts are given to normalisations. Their
/// gradients are the halves of its own, where those of candle's stack are copied several times.
///
/// # Errors
/// When the shapes differ.
pub fn stacked(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    if x.dims() != y.dims() {
        bail!("a stack of shapes {:?} and {:?}", x.dims(), y.dims());
    }
    apply2(&x.contiguous()?, &y.contiguous()?, Stacked)
}

struct Stacked;

/// The shape of two of a shape.
fn two_of(shape: &Shape) -> Vec<usize> {
    [&[2][..], shape.dims()].concat()
}

impl CustomOp2 for Stacked {
    fn name(&self) -> &'static str {
        "stacked"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        y: &CpuStorage,
        y_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        with_real!(x.dtype(), T => {
            let (x, y) = (slice::<T>(x, x_layout)?, slice::<T>(y, y_layout)?);
            output([x, y].concat(), two_of(x_layout.shape()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &candle_core::CudaStorage,
        x_layout: &Layout,
        y: &candle_core::CudaStorage,
        y_layout: &Layout,
    ) -> Result<super::card::Made> {
        use super::card::{Operand, statistics};
        let (x, y) = (Operand::new(x, x_layout)?, Operand::new(y, y_layout)?);
        statistics::stacked(x, y, two_of(x_layout.shape()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        y: &Tensor,
        _stacked: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let half = |input: &Tensor, index| input.track_op().then(|| gradient.get(index));
        Ok((half(x, 0).transpose()?, half(y, 1).transpose()?))
    }
}
