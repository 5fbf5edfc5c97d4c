//! The sum of two tensors, as a branch and what it goes past are added.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use super::card::Operand;
use super::pieces::room;
use super::real::{Real, with_real};
use super::tape::apply2;
use super::values::{output, slice};
use super::wide::wide;

/// Elements of a task.
const TASK: usize = 16 * 1024;

/// `x + y` for tensors of one shape. Both get the gradient of the sum as it is, where candle's own
/// addition copies it twice.
///
/// # Errors
/// When the shapes differ.
pub fn sum(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    if x.dims() != y.dims() {
        bail!("a sum of shapes {:?} and {:?}", x.dims(), y.dims());
    }
    apply2(&x.contiguous()?, &y.contiguous()?, Sum)
}

struct Sum;

/// `a + b`, element by element.
pub(super) fn add<T: Real>(a: &[T], b: &[T]) -> Vec<T> {
    let mut sum = room(a.len());
    let tasks = a.par_chunks(TASK).zip(b.par_chunks(TASK));
    sum.par_chunks_mut(TASK).zip(tasks).for_each(|(sum, (a, b))| add_pairs(sum, a, b));
    sum
}

wide! {
    fn add_pairs<T: Real>(sum: &mut [T], a: &[T], b: &[T]) {
        for (sum, (a, b)) in sum.iter_mut().zip(a.iter().zip(b)) {
            *sum = *a + *b;
        }
    }
}

impl CustomOp2 for Sum {
    fn name(&self) -> &'static str {
        "sum"
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
            output(add(x, y), x_layout.shape())
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
        let (x, y) = (Operand::new(x, x_layout)?, Operand::new(y, y_layout)?);
        super::card::elementwise::add(x, y)
    }

    fn bwd(
        &self,
        x: &Tensor,
        y: &Tensor,
        _sum: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let of = |input: &Tensor| input.track_op().then(|| gradient.clone());
        Ok((of(x), of(y)))
    }
}
