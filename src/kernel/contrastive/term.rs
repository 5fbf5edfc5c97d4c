//! The value and the gradient of one term for one anchor.

use std::ops::Range;

use super::inside::Ratios;
use super::sets::{Classes, Contrast};
use super::{Denominator, NoPositive, PairKind, PairTerm, Sum, Weighed};
use crate::kernel::lanes::{largest, sum_of};
use crate::kernel::real::Real;
use crate::kernel::wide::wide;

impl PairTerm {
    /// Whether an anchor whose class has `size` items is compared with anything.
    pub(super) fn counts(&self, classes: &Classes, size: usize) -> bool {
        let (positives, twins) = match self.cross {
            true => (size, 1),
            false => (classes.views() * size - 1, classes.views() - 1),
        };
        match self.kind {
            PairKind::SupCon { denominator: Denominator::Negatives, .. } => {
                positives > 0 && size < classes.items()
            }
            PairKind::SupCon { .. } => positives > 0,
            PairKind::ClassInfoNce | PairKind::InfoNce => twins > 0,
        }
    }
}

impl Weighed {
    /// What the part of one anchor and contrast set is multiplied by, beside the weight of its
    /// item: one over their number, or over the sum of their weights, 0 without any, times the
    /// scale.
    pub(super) fn share(&self, classes: &Classes) -> f64 {
        let PairTerm { no_positive, cross, scale, temperature, .. } = self.term;
        let is_counted =
            |size: usize| no_positive != NoPositive::Skip || self.term.counts(classes, size);
        let counted = classes.labels().enumerate().filter(|(_, (_, size))| is_counted(*size));
        let items: f64 = counted.map(|(position, _)| self.of_item(position)).sum();
        let views = classes.views();
        let times = if cross { views * (views - 1) / 2 } else { views };
        let scale = scale.map_or(1.0, |base| temperature / base);
        if items == 0.0 { 0.0 } else { scale / (items * times as f64) }
    }
}

wide! {
    /// Adds the gradient of the anchor's part, times `weight`, to `gradient`, if there is one, and
    /// returns the part. `dots` are the anchor's dot products, not yet over the temperature.
    pub(super) fn add_term<T: Real>(
        term: &PairTerm,
        dots: &[T],
        contrast: &Contrast,
        weight: f64,
        gradient: Option<&mut [T]>,
    ) -> f64 {
        let anchor = Anchor { dots, inverse: T::of(1.0 / term.temperature) };
        let Contrast { positives, negatives, all, twins } = contrast;
        let (weight, clip) = (T::of(weight), term.clip.map(T::of));
        let (numerators, denominators) = match term.kind {
            PairKind::SupCon { sum: Sum::Out, denominator: Denominator::Own } => {
                return anchor.each_against((positives, negatives), clip, weight, gradient);
            }
            PairKind::SupCon { sum: sum @ (Sum::In | Sum::InTotal), denominator } => {
                let ratios = Ratios { denominator, clip, is_total: sum == Sum::InTotal };
                return anchor.inside(contrast, &ratios, weight, gradient);
            }
            PairKind::SupCon { denominator: Denominator::All, .. } => (positives, all),
            PairKind::SupCon { .. } => (positives, negatives),
            PairKind::ClassInfoNce => (twins, positives),
            PairKind::InfoNce => (twins, all),
        };
        anchor.mean_against((numerators, denominators), clip, weight, gradient)
    }
}

/// The similarities of one anchor.
pub(super) struct Anchor<'a, T> {
    pub(super) dots: &'a [T],
    /// One over the temperature.
    pub(super) inverse: T,
}

/// The logarithm of a sum of exponentials, in parts: `most + ln(sum)`.
pub(super) struct LogSumExp<T> {
    pub(super) most: T,
    pub(super) sum: T,
}

impl<T: Real> LogSumExp<T> {
    pub(super) fn value(&self) -> f64 {
        self.most.to_f64() + self.sum.to_f64().ln()
    }
}

pub(super) fn count(ranges: &[Range<usize>]) -> usize {
    ranges.iter().map(Range::len).sum()
}

