//! The linear map of a fully connected layer, with bias and rectifier.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, D, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::channels::{Pass, column_sums};
use super::matrix::{Matrix, Product};
use super::pieces::{fold, room, shares};
use super::real::{Real, with_real};
use super::tape::{apply2, apply3};
use super::values::{Values, output, slice, tensor};
use super::wide::wide;

/// Weights above this number are split among tasks, those below are summed over shares of rows.
const LARGE: usize = 64 * 1024;

/// `x Wᵀ + b` for `x` [..., I], `weight` [O,I] and `bias` [O], rectified if `relu`.
///
/// # Errors
/// When the shapes do not fit.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, relu: bool) -> Result<Tensor> {
    let ((outputs, inputs), found) = (weight.dims2()?, x.dim(D::Minus1)?);
    if found != inputs {
        bail!("expected {inputs} features, found {found}");
    }
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    let Some(bias) = bias else { return apply2(&x, &weight, Linear { relu }) };
    if bias.dims() != [outputs] {
        bail!("expected a bias of shape [{outputs}], found {:?}", bias.dims());
    }
    apply3(&x, &weight, &bias.contiguous()?, Linear { relu })
}

struct Linear {
    relu: bool,
}

/// Rows of `x` in one task.
fn rows_per_task(rows: usize) -> usize {
    rows.div_ceil(8).clamp(16, 256)
}

fn forward<T: Real>(x: &[T], weight: Matrix<T>, bias: Option<&[T]>, relu: bool) -> Vec<T> {
    let (outputs, inputs) = weight.size();
    let rows = x.len() / inputs;
    let task = rows_per_task(rows);
    let mut y = room(rows * outputs);
    y.par_chunks_mut(task * outputs).zip(x.par_chunks(task * inputs)).for_each(|(y, x)| {
        let rows = Matrix::new(x, x.len() / inputs, inputs);
        match bias {
            None => Product::into(y, outputs).of(rows, weight.t()),
            Some(bias) => {
                y.chunks_exact_mut(outputs).for_each(|y| y.copy_from_slice(bias));
                Product::onto(y, outputs).of(rows, weight.t());
            }
        }
        if relu {
            rectify(y);
        }
    });
    y
}

wide! {
    fn rectify<T: Real>(y: &mut [T]) {
        for y in y {
            *y = y.larger(T::ZERO);
        }
    }
}

fn input_gradient<T: Real>(dy: &[T], weight: Matrix<T>) -> Vec<T> {
    let (outputs, inputs) = weight.size();
    let rows = dy.len() / outputs;
    let task = rows_per_task(rows);
    let mut dx = room(rows * inputs);
    dx.par_chunks_mut(task * inputs).zip(dy.par_chunks(task * outputs)).for_each(|(dx, dy)| {
        let rows = Matrix::new(dy, dy.len() / outputs, outputs);
        Product::into(dx, inputs).of(rows, weight);
    });
    dx
}

fn weight_gradient<T: Real>(x: Matrix<T>, dy: Matrix<T>) -> Vec<T> {
    let ((rows, inputs), outputs) = (x.size(), dy.size().1);
    if inputs * outputs > LARGE {
        let mut dw = room(outputs * inputs);
        let task = outputs.div_ceil(8).max(16);
        dw.par_chunks_mut(task * inputs).enumerate().for_each(|(index, dw)| {
            let columns = index * task..index * task + dw.len() / inputs;
            Product::into(dw, inputs).of(dy.columns(columns).t(), x);
        });
        return dw;
    }
    let parts = shares(rows, 16, 128).into_par_iter().map(|share| {
        let mut dw = room(outputs * inputs);
        Product::into(&mut dw, inputs).of(dy.rows(share.clone()).t(), x.rows(share));
        dw
    });
    fold(parts.collect(), outputs * inputs)
}

/// The gradients of input, weight and bias, each if it is wanted.
type Gradients = [Option<Tensor>; 3];

impl Linear {
    fn forward(
        &self,
        x: (&CpuStorage, &Layout),
        weight: (&CpuStorage, &Layout),
        bias: Option<(&CpuStorage, &Layout)>,
    ) -> Result<(CpuStorage, Shape)> {
        let (outputs, inputs) = weight.1.shape().dims2()?;
        let mut shape = x.1.dims().to_vec();
        shape.pop();
        shape.push(outputs);
        with_real!(x.0.dtype(), T => {
            let weight = Matrix::new(slice::<T>(weight.0, weight.1)?, outputs, inputs);
            let bias = bias.map(|(storage, layout)| slice::<T>(storage, layout)).transpose()?;
            output(forward(slice::<T>(x.0, x.1)?, weight, bias, self.relu), shape)
        })
    }

    fn backward<T: Real>(
        &self,
        [x, weight, y, dy]: [&Tensor; 4],
        bias: Option<&Tensor>,
    ) -> Result<Gradients> {
        let (outputs, inputs) = weight.dims2()?;
        let dy = dy.contiguous()?;
        let (values, gradient) = (Values::<T>::of(y)?, Values::<T>::of(&dy)?);
        let pass = Pass { x: &values, y: &values, dy: &gradient, relu: true };
        let masked = self.relu.then(|| pass.rectified());
        let dy: &[T] = masked.as_deref().unwrap_or(&gradient);
        let rows = dy.len() / outputs;
        let dx = || {
            let weight = Values::<T>::of(weight)?;
            tensor(input_gradient(dy, Matrix::new(&weight, outputs, inputs)), x.shape())
        };
        let dw = || {
            let x = Values::<T>::of(x)?;
            let (x, dy) = (Matrix::new(&x, rows, inputs), Matrix::new(dy, rows, outputs));
            tensor(weight_gradient(x, dy), (outputs, inputs))
        };
        let db = |_: &Tensor| tensor(column_sums(dy, outputs), outputs);
        Ok([
            x.track_op().then(dx).transpose()?,
            weight.track_op().then(dw).transpose()?,
            bias.filter(|bias| bias.track_op()).map(db).transpose()?,
        ])
    }
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward((x, x_layout), (weight, weight_layout), None)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        with_real!(x.dtype(), T => {
            let [dx, dw, _] = self.backward::<T>([x, weight, y, dy], None)?;
            Ok((dx, dw))
        })
    }
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear-bias"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward((x, x_layout), (weight, weight_layout), Some((bias, bias_layout)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        with_real!(x.dtype(), T => {
            let [dx, dw, db] = self.backward::<T>([x, weight, y, dy], Some(bias))?;
            Ok((dx, dw, db))
        })
    }
}
