//! Group normalisation of channels-last images (Wu and He 2018, arXiv:1803.08494): every group of
//! channels of every image by its own mean and variance.

use std::sync::OnceLock;

use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use super::card::{Operand, channel_map as on_card, statistics};
use super::channel_map::{ChannelMap, apply};
use super::channels::{Affine, Pass, moments};
use super::pieces::{fold, room};
use super::real::Real;

/// A group normalisation.
#[derive(Debug, Clone, Copy)]
pub struct GroupNorm {
    /// Groups of neighbouring channels; must divide their number.
    pub groups: usize,
    /// Added to the variance before its root is taken.
    pub epsilon: f64,
    /// Whether a rectifier follows.
    pub relu: bool,
}

/// Normalises each group of channels of each image of `x` [N, ..., C] by its mean and variance,
/// scales channels by `scale_shift[0]`, shifts them by `scale_shift[1]` [2,C], adds `residual` and
/// rectifies.
///
/// # Errors
/// When shapes do not fit, the groups do not divide the channels, or there is no pixel.
pub fn group_norm(
    x: &Tensor,
    scale_shift: &Tensor,
    residual: Option<&Tensor>,
    norm: GroupNorm,
) -> Result<Tensor> {
    let channels = x.dim(candle_core::D::Minus1)?;
    if norm.groups == 0 || channels % norm.groups != 0 {
        bail!("{channels} channels cannot be divided among {} groups", norm.groups);
    }
    if x.elem_count() == 0 {
        bail!("group normalisation needs at least one pixel");
    }
    let map = Grouped {
        norm,
        images: x.dim(0)?,
        statistics: OnceLock::new(),
        #[cfg(feature = "cuda")]
        on_card: OnceLock::new(),
    };
    apply(x, scale_shift, residual, map)
}

struct Grouped {
    norm: GroupNorm,
    images: usize,
    statistics: OnceLock<Vec<Statistics>>,
    #[cfg(feature = "cuda")]
    on_card: OnceLock<statistics::Statistics>,
}

/// What the channels of one image are normalised by, group by group.
struct Statistics {
    mean: Vec<f64>,
    inverse_deviation: Vec<f64>,
}

impl GroupNorm {
    fn statistics<T: Real>(&self, image: &[T], channels: usize) -> Statistics {
        let [means, variances] = moments(image, channels);
        let size = channels / self.groups;
        let of_group = |(means, variances): (&[f64], &[f64])| {
            let mean = means.iter().sum::<f64>() / size as f64;
            // The variance within channels and the variance between them.
            let within = variances.iter().sum::<f64>() / size as f64;
            let between = means.iter().map(|it| (it - mean) * (it - mean)).sum::<f64>();
            (mean, 1.0 / (within + between / size as f64 + self.epsilon).sqrt())
        };
        let (mean, inverse_deviation) =
            means.chunks(size).zip(variances.chunks(size)).map(of_group).unzip();
        Statistics { mean, inverse_deviation }
    }
}

/// The parts of all images, one for each.
fn parts<T: Sync>(values: &[T], images: usize) -> rayon::slice::Chunks<'_, T> {
    values.par_chunks(values.len() / images)
}

impl ChannelMap for Grouped {
    const NAME: &'static str = "group-norm";

    fn relu(&self) -> bool {
        self.norm.relu
    }

    fn output<T: Real>(
        &self,
        x: &[T],
        [scale, shift]: [&[T]; 2],
        residual: Option<&[T]>,
    ) -> Vec<T> {
        let (channels, len) = (scale.len(), x.len() / self.images);
        let images = parts(x, self.images);
        let statistics = images.map(|image| self.norm.statistics(image, channels)).collect();
        let statistics = self.statistics.get_or_init(|| statistics);
        let size = channels / self.norm.groups;
        let mut y = room(x.len());
        y.par_chunks_mut(len).enumerate().for_each(|(index, y)| {
            let Statistics { mean, inverse_deviation } = &statistics[index];
            let factor = |c: usize| scale[c].to_f64() * inverse_deviation[c / size];
            let factors: Vec<f64> = (0..channels).map(factor).collect();
            let summand = |c: usize| shift[c].to_f64() - mean[c / size] * factors[c];
            let summands: Vec<f64> = (0..channels).map(summand).collect();
            let image = index * len..(index + 1) * len;
            let residual = residual.map(|residual| &residual[image.clone()]);
            let relu = self.norm.relu;
            Affine { scale: &factors, shift: &summands, residual, relu }.write(&x[image], y);
        });
        y
    }

