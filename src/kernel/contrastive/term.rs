//! The value and the gradient of one term for one anchor.

use std::ops::Range;

use super::sets::{Classes, Contrast};
use super::{Denominator, NoPositive, PairKind, PairTerm};
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
            PairKind::SupCon { denominator: Denominator::Negatives } => {
                positives > 0 && size < classes.items()
            }
            PairKind::SupCon { .. } => positives > 0,
            PairKind::ClassInfoNce | PairKind::InfoNce => twins > 0,
        }
    }

    /// One over the number of anchors and contrast sets the mean is taken over; 0 without any.
    pub(super) fn share(&self, classes: &Classes) -> f64 {
        let counted = classes.labels().filter(|(_, size)| self.counts(classes, *size)).count();
        let items = if self.no_positive == NoPositive::Skip { counted } else { classes.items() };
        let views = classes.views();
        let times = if self.cross { views * (views - 1) / 2 } else { views };
        if items == 0 { 0.0 } else { 1.0 / (items * times) as f64 }
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
        let (numerators, denominators) = match term.kind {
            PairKind::SupCon { denominator: Denominator::Own } => {
                return anchor.each_against(positives, negatives, T::of(weight), gradient);
            }
            PairKind::SupCon { denominator: Denominator::All } => (positives, all),
            PairKind::SupCon { denominator: Denominator::Negatives } => (positives, negatives),
            PairKind::ClassInfoNce => (twins, positives),
            PairKind::InfoNce => (twins, all),
        };
        anchor.mean_against(numerators, denominators, T::of(weight), gradient)
    }
}

/// The similarities of one anchor.
struct Anchor<'a, T> {
    dots: &'a [T],
    /// One over the temperature.
    inverse: T,
}

/// The logarithm of a sum of exponentials, in parts: `most + ln(sum)`.
struct LogSumExp<T> {
    most: T,
    sum: T,
}

impl<T: Real> LogSumExp<T> {
    fn value(&self) -> f64 {
        self.most.to_f64() + self.sum.to_f64().ln()
    }
}

fn count(ranges: &[Range<usize>]) -> usize {
    ranges.iter().map(Range::len).sum()
}

impl<T: Real> Anchor<'_, T> {
    #[inline(always)]
    fn log_sum_exp(&self, ranges: &[Range<usize>]) -> LogSumExp<T> {
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
    fn sum(&self, ranges: &[Range<usize>], f: impl Fn(T) -> T) -> T {
        let mut sum = T::ZERO;
        for range in ranges {
            sum += sum_of(&self.dots[range.clone()], |dot| f(dot * self.inverse));
        }
        sum
    }

    /// Adds `f(S)`, the derivative by S, to the gradient by the dot product.
    #[inline(always)]
    fn add(&self, gradient: &mut [T], ranges: &[Range<usize>], f: impl Fn(T) -> T) {
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
        numerators: &[Range<usize>],
        denominators: &[Range<usize>],
        weight: T,
        gradient: Option<&mut [T]>,
    ) -> f64 {
        let count = T::of(count(numerators) as f64);
        let total = self.log_sum_exp(denominators);
        if let Some(gradient) = gradient {
            let (most, scale) = (total.most, weight / total.sum);
            self.add(gradient, denominators, |similarity| (similarity - most).exp() * scale);
            self.add(gradient, numerators, |_| -weight / count);
        }
        total.value() - (self.sum(numerators, |similarity| similarity) / count).to_f64()
    }

    /// The mean over p in `positives` of `-ln(e^S_p / (e^S_p + Σ e^S_n))` with n in `negatives`,
    /// which is `softplus(ln Σ e^S_n - S_p)`.
    #[inline(always)]
    fn each_against(
        &self,
        positives: &[Range<usize>],
        negatives: &[Range<usize>],
        weight: T,
        gradient: Option<&mut [T]>,
    ) -> f64 {
        if count(negatives) == 0 {
            return 0.0;
        }
        let count = T::of(count(positives) as f64);
        let total = self.log_sum_exp(negatives);
        let level = T::of(total.value());
        if let Some(gradient) = gradient {
            let pull = self.sum(positives, |similarity| sigmoid(level - similarity)) / count;
            let (most, scale) = (total.most, weight * pull / total.sum);
            self.add(gradient, negatives, |similarity| (similarity - most).exp() * scale);
            let scale = weight / count;
            self.add(gradient, positives, |similarity| -scale * sigmoid(level - similarity));
        }
        (self.sum(positives, |similarity| softplus(level - similarity)) / count).to_f64()
    }
}

/// `ln(1 + e^x)`.
#[inline(always)]
fn softplus<T: Real>(x: T) -> T {
    x.larger(T::ZERO) + (-x.abs()).exp().ln_1p()
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
fn sigmoid<T: Real>(x: T) -> T {
    let small = (-x.abs()).exp();
    let numerator = if x > T::ZERO { T::ONE } else { small };
    numerator / (T::ONE + small)
}
