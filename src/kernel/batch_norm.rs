//! Batch normalisation over channels-last data (Ioffe and Szegedy 2015, arXiv:1502.03167), with
//! the residual connection and the rectifier that often follow it.

use std::sync::{Arc, OnceLock};

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::channels::{Affine, Pass, moments};
use super::real::{Real, with_real};
use super::tape::{apply2, apply3};
use super::values::{Values, output, slice, tensor};

/// A batch normalisation.
#[derive(Debug, Clone, Copy)]
pub struct BatchNorm {
    /// Added to the variance before its root is taken.
    pub epsilon: f64,
    /// Whether a rectifier follows.
    pub relu: bool,
}

/// The result of [`batch_norm`].
pub struct BatchNormed {
    /// The normalised data, in the shape of the input.
    pub output: Tensor,
    /// The mean of each channel [C], without a gradient.
    pub mean: Tensor,
    /// The variance of each channel over the number of pixels [C], without a gradient.
    pub variance: Tensor,
}

/// Normalises each channel of `x` [..., C] by its mean and variance over all other axes, scales it
/// by `scale_shift[0]`, shifts it by `scale_shift[1]` [2,C], adds `residual` and rectifies.
///
/// # Errors
/// When shapes do not fit or there is no pixel.
pub fn batch_norm(
    x: &Tensor,
    scale_shift: &Tensor,
    residual: Option<&Tensor>,
    norm: BatchNorm,
) -> Result<BatchNormed> {
    if x.elem_count() == 0 {
        bail!("batch normalisation needs at least one pixel");
    }
    let statistics = Arc::new(OnceLock::new());
    let map = Standardize { norm, statistics: statistics.clone() };
    let output = apply(x, scale_shift, residual, map)?;
    let Statistics { mean, variance } = statistics.get().expect("the operation has run");
    let channel = |values: &[f64]| Tensor::new(values, x.device())?.to_dtype(x.dtype());
    Ok(BatchNormed { output, mean: channel(mean)?, variance: channel(variance)? })
}

/// Scales each channel of `x` [..., C] by `scale_shift[0]`, shifts it by `scale_shift[1]` [2,C],
/// adds `residual` and rectifies if `relu`: batch normalisation with known statistics.
///
/// # Errors
/// When shapes do not fit.
pub fn channel_affine(
    x: &Tensor,
    scale_shift: &Tensor,
    residual: Option<&Tensor>,
    relu: bool,
) -> Result<Tensor> {
    apply(x, scale_shift, residual, Known { relu })
}

fn apply<M: ChannelMap + Send + Sync + 'static>(
    x: &Tensor,
    scale_shift: &Tensor,
    residual: Option<&Tensor>,
    map: M,
) -> Result<Tensor> {
    let (expected, found) = ((2, x.dim(candle_core::D::Minus1)?), scale_shift.dims2()?);
    if expected != found {
        bail!("expected scales and shifts of shape {expected:?}, found {found:?}");
    }
    let (x, scale_shift) = (x.contiguous()?, scale_shift.contiguous()?);
    let Some(residual) = residual else { return apply2(&x, &scale_shift, Mapped(map)) };
    if residual.shape() != x.shape() {
        bail!("expected a residual of shape {:?}, found {:?}", x.dims(), residual.dims());
    }
    apply3(&x, &scale_shift, &residual.contiguous()?, Mapped(map))
}

/// What a channel is normalised by.
struct Statistics {
    mean: Vec<f64>,
    variance: Vec<f64>,
}

struct Standardize {
    norm: BatchNorm,
    statistics: Arc<OnceLock<Statistics>>,
}

/// An affine map of each channel whose gradient is known.
trait ChannelMap {
    const NAME: &'static str;

    fn relu(&self) -> bool;

    /// Factor and summand of each channel.
    fn factors<T: Real>(&self, x: &[T], scale_shift: [&[T]; 2]) -> [Vec<f64>; 2];

    /// The gradients of the input and of the scales and shifts.
    fn gradients<T: Real>(&self, pass: Pass<T>, scale: &[T]) -> (Vec<T>, Vec<T>);
}

impl ChannelMap for Standardize {
    const NAME: &'static str = "batch-norm";

    fn relu(&self) -> bool {
        self.norm.relu
    }

    fn factors<T: Real>(&self, x: &[T], [scale, shift]: [&[T]; 2]) -> [Vec<f64>; 2] {
        let [mean, variance] = moments(x, scale.len());
        let statistics = self.statistics.get_or_init(|| Statistics { mean, variance });
        let scale = |c: usize| scale[c].to_f64() * self.inverse_deviation(statistics, c);
        let factor: Vec<f64> = (0..shift.len()).map(scale).collect();
        let summand = |c: usize| shift[c].to_f64() - statistics.mean[c] * factor[c];
        let summand = (0..shift.len()).map(summand).collect();
        [factor, summand]
    }

