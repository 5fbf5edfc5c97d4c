//! The supervised contrastive term with its sum over positives inside the logarithm.

use super::Denominator;
use super::sets::Contrast;
use super::term::{Anchor, count, sigmoid, softplus};
use crate::kernel::real::Real;

/// The ratios `r_p = e^min(S_p, clip) / D_p` of an anchor's positives.
pub(super) struct Ratios<T> {
    pub(super) denominator: Denominator,
    pub(super) clip: Option<T>,
    /// Whether they are added, not averaged.
    pub(super) is_total: bool,
}

impl<T: Real> Ratios<T> {
    /// `ln D_p` where the exponentials that all positives share add up to `e^level`.
    #[inline(always)]
    fn below(&self, similarity: T, level: T) -> T {
        match self.denominator {
            Denominator::Own => similarity + softplus(level - similarity),
            Denominator::All | Denominator::Negatives => level,
        }
    }

    /// `ln r_p`
    #[inline(always)]
    fn log(&self, similarity: T, level: T) -> T {
        let kept = match self.clip {
            Some(clip) if similarity > clip => clip,
            _ => similarity,
        };
        kept - self.below(similarity, level)
    }

    /// The derivatives of `ln r_p` by `S_p`, where they are not by way of the level, and by the
    /// level.
    #[inline(always)]
    fn derivatives(&self, similarity: T, level: T) -> (T, T) {
        let is_clipped = self.clip.is_some_and(|clip| similarity > clip);
        let above = if is_clipped { T::ZERO } else { T::ONE };
        match self.denominator {
            Denominator::Own => {
                let rest = sigmoid(level - similarity);
                (above - (T::ONE - rest), -rest)
            }
            Denominator::All | Denominator::Negatives => (above, -T::ONE),
        }
    }
}

impl<T: Real> Anchor<'_, T> {
    /// `-ln` of the mean of the ratios, or of their total.
    #[inline(always)]
    pub(super) fn inside(
        &self,
        contrast: &Contrast,
        ratios: &Ratios<T>,
        weight: T,
        gradient: Option<&mut [T]>,
    ) -> f64 {
        let Contrast { positives, negatives, all, .. } = contrast;
        let shared = if ratios.denominator == Denominator::All { all } else { negatives };
        let below = self.log_sum_exp(shared);
        let level = T::of(below.value());
        let mut most = T::of(f64::NEG_INFINITY);
        for dot in positives.iter().flat_map(|range| &self.dots[range.clone()]) {
            most = most.larger(ratios.log(*dot * self.inverse, level));
        }
        let share = |similarity: T| (ratios.log(similarity, level) - most).exp();
        let sum = self.sum(positives, share);
        if let Some(gradient) = gradient {
            let by = |similarity: T| ratios.derivatives(similarity, level);
            let scale = weight / sum;
            self.add(gradient, positives, |it| -scale * share(it) * by(it).0);
            let rest = self.sum(positives, |it| share(it) * by(it).1);
            if count(shared) > 0 {
                let scale = -scale * rest / below.sum;
                self.add(gradient, shared, |it| (it - below.most).exp() * scale);
            }
        }
        let number = if ratios.is_total { 1 } else { count(positives) };
        (number as f64).ln() - most.to_f64() - sum.to_f64().ln()
    }
}
