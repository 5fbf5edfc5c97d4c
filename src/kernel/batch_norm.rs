//! Batch normalisation over channels-last data (Ioffe and Szegedy 2015, arXiv:1502.03167), with
//! the residual connection and the rectifier that often follow it.

use std::sync::{Arc, OnceLock};

use candle_core::{Result, Tensor, Var, bail};

#[cfg(feature = "cuda")]
use super::card::{Operand, channel_map as on_card, statistics};
use super::channel_map::{ChannelMap, apply};
use super::channels::{Affine, Pass, moments};
use super::real::Real;

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

/// Running statistics [C] that are moved towards those of a batch.
#[derive(Debug, Clone)]
pub struct Running {
    pub mean: Var,
    pub variance: Var,
    /// The part of them that is replaced.
    pub share: f64,
    /// What the variance of a batch is multiplied by.
    pub unbiased: f64,
}

impl Running {
    /// Moves them towards the mean and the variance of a batch.
    fn record(&self, [mean, variance]: [&Tensor; 2]) -> Result<()> {
        move_towards(&self.mean, mean, self.share, 1.0)?;
        move_towards(&self.variance, variance, self.share, self.unbiased)
    }
}

/// Moves a running statistic towards `factor` times the statistic of a batch.
fn move_towards(running: &Var, batch: &Tensor, share: f64, factor: f64) -> Result<()> {
    let kept = running.as_detached_tensor().affine(1.0 - share, 0.0)?;
    running.set(&(kept + batch.affine(share * factor, 0.0)?)?)
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
    batch_norm_recorded(x, scale_shift, residual, norm, None)
}

/// The same, with the statistics recorded in `running`.
///
/// # Errors
/// As [`batch_norm`], and when running statistics have another shape.
pub fn batch_norm_recorded(
    x: &Tensor,
    scale_shift: &Tensor,
    residual: Option<&Tensor>,
    norm: BatchNorm,
    running: Option<&Running>,
) -> Result<BatchNormed> {
    if x.elem_count() == 0 {
        bail!("batch normalisation needs at least one pixel");
    }
    let statistics = Arc::new(OnceLock::new());
    #[cfg(feature = "cuda")]
    let on_card = Arc::new(OnceLock::new());
    let map = Standardize {
        norm,
        statistics: statistics.clone(),
        #[cfg(feature = "cuda")]
        on_card: on_card.clone(),
        #[cfg(feature = "cuda")]
        running: running.cloned(),
    };
    let output = apply(x, scale_shift, residual, map)?;
    #[cfg(feature = "cuda")]
    if let Some(statistics::Statistics { values, .. }) = on_card.get() {
        return Ok(BatchNormed { output, mean: values.get(0)?, variance: values.get(1)? });
    }
    let Statistics { mean, variance } = statistics.get().expect("the operation has run");
    let channel = |values: &[f64]| Tensor::new(values, x.device())?.to_dtype(x.dtype());
    let (mean, variance) = (channel(mean)?, channel(variance)?);
    if let Some(running) = running {
        running.record([&mean, &variance])?;
    }
    Ok(BatchNormed { output, mean, variance })
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

/// What a channel is normalised by.
struct Statistics {
    mean: Vec<f64>,
    variance: Vec<f64>,
}

struct Standardize {
    norm: BatchNorm,
    statistics: Arc<OnceLock<Statistics>>,
    #[cfg(feature = "cuda")]
    on_card: Arc<OnceLock<statistics::Statistics>>,
    #[cfg(feature = "cuda")]
    running: Option<Running>,
}

impl ChannelMap for Standardize {
    const NAME: &'static str = "batch-norm";

    fn relu(&self) -> bool {
        self.norm.relu
    }

    fn output<T: Real>(&self, x: &[T], scale_shift: [&[T]; 2], residual: Option<&[T]>) -> Vec<T> {
        let [scale, shift] = &self.factors(x, scale_shift);
        Affine { scale, shift, residual, relu: self.relu() }.of(x)
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

    #[cfg(feature = "cuda")]
    fn prepare(&self, x: Operand, scale_shift: Operand) -> Result<()> {
        let running = self.running.as_ref();
        let found = statistics::of_batch(x, scale_shift, self.norm.epsilon, running)?;
        self.on_card.get_or_init(|| found);
        Ok(())
    }

    #[cfg(feature = "cuda")]
    fn table(&self) -> Option<&Tensor> {
        self.on_card.get().map(|statistics| &statistics.table)
    }

    #[cfg(feature = "cuda")]
    fn terms(&self, parts: &on_card::Parts, scale_shift: Operand) -> Result<on_card::Terms> {
        let found = &self.on_card.get().expect("the forward pass came first").values;
        statistics::of_batch_back(parts, scale_shift, found, self.norm.epsilon)
    }
}

impl Standardize {
    /// Factor and summand of each channel.
    fn factors<T: Real>(&self, x: &[T], [scale, shift]: [&[T]; 2]) -> [Vec<f64>; 2] {
        let [mean, variance] = moments(x, scale.len());
        let statistics = self.statistics.get_or_init(|| Statistics { mean, variance });
        let scale = |c: usize| scale[c].to_f64() * self.inverse_deviation(statistics, c);
        let factor: Vec<f64> = (0..shift.len()).map(scale).collect();
        let summand = |c: usize| shift[c].to_f64() - statistics.mean[c] * factor[c];
        let summand = (0..shift.len()).map(summand).collect();
        [factor, summand]
    }

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

    fn output<T: Real>(&self, x: &[T], scale_shift: [&[T]; 2], residual: Option<&[T]>) -> Vec<T> {
        let [scale, shift] =
            &scale_shift.map(|values| values.iter().map(|it| it.to_f64()).collect::<Vec<_>>());
        Affine { scale, shift, residual, relu: self.relu }.of(x)
    }

    fn gradients<T: Real>(&self, pass: Pass<T>, scale: &[T]) -> (Vec<T>, Vec<T>) {
        let zeros = vec![0.0; scale.len()];
        let scale: Vec<f64> = scale.iter().map(|scale| scale.to_f64()).collect();
        let [sum, product] = pass.sums(&zeros);
        let scale_shift = product.iter().chain(&sum).map(|value| T::of(*value)).collect();
        (pass.combined([&scale, &zeros, &zeros, &zeros]), scale_shift)
    }

    #[cfg(feature = "cuda")]
    fn prepare(&self, _x: Operand, _scale_shift: Operand) -> Result<()> {
        Ok(())
    }

    #[cfg(feature = "cuda")]
    fn table(&self) -> Option<&Tensor> {
        None
    }

    #[cfg(feature = "cuda")]
    fn terms(&self, parts: &on_card::Parts, scale_shift: Operand) -> Result<on_card::Terms> {
        statistics::of_known_back(parts, scale_shift)
    }
}