    /// With `s = Σ dy`, `t = Σ dy (x - μ)` over m pixels and `r = 1/σ`:
    /// `dx = γ r (dy - s/m - (x - μ) r² t/m)`, `dγ = r t`, `dβ = s`.
    fn gradients<T: Real>(&self, pass: Pass<T>, scale: &[T]) -> (Vec<T>, Vec<T>) {
        let statistics = self.statistics.get().expect("the forward pass came first");
        let channels = scale.len();
        let pixels = (pass.x.len() / channels) as f64;
        let [s, t] = pass.sums(&statistics.mean);
        let r: Vec<f64> = (0..channels).map(|c| self.inverse_deviation(statistics, c)).collect();
        let a: Vec<f64> = (0..channels).map(|c| scale[c].to_f64() * r[c]).collect();
        let b: Vec<f64> = (0..channels).map(|c| -a[c] * r[c] * r[c] * t[c] / pixels).collect();
        let c: Vec<f64> = (0..channels).map(|c| -a[c] * s[c] / pixels).collect();
        let scales = t.iter().zip(&r).map(|(t, r)| t * r);
        let scale_shift = scales.chain(s.iter().copied()).map(T::of).collect();
        (pass.combined([&a, &b, &c, &statistics.mean]), scale_shift)
    }
}

impl Standardize {
    fn inverse_deviation(&self, statistics: &Statistics, channel: usize) -> f64 {
        1.0 / (statistics.variance[channel] + self.norm.epsilon).sqrt()
    }
}

struct Known {
    relu: bool,
}

impl ChannelMap for Known {
    const NAME: &'static str = "channel-affine";

    fn relu(&self) -> bool {
        self.relu
    }

    fn factors<T: Real>(&self, _x: &[T], scale_shift: [&[T]; 2]) -> [Vec<f64>; 2] {
        scale_shift.map(|values| values.iter().map(|value| value.to_f64()).collect())
    }

    fn gradients<T: Real>(&self, pass: Pass<T>, scale: &[T]) -> (Vec<T>, Vec<T>) {
        let zeros = vec![0.0; scale.len()];
        let scale: Vec<f64> = scale.iter().map(|scale| scale.to_f64()).collect();
        let [sum, product] = pass.sums(&zeros);
        let scale_shift = product.iter().chain(&sum).map(|value| T::of(*value)).collect();
        (pass.combined([&scale, &zeros, &zeros, &zeros]), scale_shift)
    }
}

/// Storage and layout of one argument.
type Argument<'a> = (&'a CpuStorage, &'a Layout);

fn forward<M: ChannelMap>(
    map: &M,
    x: Argument,
    scale_shift: Argument,
    residual: Option<Argument>,
) -> Result<(CpuStorage, Shape)> {
    with_real!(x.0.dtype(), T => {
        let values = slice::<T>(x.0, x.1)?;
        let (scale, shift) = halves(slice::<T>(scale_shift.0, scale_shift.1)?);
        let residual = residual.map(|(storage, layout)| slice::<T>(storage, layout)).transpose()?;
        let [factor, summand] = map.factors(values, [scale, shift]);
        let affine = Affine { scale: &factor, shift: &summand, residual, relu: map.relu() };
        output(affine.of(values), x.1.shape())
    })
}

/// Input, output, and the gradient of the output.
type Tensors<'a> = [&'a Tensor; 3];

fn backward<M: ChannelMap>(
    map: &M,
    tensors: Tensors,
    scales: &Tensor,
    relu: bool,
) -> Result<[Tensor; 2]> {
    with_real!(scales.dtype(), T => {
        let [x, y, dy] = tensors.map(Values::<T>::of);
        let (x, y, dy) = (x?, y?, dy?);
        let pass = Pass { x: &x, y: &y, dy: &dy, relu };
        let scale_shift = Values::<T>::of(scales)?;
        let (dx, gradient) = map.gradients(pass, halves(&scale_shift).0);
        Ok([tensor(dx, tensors[0].shape())?, tensor(gradient, scales.shape())?])
    })
}

/// The gradient of what is added before the rectifier.
fn residual_gradient(relu: bool, y: &Tensor, dy: &Tensor) -> Result<Tensor> {
    if !relu {
        return Ok(dy.clone());
    }
    with_real!(y.dtype(), T => {
        let (values, gradient) = (Values::<T>::of(y)?, Values::<T>::of(dy)?);
        let pass = Pass { x: &values, y: &values, dy: &gradient, relu: true };
        tensor(pass.rectified(), y.shape())
    })
}

fn halves<T>(values: &[T]) -> (&[T], &[T]) {
    values.split_at(values.len() / 2)
}

/// A channel map as an operation on tensors.
struct Mapped<M>(M);

impl<M: ChannelMap> CustomOp2 for Mapped<M> {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        scales: &CpuStorage,
        scales_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        forward(&self.0, (x, x_layout), (scales, scales_layout), None)
    }

    fn bwd(
        &self,
        x: &Tensor,
        scales: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [dx, dscales] = backward(&self.0, [x, y, &dy.contiguous()?], scales, self.0.relu())?;
        Ok((Some(dx), Some(dscales)))
    }
}

impl<M: ChannelMap> CustomOp3 for Mapped<M> {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        scales: &CpuStorage,
        scales_layout: &Layout,
        residual: &CpuStorage,
        residual_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let residual = Some((residual, residual_layout));
        forward(&self.0, (x, x_layout), (scales, scales_layout), residual)
    }

    fn bwd(
        &self,
        x: &Tensor,
        scales: &Tensor,
        _residual: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        // What flows into the residual has passed the rectifier, so the rest need not mask again.
        let dy = residual_gradient(self.0.relu(), y, &dy.contiguous()?)?;
        let [dx, dscales] = backward(&self.0, [x, y, &dy], scales, false)?;
        Ok((Some(dx), Some(dscales), Some(dy)))
    }
}
