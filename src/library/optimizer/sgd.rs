//! Stochastic gradient descent with momentum.

use candle_core::{Result, Var};

use super::fused::{Manner, Rule, start};
use super::{Optimizer, Stepper};
use crate::catalog::{NonNegative, Positive};
use crate::component;
use crate::kernel::real::Real;

component! {
    /// Stochastic gradient descent with momentum, as PyTorch computes it.
    ///
    /// The momentum is `u = momentum * u + g`, the step `-lr * u` (Sutskever et al., 2013, with the
    /// learning rate outside the momentum). The weight decay is added to the gradient, so it passes
    /// through the momentum: unlike that of `adamw` it is an L2 penalty.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment plain {
    ///   data = digits()
    ///   encoder = mlp()
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = sgd(lr=0.1, momentum=0.9, nesterov=true); batch = 64; for = 5 epochs }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Optimizer as dyn Optimizer, version 1, moments 1;
    sgd => Sgd {
        /// The learning rate, before the schedule's factor.
        lr: Positive,
        /// How much of the last step's direction is kept.
        momentum: NonNegative = 0.0,
        /// Whether to step along `g + momentum * u` instead of `u`; without momentum these are one.
        nesterov: bool = false,
        /// How much of a variable is added to its gradient.
        weight_decay: NonNegative = 0.0,
    }
}

impl Optimizer for Sgd {
    fn learning_rate(&self) -> f64 {
        self.lr.get()
    }

    fn start(&self, vars: Vec<(String, Var)>) -> Result<Box<dyn Stepper>> {
        start(self.clone(), vars)
    }
}

impl Rule<1> for Sgd {
    const MOMENTS: [&'static str; 1] = ["u"];

    fn update<T: Real>(
        &self,
        _step: u64,
        rate: f64,
        _manner: Manner,
    ) -> impl Fn(&mut T, &mut [T; 1], T) + Sync {
        let (rate, momentum) = (T::of(rate), T::of(self.momentum.get()));
        let decay = T::of(self.weight_decay.get());
        let nesterov = self.nesterov;
        move |value, [u], grad| {
            let grad = grad + decay * *value;
            *u = momentum * *u + grad;
            let direction = if nesterov { grad + momentum * *u } else { *u };
            *value -= rate * direction;
        }
    }

    #[cfg(feature = "cuda")]
    fn on_card(&self, _step: u64, rate: f64) -> Option<crate::kernel::card::list::Step> {
        let ahead = f64::from(u8::from(self.nesterov));
        let numbers = [rate, self.momentum.get(), self.weight_decay.get(), ahead];
        let numbers = numbers.map(|it| it as f32).to_vec();
        Some(crate::kernel::card::list::Step { rule: "sgd", numbers, by_length: false })
    }
}
