//! Multiplication by constant factors, as dropout needs it.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
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
    let factors = factors.to_dtype(x.dtype())?.contiguous()?.detach();
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

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let dy = dy.contiguous()?;
        with_real!(x.dtype(), T => {
            tensor(self.apply(&Values::<T>::of(&dy)?)?, x.shape()).map(Some)
        })
    }
}
