//! The learning rate as it is.

use super::{Horizon, Schedule};
use crate::component;

component! {
    /// Keeps the learning rate as the optimizer declares it.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment steady {
    ///   data = digits()
    ///   encoder = mlp()
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); schedule = constant(); batch = 64; for = 5 epochs }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Schedule as dyn Schedule, version 1;
    constant => Constant {}
}

impl Schedule for Constant {
    fn factor(&self, _step: usize, _horizon: &Horizon) -> f64 {
        1.0
    }
}
