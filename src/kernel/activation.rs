//! Activation functions on their own; the rectifier is fused into other kernels where it can be.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::pieces::room;
use super::real::{Real, with_real};
use super::tape::apply1;
use super::values::{Values, output, slice, tensor};
use super::wide::wide;

/// Elements of a task.
const TASK: usize = 16 * 1024;

/// `max(x, 0)`, with gradient 0 at 0.
///
/// # Errors
/// When `x` is not of `f32` or `f64`.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    apply1(&x.contiguous()?, Activation::Relu)
}

/// `x Φ(x)` with the exact normal distribution function (Hendrycks and Gimpel 2016,
/// arXiv:1606.08415).
///
/// # Errors
/// When `x` is not of `f32` or `f64`.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    apply1(&x.contiguous()?, Activation::Gelu)
}

enum Activation {
    Relu,
    Gelu,
}

/// The standard normal distribution function.
#[inline(always)]
fn distribution<T: Real>(x: T) -> T {
    T::of(0.5) * (T::ONE + (x * T::of(std::f64::consts::FRAC_1_SQRT_2)).erf())
}

/// The standard normal density.
#[inline(always)]
fn density<T: Real>(x: T) -> T {
    let scale = 0.5 * std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
    T::of(scale) * (T::of(-0.5) * x * x).exp()
}

/// Fills the output of a task from its input.
type Map<T> = fn(&mut [T], &[T]);

/// Fills the gradient of a task's input from the input and the gradient of the output.
type Gradient<T> = fn(&mut [T], &[T], &[T]);

wide! {
    fn relu_each<T: Real>(y: &mut [T], x: &[T]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y = x.larger(T::ZERO);
        }
    }
}

wide! {
    fn relu_gradient_each<T: Real>(dx: &mut [T], x: &[T], dy: &[T]) {
        for (dx, (x, dy)) in dx.iter_mut().zip(x.iter().zip(dy)) {
            *dx = if *x > T::ZERO { *dy } else { T::ZERO };
        }
    }
}

wide! {
    fn gelu_each<T: Real>(y: &mut [T], x: &[T]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y = *x * distribution(*x);
        }
    }
}

wide! {
    fn gelu_gradient_each<T: Real>(dx: &mut [T], x: &[T], dy: &[T]) {
        for (dx, (x, dy)) in dx.iter_mut().zip(x.iter().zip(dy)) {
            *dx = *dy * (distribution(*x) + *x * density(*x));
        }
    }
}

impl Activation {
    fn forward<T: Real>(&self, x: &[T]) -> Vec<T> {
        let map: Map<T> = match self {
            Self::Relu => relu_each,
            Self::Gelu => gelu_each,
        };
        let mut y = room(x.len());
        y.par_chunks_mut(TASK).zip(x.par_chunks(TASK)).for_each(|(y, x)| map(y, x));
        y
    }

    fn backward<T: Real>(&self, x: &[T], dy: &[T]) -> Vec<T> {
        let gradient: Gradient<T> = match self {
            Self::Relu => relu_gradient_each,
            Self::Gelu => gelu_gradient_each,
        };
        let mut dx = room(x.len());
        let tasks = x.par_chunks(TASK).zip(dy.par_chunks(TASK));
        dx.par_chunks_mut(TASK).zip(tasks).for_each(|(dx, (x, dy))| gradient(dx, x, dy));
        dx
    }
}

impl CustomOp1 for Activation {
    fn name(&self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::Gelu => "gelu",
        }
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        with_real!(x.dtype(), T => output(self.forward(slice::<T>(x, layout)?), layout.shape()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &candle_core::CudaStorage, layout: &Layout) -> Result<super::card::Made> {
        let x = super::card::Operand::new(x, layout)?;
        super::card::activation::forward(self.name(), x)
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let name = match self {
                Self::Relu => "relu_back",
                Self::Gelu => "gelu_back",
            };
            return super::card::activation::backward(name, x, dy).map(Some);
        }
        let dy = dy.contiguous()?;
        with_real!(x.dtype(), T => {
            let dx = self.backward(&Values::<T>::of(x)?, &Values::<T>::of(&dy)?);
            tensor(dx, x.shape()).map(Some)
        })
    }
}
