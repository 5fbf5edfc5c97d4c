//! Where `(1 - alpha) supcon + alpha class_infonce` has its least value, in closed form.
//!
//! `K` balanced classes of free unit embeddings in `d` dimensions, the views of an image equal.
//! An embedding is `sqrt(1-s) v + sqrt(s) w`: the directions `v` of the classes form a simplex, `w`
//! is uniform on the sphere of the `p = d-K+1` dimensions orthogonal to it, and `s` is the
//! within-class variance. An anchor is compared with `n` members of each class. The numbers of the
//! equations are those of `docs/guide/theory.md`.

use super::bessel::bessel_ratio;
use super::sphere::Sphere;

/// What stands in the denominator of the supervised contrastive loss beside the negatives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denominator {
    /// The positive that is scored.
    Own,
    /// Every positive.
    All,
    /// Nothing: the limit of large batches of the other two.
    Negatives,
}

/// What the least value depends on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// Classes, `K >= 2`.
    pub classes: usize,
    /// Width of the embedding, `d`.
    pub dim: usize,
    pub temperature: f64,
    /// The share of the class-conditional term.
    pub alpha: f64,
    /// Members of each class an anchor is compared with, `n`.
    pub members: f64,
    pub denominator: Denominator,
    /// The most that a similarity counts for in a numerator of the supervised term.
    pub clip: Option<f64>,
}

/// Where the least value is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Phase {
    /// Each class is a point, and the points form a simplex.
    Collapse,
    /// Each class is spread by this within-class variance around its point of the simplex.
    Spread(f64),
    /// All classes lie over the whole sphere, interleaved.
    Mixed,
}

impl Setting {
    /// The same in large batches, where only negatives matter in the denominator.
    pub fn in_large_batches(self) -> Self {
        Self { denominator: Denominator::Negatives, ..self }
    }

    /// (1) The greatest `alpha` at which classes collapse: `u K / ((K-1) + u K)`, where `u` is the
    /// share of the supervised pull that is left; `K / (2K-1)` in large batches. (8) With a clip
    /// that is reached `1 - (K-1) / (u K)`; below 0 they collapse at no `alpha`.
    pub fn threshold(&self) -> f64 {
        let (k, pull) = (self.classes as f64, self.pull());
        match self.reached_clip() {
            Some(_) => 1.0 - (k - 1.0) / (pull * k),
            None => pull * k / ((k - 1.0) + pull * k),
        }
    }

    /// Whether the within-class variance is an estimate.
    pub fn is_estimate(&self) -> bool {
        self.reached_clip().is_some()
    }

    /// The clip, where equal embeddings are above it.
    fn reached_clip(&self) -> Option<f64> {
        self.clip.filter(|clip| *clip < 1.0 / self.temperature)
    }

    /// (2) The share of negatives in the softmax of a collapsed anchor: what is left of the pull,
    /// since positives in the denominator push.
    fn pull(&self) -> f64 {
        let positives = match self.denominator {
            Denominator::Negatives => return 1.0,
            Denominator::Own => 1.0,
            Denominator::All => self.members,
        };
        let negatives = self.log_negatives() - self.contrast();
        1.0 / (1.0 + positives * (-negatives).exp())
    }

    /// `log (K-1) n`
    fn log_negatives(&self) -> f64 {
        ((self.classes as f64 - 1.0) * self.members).ln()
    }

    /// The similarity within a point less that between two of the simplex: `K / ((K-1) tau)`.
    fn contrast(&self) -> f64 {
        let k = self.classes as f64;
        k / ((k - 1.0) * self.temperature)
    }

    /// Where the least value is; none when the embedding has no dimension for a class to spread in.
    pub fn phase(&self) -> Option<Phase> {
        if self.alpha >= 1.0 {
            return Some(Phase::Mixed);
        }
        if self.alpha <= self.threshold() {
            return (self.dim + 1 >= self.classes).then_some(Phase::Collapse);
        }
        if self.dim < self.classes {
            return None;
        }
        let curve = self.curve();
        let spread = match self.denominator {
            Denominator::Negatives if self.reached_clip().is_none() => self.stationary(),
            _ => curve.minimum(),
        };
        let is_mixed = curve.loss(spread) > self.mixed_loss();
        Some(if is_mixed { Phase::Mixed } else { Phase::Spread(spread) })
    }

