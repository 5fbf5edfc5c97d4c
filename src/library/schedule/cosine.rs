//! Cosine annealing, with a warm-up, restarts or a wave.

use std::f64::consts::{PI, TAU};

use super::{Horizon, Schedule};
use crate::catalog::{Duration, Fraction, Natural};
use crate::component;

component! {
    /// Lowers the learning rate along half a cosine, step by step, until training ends.
    ///
    /// After the warm-up, at a share `x` of a cycle, the rate is
    /// `to + (1 - to) * (1 + cos(pi * x)) / 2` of the optimizer's (Loshchilov & Hutter, 2017, eq. 5).
    /// The rate moves with every step, not only between epochs; at the first step of each epoch it
    /// is what PyTorch's `CosineAnnealingLR`, called once an epoch, has for that epoch.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment annealed {
    ///   data = digits()
    ///   encoder = mlp()
    ///   loss { class = cross_entropy() }
    ///   train {
    ///     optimizer = adamw(lr=1e-3)
    ///     schedule = cosine(warmup=1 epochs)
    ///     batch = 64
    ///     for = 5 epochs
    ///   }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    ///
    /// `cosine(period=200 epochs, wave=true)` is the curve of the released Thanos code, which set
    /// `T_max` to 100 of its 600 epochs: down to zero in 100 epochs, up again in the next 100,
    /// three times. PyTorch's `CosineAnnealingLR` with a `T_max` below the training's length is the
    /// same: `cosine(until=100 epochs)` goes on along its cosine, and rises. That is an error here
    /// (B0301) until it is said, because it is seldom meant.
    Schedule as dyn Schedule, version 1;
    cosine => Cosine {
        /// The lowest rate, as a share of the optimizer's.
        to: Fraction = 0.0,
        /// How long the rate first rises, by the same amount each step, to the optimizer's rate.
        warmup: Duration = Duration::epochs(0.0),
        /// How often the rate jumps back up: what follows the warm-up is divided into one cycle
        /// more. A `period` sets the length of the cycles instead.
        restarts: Natural = 0,
        /// The length of one cycle; cycles repeat until training ends.
        period: Option<Duration> = None::<Duration>,
        /// Whether the second half of a cycle rises as the first half fell, instead of all of the
        /// cycle falling.
        wave: bool = false,
        /// When the curve has run, counted from the start of training; the end of training without
        /// it.
        until: Option<Duration> = None::<Duration>,
    }
}

impl Schedule for Cosine {
    fn factor(&self, step: usize, horizon: &Horizon) -> f64 {
        let warmup = horizon.steps_in(self.warmup);
        if step < warmup {
            return (step + 1) as f64 / (warmup + 1) as f64;
        }
        let until = self.until.map_or(horizon.steps, |until| horizon.steps_in(until));
        let share = self.share(step - warmup, until.saturating_sub(warmup), horizon);
        let angle = share * if self.wave { TAU } else { PI };
        let to = self.to.get();
        to + (1.0 - to) * (1.0 + angle.cos()) / 2.0
    }
}

impl Cosine {
    /// The share of its cycle that has passed at `step` of the `rest` steps after the warm-up.
    fn share(&self, step: usize, rest: usize, horizon: &Horizon) -> f64 {
        match self.period {
            Some(period) => {
                let period = horizon.steps_in(period).max(1);
                (step % period) as f64 / period as f64
            }
            None => {
                // In whole numbers, so that cycles begin exactly on a step where they can.
                let (at, rest) = (step * (self.restarts.get() + 1), rest.max(1));
                // Without restarts the cosine goes on behind `until`, and does not jump.
                let at = if self.restarts.get() == 0 { at } else { at % rest };
                at as f64 / rest as f64
            }
        }
    }
}
