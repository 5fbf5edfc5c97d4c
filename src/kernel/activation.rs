//! Activation functions on their own; the rectifier is fused into other kernels where it can be.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::pieces::room;
use super::real::{Real, with_real};
use super::values::{Values, output, slice, tensor};
use super::wide::wide;

/// Elements of a task.
const TASK: usize = 16 * 1024;

/// `max(x, 0)`, with gradient 0 at 0.
///
/// # Errors
/// When `x` is not of `f32` or `f64`.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Activation::Relu)
}

/// `x Φ(x)` with the exact normal distribution function (Hendrycks and Gimpel 2016,
/// arXiv:1606.08415).
///
/// # Errors
/// When `x` is not of `f32` or `f64`.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Activation::Gelu)
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

fn map<T: Real>(x: &[T], f: impl Fn(T) -> T + Copy + Sync) -> Vec<T> {
    let mut y = room(x.len());
    y.par_chunks_mut(TASK).zip(x.par_chunks(TASK)).for_each(|(y, x)| wide(map_each, (y, x, f)));
    y
}

#[inline(always)]
fn map_each<T: Real>((y, x, f): (&mut [T], &[T], impl Fn(T) -> T)) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = f(*x);
    }
}

fn map_gradient<T: Real>(x: &[T], dy: &[T], slope: impl Fn(T) -> T + Copy + Sync) -> Vec<T> {
    let mut dx = room(x.len());
    let tasks = x.par_chunks(TASK).zip(dy.par_chunks(TASK));
    dx.par_chunks_mut(TASK)
        .zip(tasks)
        .for_each(|(dx, (x, dy))| wide(map_gradient_each, (dx, (x, dy), slope)));
    dx
}

#[inline(always)]
fn map_gradient_each<T: Real>((dx, (x, dy), slope): (&mut [T], (&[T], &[T]), impl Fn(T) -> T)) {
    for (dx, (x, dy)) in dx.iter_mut().zip(x.iter().zip(dy)) {
        *dx = slope(*x) * *dy;
    }
}

#[inline(always)]
fn relu_value<T: Real>(x: T) -> T {
    x.larger(T::ZERO)
}

#[inline(always)]
fn relu_slope<T: Real>(x: T) -> T {
    if x > T::ZERO { T::ONE } else { T::ZERO }
}

#[inline(always)]
fn gelu_value<T: Real>(x: T) -> T {
    x * distribution(x)
}

#[inline(always)]
fn gelu_slope<T: Real>(x: T) -> T {
    distribution(x) + x * density(x)
}

impl Activation {
    fn forward<T: Real>(&self, x: &[T]) -> Vec<T> {
        match self {
            Self::Relu => map(x, relu_value),
            Self::Gelu => map(x, gelu_value),
        }
    }

    fn backward<T: Real>(&self, x: &[T], dy: &[T]) -> Vec<T> {
        match self {
            Self::Relu => map_gradient(x, dy, relu_slope),
            Self::Gelu => map_gradient(x, dy, gelu_slope),
        }
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

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let dy = dy.contiguous()?;
        with_real!(x.dtype(), T => {
            let dx = self.backward(&Values::<T>::of(x)?, &Values::<T>::of(&dy)?);
            tensor(dx, x.shape()).map(Some)
        })
    }
}