    /// (3) The root of `I_{p/2}(s/tau) / I_{p/2-1}(s/tau) = alpha - (1-alpha) K/(K-1)`, the
    /// within-class variance in large batches; 1 when it lies above.
    fn stationary(&self) -> f64 {
        let k = self.classes as f64;
        let wanted = self.alpha - (1.0 - self.alpha) * k / (k - 1.0);
        let order = self.free() as f64 / 2.0 - 1.0;
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..60 {
            let middle = (low + high) / 2.0;
            if bessel_ratio(order, middle / self.temperature) < wanted {
                low = middle;
            } else {
                high = middle;
            }
        }
        (low + high) / 2.0
    }

    /// `p = d - K + 1`
    fn free(&self) -> usize {
        (self.dim + 1).saturating_sub(self.classes)
    }

    /// (4) The loss when every class has within-class variance `s`; needs `d >= K`.
    pub fn loss(&self, s: f64) -> f64 {
        self.curve().loss(s)
    }

    /// (5) The loss when every class is uniform over the whole sphere.
    pub fn mixed_loss(&self) -> f64 {
        let sharpness = 1.0 / self.temperature;
        Curve { setting: *self, sphere: Sphere::new(self.dim, sharpness) }.at(0.0, sharpness)
    }

    fn curve(&self) -> Curve {
        Curve { setting: *self, sphere: Sphere::new(self.free(), 1.0 / self.temperature) }
    }
}

/// The loss as a function of the within-class variance.
struct Curve {
    setting: Setting,
    /// The sphere that a class spreads over.
    sphere: Sphere,
}

impl Curve {
    fn loss(&self, s: f64) -> f64 {
        self.at((1.0 - s) / self.setting.temperature, s / self.setting.temperature)
    }

    /// The loss when similarities are `point` within a class and `-point / (K-1)` between two, plus
    /// `sharpness` times the cosine on the sphere in both.
    fn at(&self, point: f64, sharpness: f64) -> f64 {
        let Setting { classes, temperature, alpha, members, denominator, clip, .. } = self.setting;
        let spread = self.sphere.log_mean_exp(sharpness);
        let negatives = self.setting.log_negatives() - point / (classes as f64 - 1.0) + spread;
        let positives = members.ln() + point + spread;
        let supervised = match denominator {
            Denominator::Negatives => negatives - point,
            Denominator::All => negatives + softplus(positives - negatives) - point,
            Denominator::Own => {
                self.sphere.mean(|cosine| softplus(negatives - point - sharpness * cosine))
            }
        };
        let excess = clip.map_or(0.0, |clip| {
            self.sphere.mean(|cosine| (point + sharpness * cosine - clip).max(0.0))
        });
        (1.0 - alpha) * (supervised + excess) + alpha * (positives - 1.0 / temperature)
    }

    /// The `s` of the least loss: the best of a grid, then golden sections around it.
    fn minimum(&self) -> f64 {
        const GRID: usize = 40;
        let step = 1.0 / GRID as f64;
        let losses: Vec<f64> = (0..=GRID).map(|at| self.loss(at as f64 * step)).collect();
        let best = (0..=GRID).min_by(|a, b| losses[*a].total_cmp(&losses[*b])).unwrap_or(0);
        let section = (5.0f64.sqrt() - 1.0) / 2.0;
        let mut from = best.saturating_sub(1) as f64 * step;
        let mut to = (best + 1).min(GRID) as f64 * step;
        for _ in 0..30 {
            let width = section * (to - from);
            if self.loss(to - width) < self.loss(from + width) {
                to = from + width;
            } else {
                from = to - width;
            }
        }
        (from + to) / 2.0
    }
}

/// `log(1 + exp(x))`
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}