    fn gradients<T: Real>(&self, pass: Pass<T>, scale: &[T]) -> (Vec<T>, Vec<T>) {
        let statistics = self.statistics.get().expect("the forward pass came first");
        let len = pass.x.len() / self.images;
        let scale: Vec<f64> = scale.iter().map(|it| it.to_f64()).collect();
        let mut dx = room(pass.x.len());
        let sums = dx.par_chunks_mut(len).enumerate().map(|(index, dx)| {
            let part = index * len..(index + 1) * len;
            let [x, y, dy] = [pass.x, pass.y, pass.dy].map(|values| &values[part.clone()]);
            let image = Pass { x, y, dy, relu: pass.relu };
            self.norm.image_gradients(image, &scale, &statistics[index], dx)
        });
        let sums = fold(sums.collect(), 2 * scale.len());
        (dx, sums.into_iter().map(T::of).collect())
    }

    #[cfg(feature = "cuda")]
    fn images(&self) -> usize {
        self.images
    }

    #[cfg(feature = "cuda")]
    fn prepare(&self, x: Operand, scale_shift: Operand) -> Result<()> {
        let GroupNorm { groups, epsilon, .. } = self.norm;
        let channels = scale_shift.len() / 2;
        let sizes = [self.images, x.len() / (self.images * channels), channels];
        let found = statistics::of_groups(x, scale_shift, sizes, groups, epsilon)?;
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
        statistics::of_groups_back(parts, scale_shift, found, self.norm.groups)
    }
}

impl GroupNorm {
    /// With `s = Σ dy`, `t = Σ dy (x - μ)` for each channel, `S = Σ γ s` and `T = Σ γ t` over the
    /// channels of a group of m numbers, and `r = 1/σ`:
    /// `dx = r (γ dy - S/m - (x - μ) r² T/m)`, `dγ = r t`, `dβ = s`. Writes the first to `dx` and
    /// gives the others, one after the other.
    fn image_gradients<T: Real>(
        &self,
        pass: Pass<T>,
        scale: &[f64],
        statistics: &Statistics,
        dx: &mut [T],
    ) -> Vec<f64> {
        let channels = scale.len();
        let size = channels / self.groups;
        let count = (pass.x.len() / self.groups) as f64;
        let spread = |values: &[f64]| (0..channels).map(|c| values[c / size]).collect::<Vec<_>>();
        let (center, r) = (spread(&statistics.mean), spread(&statistics.inverse_deviation));
        let [s, t] = pass.sums(&center);
        let in_group = |values: &[f64]| {
            let sum = |(scales, values): (&[f64], &[f64])| {
                scales.iter().zip(values).map(|(scale, value)| scale * value).sum::<f64>()
            };
            spread(&scale.chunks(size).zip(values.chunks(size)).map(sum).collect::<Vec<_>>())
        };
        let (sums, products) = (in_group(&s), in_group(&t));
        let a: Vec<f64> = (0..channels).map(|c| r[c] * scale[c]).collect();
        let b: Vec<f64> = (0..channels).map(|c| -r[c].powi(3) * products[c] / count).collect();
        let c: Vec<f64> = (0..channels).map(|c| -r[c] * sums[c] / count).collect();
        pass.combine_into(dx, [&a, &b, &c, &center]);
        t.iter().zip(&r).map(|(t, r)| t * r).chain(s.iter().copied()).collect()
    }
}
