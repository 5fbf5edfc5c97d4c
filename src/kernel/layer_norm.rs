//! Layer normalisation over the last axis (Ba, Kiros and Hinton 2016, arXiv:1607.06450).

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, D, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use super::card::Operand;
use super::lanes::{sum_of, sum_pairs, sum_triples};
use super::pieces::{fold, ranges, room, split};
use super::real::{Real, with_real};
use super::tape::apply3;
use super::values::{Values, output, slice, tensor};
use super::wide::wide;

/// Rows of a task.
const ROWS: usize = 256;

/// Normalises each row of `x` [..., C] by its own mean and variance, scales it by `scale` [C] and
/// shifts it by `shift` [C]; `epsilon` is added to the variance.
///
/// # Errors
/// When shapes do not fit.
pub fn layer_norm(x: &Tensor, scale: &Tensor, shift: &Tensor, epsilon: f64) -> Result<Tensor> {
    let channels = x.dim(D::Minus1)?;
    for (name, found) in [("scale", scale.dims()), ("shift", shift.dims())] {
        if found != [channels] {
            bail!("expected a {name} of shape [{channels}], found {found:?}");
        }
    }
    let op = LayerNorm { epsilon };
    apply3(&x.contiguous()?, &scale.contiguous()?, &shift.contiguous()?, op)
}

struct LayerNorm {
    epsilon: f64,
}

/// The mean of a row and the inverse of its standard deviation.
#[inline(always)]
fn statistics<T: Real>(row: &[T], epsilon: T) -> (T, T) {
    let count = T::of(row.len() as f64);
    let mean = sum_of(row, |x| x) / count;
    let variance = sum_of(row, |x| (x - mean) * (x - mean)) / count;
    (mean, T::ONE / (variance + epsilon).sqrt())
}

fn forward<T: Real>(x: &[T], scale: &[T], shift: &[T], epsilon: T) -> Vec<T> {
    let channels = scale.len();
    let mut y = room(x.len());
    let task = ROWS * channels;
    y.par_chunks_mut(task).zip(x.par_chunks(task)).for_each(|(y, x)| {
        normalize_rows(y, x, (scale, shift), epsilon);
    });
    y
}

wide! {
    fn normalize_rows<T: Real>(y: &mut [T], x: &[T], parameters: (&[T], &[T]), epsilon: T) {
        let (scale, shift) = parameters;
        let channels = scale.len();
        for (y, x) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
            let (mean, inverse) = statistics(x, epsilon);
            for ((y, x), (scale, shift)) in y.iter_mut().zip(x).zip(scale.iter().zip(shift)) {
                *y = (*x - mean) * inverse * *scale + *shift;
            }
        }
    }
}

/// The gradient of the input, and those of scale and shift one after the other.
fn backward<T: Real>(x: &[T], scale: &[T], dy: &[T], epsilon: T) -> (Vec<T>, Vec<T>) {
    let channels = scale.len();
    let mut dx = room(x.len());
    let tasks = ranges(x.len(), ROWS * channels);
    let outputs = split(&mut dx, tasks.iter().map(|task| task.len()));
    let parts = tasks.par_iter().zip(outputs).map(|(task, dx)| {
        let mut sums = vec![T::ZERO; 2 * channels];
        row_gradients(dx, (&x[task.clone()], &dy[task.clone()]), (scale, epsilon), &mut sums);
        sums
    });
    let sums = fold(parts.collect(), 2 * channels);
    (dx, sums)
}

/// Data and the gradient of what became of it.
type Rows<'a, T> = (&'a [T], &'a [T]);

wide! {
    fn row_gradients<T: Real>(dx: &mut [T], rows: Rows<T>, settings: (&[T], T), sums: &mut [T]) {
        let (x, dy) = rows;
        let (scale, epsilon) = settings;
        let channels = scale.len();
        let rows = x.chunks_exact(channels).zip(dy.chunks_exact(channels));
        for (dx, (x, dy)) in dx.chunks_exact_mut(channels).zip(rows) {
            let (mean, inverse) = statistics(x, epsilon);
            normalized(x, mean, inverse, dx);
            add_parameter_gradients(sums, dx, dy);
            row_gradient(dx, scale, dy, inverse);
        }
    }
}

#[inline(always)]
fn normalized<T: Real>(x: &[T], mean: T, inverse: T, to: &mut [T]) {
    for (to, x) in to.iter_mut().zip(x) {
        *to = (*x - mean) * inverse;
    }
}

#[inline(always)]
fn add_parameter_gradients<T: Real>(sums: &mut [T], normalized: &[T], dy: &[T]) {
    let (scales, shifts) = sums.split_at_mut(normalized.len());
    for ((scale, shift), (x, dy)) in scales.iter_mut().zip(shifts).zip(normalized.iter().zip(dy)) {
        *scale += *dy * *x;
        *shift += *dy;
    }
}

/// With `g = γ dy` and x̂ the normalised row: `dx = (g - mean(g) - x̂ mean(g x̂)) / σ`. On entry
/// `row` is x̂, on return `dx`.
#[inline(always)]
fn row_gradient<T: Real>(row: &mut [T], scale: &[T], dy: &[T], inverse: T) {
    let count = T::of(row.len() as f64);
    let mean = sum_pairs(scale, dy, |scale, dy| scale * dy) / count;
    let product = sum_triples(row, scale, dy, |x, scale, dy| x * (scale * dy)) / count;
    for ((x, scale), dy) in row.iter_mut().zip(scale).zip(dy) {
        *x = (*scale * *dy - mean - *x * product) * inverse;
    }
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        scale: &CpuStorage,
        scale_layout: &Layout,
        shift: &CpuStorage,
        shift_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        with_real!(x.dtype(), T => {
            let (scale, shift) = (slice::<T>(scale, scale_layout)?, slice(shift, shift_layout)?);
            let y = forward(slice(x, x_layout)?, scale, shift, T::of(self.epsilon));
            output(y, x_layout.shape())
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &candle_core::CudaStorage,
        x_layout: &Layout,
        scale: &candle_core::CudaStorage,
        scale_layout: &Layout,
        shift: &candle_core::CudaStorage,
        shift_layout: &Layout,
    ) -> Result<super::card::Made> {
        let x = Operand::new(x, x_layout)?;
        let (scale, shift) =
            (Operand::new(scale, scale_layout)?, Operand::new(shift, shift_layout)?);
        super::card::layer_norm::forward(x, scale, shift, self.epsilon)
    }

    fn bwd(
        &self,
        x: &Tensor,
        scale: &Tensor,
        shift: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let found = super::card::layer_norm::backward([x, scale, dy], self.epsilon)?;
            let [dx, dscale, dshift] = found.map(Some);
            return Ok((dx, dscale, dshift));
        }
        let dy = dy.contiguous()?;
        with_real!(x.dtype(), T => {
            let (values, scales) = (Values::<T>::of(x)?, Values::<T>::of(scale)?);
            let (dx, sums) = backward(&values, &scales, &Values::of(&dy)?, T::of(self.epsilon));
            let (dscale, dshift) = sums.split_at(scales.len());
            let dscale = tensor(dscale.to_vec(), scale.shape())?;
            let dshift = tensor(dshift.to_vec(), shift.shape())?;
            Ok((Some(tensor(dx, x.shape())?), Some(dscale), Some(dshift)))
        })
    }
}