impl<T: Real> Anchor<'_, T> {
    #[inline(always)]
    pub(super) fn log_sum_exp(&self, ranges: &[Range<usize>]) -> LogSumExp<T> {
        let mut most = T::of(f64::NEG_INFINITY);
        for range in ranges {
            most = most.larger(largest(&self.dots[range.clone()]));
        }
        let most = most * self.inverse;
        let sum = self.sum(ranges, |similarity| (similarity - most).exp());
        LogSumExp { most, sum }
    }

    /// `Σ f(S)` over ranges.
    #[inline(always)]
    pub(super) fn sum(&self, ranges: &[Range<usize>], f: impl Fn(T) -> T) -> T {
        let mut sum = T::ZERO;
        for range in ranges {
            sum += sum_of(&self.dots[range.clone()], |dot| f(dot * self.inverse));
        }
        sum
    }

    /// Adds `f(S)`, the derivative by S, to the gradient by the dot product.
    #[inline(always)]
    pub(super) fn add(&self, gradient: &mut [T], ranges: &[Range<usize>], f: impl Fn(T) -> T) {
        for range in ranges {
            let dots = &self.dots[range.clone()];
            for (gradient, dot) in gradient[range.clone()].iter_mut().zip(dots) {
                *gradient += f(*dot * self.inverse) * self.inverse;
            }
        }
    }

    /// `ln Σ e^S - mean(S)`, the sum over `denominators` and the mean over `numerators`.
    #[inline(always)]
    fn mean_against(
        &self,
        (numerators, denominators): (&[Range<usize>], &[Range<usize>]),
        clip: Option<T>,
        weight: T,
        gradient: Option<&mut [T]>,
    ) -> f64 {
        let count = T::of(count(numerators) as f64);
        let total = self.log_sum_exp(denominators);
        if let Some(gradient) = gradient {
            let (most, scale) = (total.most, weight / total.sum);
            self.add(gradient, denominators, |similarity| (similarity - most).exp() * scale);
            self.add(gradient, numerators, |_| -weight / count);
            self.let_go(gradient, numerators, clip, weight / count);
        }
        let mean = (self.sum(numerators, |similarity| similarity) / count).to_f64();
        total.value() - mean + self.excess(numerators, clip) / count.to_f64()
    }

    /// The mean over p in `positives` of `-ln(e^S_p / (e^S_p + Σ e^S_n))` with n in `negatives`,
    /// which is `softplus(ln Σ e^S_n - S_p)`.
    #[inline(always)]
    fn each_against(
        &self,
        (positives, negatives): (&[Range<usize>], &[Range<usize>]),
        clip: Option<T>,
        weight: T,
        mut gradient: Option<&mut [T]>,
    ) -> f64 {
        let is_alone = count(negatives) == 0;
        let count = T::of(count(positives) as f64);
        if let Some(gradient) = &mut gradient {
            self.let_go(gradient, positives, clip, weight / count);
        }
        let excess = self.excess(positives, clip) / count.to_f64();
        if is_alone {
            return excess;
        }
        let total = self.log_sum_exp(negatives);
        let level = T::of(total.value());
        if let Some(gradient) = gradient {
            let pull = self.sum(positives, |similarity| sigmoid(level - similarity)) / count;
            let (most, scale) = (total.most, weight * pull / total.sum);
            self.add(gradient, negatives, |similarity| (similarity - most).exp() * scale);
            let scale = weight / count;
            self.add(gradient, positives, |similarity| -scale * sigmoid(level - similarity));
        }
        (self.sum(positives, |similarity| softplus(level - similarity)) / count).to_f64() + excess
    }

    /// What a clip takes from the similarities of `numerators`, summed: that much greater is a mean
    /// of `-S` for it.
    #[inline(always)]
    fn excess(&self, numerators: &[Range<usize>], clip: Option<T>) -> f64 {
        let Some(clip) = clip else { return 0.0 };
        self.sum(numerators, |similarity| (similarity - clip).larger(T::ZERO)).to_f64()
    }

    /// Adds the derivative of the [excess](Self::excess), times `weight`.
    #[inline(always)]
    fn let_go(&self, gradient: &mut [T], numerators: &[Range<usize>], clip: Option<T>, weight: T) {
        let Some(clip) = clip else { return };
        self.add(
            gradient,
            numerators,
            |similarity| {
                if similarity > clip { weight } else { T::ZERO }
            },
        );
    }
}

/// `ln(1 + e^x)`.
#[inline(always)]
pub(super) fn softplus<T: Real>(x: T) -> T {
    x.larger(T::ZERO) + (-x.abs()).exp().ln_1p()
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(super) fn sigmoid<T: Real>(x: T) -> T {
    let small = (-x.abs()).exp();
    let numerator = if x > T::ZERO { T::ONE } else { small };
    numerator / (T::ONE + small)
}
