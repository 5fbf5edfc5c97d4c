//! One rise and one long fall of the learning rate.

use std::f64::consts::PI;

use super::{Horizon, Schedule};
use crate::catalog::{Fraction, NonNegative};
use crate::component;

component! {
    /// Raises the learning rate along half a cosine, then lowers it far below where it began.
    ///
    /// Smith & Topin, 2019, with both halves cosines. The optimizer's rate is the highest one. It
    /// moves with every step, and both ends are reached exactly; with its defaults it is PyTorch's
    /// `OneCycleLR`, apart from the momentum, which stays.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment cycled {
    ///   data = digits()
    ///   encoder = mlp()
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-2); schedule = one_cycle(); batch = 64; for = 5 epochs }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Schedule as dyn Schedule, version 1;
    one_cycle => OneCycle {
        /// The share of the training after which the rate is highest.
        rise: Fraction = 0.3,
        /// The rate at the first step, as a share of the optimizer's.
        start: NonNegative = 0.04,
        /// The rate at the last step, as a share of the optimizer's.
        end: NonNegative = 4e-6,
    }
}

impl Schedule for OneCycle {
    fn factor(&self, step: usize, horizon: &Horizon) -> f64 {
        let (at, last) = (step as f64, (horizon.steps.max(1) - 1) as f64);
        let top = (self.rise.get() * horizon.steps as f64 - 1.0).clamp(0.0, last);
        if at < top {
            between(self.start.get(), 1.0, at / top)
        } else {
            between(1.0, self.end.get(), (at - top) / (last - top).max(1.0))
        }
    }
}

/// From `start` to `end` along half a cosine.
fn between(start: f64, end: f64, share: f64) -> f64 {
    end + (start - end) * (1.0 + (PI * share).cos()) / 2.0
}
