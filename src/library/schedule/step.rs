//! Drops of the learning rate at given times.

use super::{Horizon, Schedule};
use crate::catalog::{Duration, Positive};
use crate::component;

component! {
    /// Multiplies the learning rate by a factor at each of some times.
    ///
    /// PyTorch's `MultiStepLR`, with times that need not be whole epochs.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment stepped {
    ///   data = digits()
    ///   encoder = resnet(depth=8, width=16)
    ///   loss { class = cross_entropy() }
    ///   train {
    ///     optimizer = sgd(lr=0.1, momentum=0.9)
    ///     schedule = step(at=[10 epochs, 15 epochs])
    ///     batch = 64
    ///     for = 20 epochs
    ///   }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Schedule as dyn Schedule, version 1;
    step => Step {
        /// When the rate changes, counted from the start of training.
        at: Vec<Duration>,
        /// What the rate is multiplied by each time.
        factor: Positive = 0.1,
    }
}

impl Schedule for Step {
    fn factor(&self, step: usize, horizon: &Horizon) -> f64 {
        let passed = self.at.iter().filter(|at| horizon.steps_in(**at) <= step).count();
        self.factor.get().powf(passed as f64)
    }
}
