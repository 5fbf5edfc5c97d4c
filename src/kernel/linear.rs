//! The linear map of a fully connected layer, with bias and rectifier.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, D, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use super::card::{
    Made, Operand,
    linear::{Layer, backward, forward},
};
use super::channels::{Pass, column_sums};
use super::matrix::Matrix;
use super::pieces::{fold, ranges, room, scratch, shares};
use super::precision::multiplies_halves;
use super::product::{Finish, Halves, Panels, packed, packed_halves, packed_len};
use super::real::{Real, in_f32, in_f32_mut, with_real};
use super::tape::{apply2, apply3};
use super::values::{Values, output, slice, tensor};

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
    let op = Linear::new(relu);
    let Some(bias) = bias else { return apply2(&x, &weight, op) };
    if bias.dims() != [outputs] {
        bail!("expected a bias of shape [{outputs}], found {:?}", bias.dims());
    }
    apply3(&x, &weight, &bias.contiguous()?, op)
}

struct Linear {
    relu: bool,
    /// Whether products are those of numbers rounded to bf16.
    halves: bool,
    #[cfg(feature = "cuda")]
    rounded: super::card::linear::Rounded,
}

impl Linear {
    fn new(relu: bool) -> Self {
        Self {
            relu,
            halves: multiplies_halves(),
            #[cfg(feature = "cuda")]
            rounded: Default::default(),
        }
    }
}

/// Rows of a batch that are laid out at a time, so that there need not be room for all.
const SUMMED: usize = 512;

/// Rows of `x` in one task: so few that threads end together where one core is slower.
fn rows_per_task(rows: usize) -> usize {
    rows.div_ceil(16).clamp(16, 256)
}

/// The right factor of products, laid out in either precision.
enum Laid<T> {
    Full(Vec<T>),
    Half(Vec<u32>),
}

impl<T: Real> Laid<T> {
    /// Lays `factor` out, in half precision if its numbers are `f32` and `halves`.
    fn new(factor: Matrix<T>, halves: bool) -> Self {
        match factor.in_f32().filter(|_| halves) {
            Some(factor) => Self::Half(packed_halves(factor)),
            None => Self::Full(packed(factor)),
        }
    }

    /// The product of `left` with this factor of a size.
    fn times(&self, size: (usize, usize), left: Matrix<T>, to: &mut [T], finish: Finish<T>) {
        match self {
            Self::Full(values) => Panels::of(size, values).times(left, to, finish),
            Self::Half(pairs) => {
                let (Some(left), Some(to)) = (left.in_f32(), in_f32_mut(to)) else {
                    unreachable!("halves are made of `f32`")
                };
                let Finish { onto, relu, bias } = finish;
                let finish = Finish { onto, relu, bias: bias.and_then(in_f32) };
                Halves::of(size, pairs).times(left, to, finish);
            }
        }
    }
}

/// The product of rows `x` with a factor, finished.
fn product<T: Real>(x: Matrix<T>, factor: Matrix<T>, finish: Finish<T>, halves: bool) -> Vec<T> {
    let ((rows, inner), columns) = (x.size(), factor.size().1);
    let laid = Laid::new(factor, halves);
    let (task, mut y) = (rows_per_task(rows), room(rows * columns));
    y.par_chunks_mut((task * columns).max(1)).enumerate().for_each(|(index, y)| {
        let first = index * task;
        laid.times((inner, columns), x.rows(first..rows.min(first + task)), y, finish);
    });
    y
}

/// `dyᵀ x`: of many weights by tasks of some of its rows, of few by shares of the rows of `x`.
fn weight_gradient<T: Real>(x: Matrix<T>, dy: Matrix<T>, halves: bool) -> Vec<T> {
    let ((rows, inputs), outputs) = (x.size(), dy.size().1);
    if inputs * outputs <= LARGE || rows == 0 {
        return few_weights(x, dy);
    }
    let (mut dw, task) = (room(outputs * inputs), outputs.div_ceil(8).max(48));
    for share in ranges(rows, SUMMED) {
        let laid = Laid::new(x.rows(share.clone()), halves);
        let (dy, onto) = (dy.rows(share.clone()), share.start > 0);
        dw.par_chunks_mut(task * inputs).enumerate().for_each(|(index, dw)| {
            let first = index * task;
            let left = dy.columns(first..outputs.min(first + task)).t();
            let finish = Finish { onto, ..Finish::default() };
            laid.times((share.len(), inputs), left, dw, finish);
        });
    }
    dw
}

/// `dyᵀ x` by shares of rows, each with sums of its own; always in full precision, as it is little.
fn few_weights<T: Real>(x: Matrix<T>, dy: Matrix<T>) -> Vec<T> {
    let ((rows, inputs), outputs) = (x.size(), dy.size().1);
    let parts = shares(rows, 16, 128).into_par_iter().map(|share| {
        let mut dw = room(outputs * inputs);
        scratch(packed_len((share.len(), inputs)), |values| {
            let panels = Panels::lay(x.rows(share.clone()), values);
            panels.times(dy.rows(share).t(), &mut dw, Finish::default());
        });
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
            let x = slice::<T>(x.0, x.1)?;
            let rows = Matrix::new(x, x.len() / inputs.max(1), inputs);
            let finish = Finish { onto: false, bias, relu: self.relu };
            output(product(rows, weight.t(), finish, self.halves), shape)
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
            let (dy, weight) =
                (Matrix::new(dy, rows, outputs), Matrix::new(&weight, outputs, inputs));
            tensor(product(dy, weight, Finish::default(), self.halves), x.shape())
        };
        let dw = || {
            let x = Values::<T>::of(x)?;
            let (x, dy) = (Matrix::new(&x, rows, inputs), Matrix::new(dy, rows, outputs));
            tensor(weight_gradient(x, dy, self.halves), (outputs, inputs))
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

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
    ) -> Result<Made> {
        let (x, weight) = (Operand::new(x, x_layout)?, Operand::new(weight, weight_layout)?);
        forward(&Layer { x, weight, bias: None, relu: self.relu }, &self.rounded)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let [dx, dw, _] = backward([x, weight, y, dy], None, self.relu, &self.rounded)?;
            return Ok((dx, dw));
        }
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

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
        bias: &CudaStorage,
        bias_layout: &Layout,
    ) -> Result<Made> {
        let (x, weight) = (Operand::new(x, x_layout)?, Operand::new(weight, weight_layout)?);
        let bias = Some(Operand::new(bias, bias_layout)?);
        forward(&Layer { x, weight, bias, relu: self.relu }, &self.rounded)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let [dx, dw, db] = backward([x, weight, y, dy], Some(bias), self.relu, &self.rounded)?;
            return Ok((dx, dw, db));
        }
        with_real!(x.dtype(), T => {
            let [dx, dw, db] = self.backward::<T>([x, weight, y, dy], Some(bias))?;
            Ok((dx, dw, db))
        })
    }
}
