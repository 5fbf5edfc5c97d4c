//! Multiplication by constant factors, as dropout needs it.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::pieces::room;
use super::real::{Real, with_real};
use super::tape::apply1;
use super::values::{Values, output, slice, tensor};
use super::wide::wide;

/// Elements of a task.
const TASK: usize = 16 * 1024;

/// Multiplies `x` by constant `factors` whose shape is that of the first axes of `x`: each factor
/// applies to all elements below it.
///
/// # Errors
/// When the shapes do not fit.
pub fn scaled(x: &Tensor, factors: &Tensor) -> Result<Tensor> {
    if !x.dims().starts_with(factors.dims()) {
        bail!("factors of shape {:?} do not fit {:?}", factors.dims(), x.dims());
    }
    // Only the activations of a card may be in halves.
    let dtype = if x.device().is_cuda() { DType::F32 } else { x.dtype() };
    let factors = factors.to_dtype(dtype)?.contiguous()?.detach();
    apply1(&x.contiguous()?, Scaled { factors })
}

struct Scaled {
    factors: Tensor,
}

impl Scaled {
    fn apply<T: Real>(&self, x: &[T]) -> Result<Vec<T>> {
        let factors = Values::<T>::of(&self.factors)?;
        let run = x.len() / factors.len().max(1);
        let runs = TASK.div_ceil(run.max(1));
        let mut y = room(x.len());
        let tasks = x.par_chunks(runs * run.max(1)).zip(factors.par_chunks(runs));
        y.par_chunks_mut(runs * run.max(1)).zip(tasks).for_each(|(y, (x, factors))| {
            scale(y, x, factors, run);
        });
        Ok(y)
    }
}

wide! {
    fn scale<T: Real>(y: &mut [T], x: &[T], factors: &[T], run: usize) {
        if run == 1 {
            for (y, (x, factor)) in y.iter_mut().zip(x.iter().zip(factors)) {
                *y = *x * *factor;
            }
            return;
        }
        for ((y, x), factor) in y.chunks_exact_mut(run).zip(x.chunks_exact(run)).zip(factors) {
            y.iter_mut().zip(x).for_each(|(y, x)| *y = *x * *factor);
        }
    }
}

impl CustomOp1 for Scaled {
    fn name(&self) -> &'static str {
        "scaled"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        with_real!(x.dtype(), T => output(self.apply(slice::<T>(x, layout)?)?, layout.shape()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &candle_core::CudaStorage, layout: &Layout) -> Result<super::card::Made> {
        let x = super::card::Operand::new(x, layout)?;
        super::card::on([&self.factors], |[factors]| super::card::dropout::scaled(x, factors))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            return super::card::on([dy, &self.factors], |[of_dy, factors]| {
                super::card::dropout::scaled(of_dy, factors)
            })
            .map(|made| Some(super::card::leaf(made)));
        }
        let dy = dy.contiguous()?;
        with_real!(x.dtype(), T => {
            tensor(self.apply(&Values::<T>::of(&dy)?)?, x.shape()).map(Some)
        })
    }
}
