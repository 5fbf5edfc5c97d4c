//! Stochastic gradient descent with a rate for each layer.

use candle_core::{Result, Tensor, Var};

use super::fused::{Manner, Rule, start};
use super::{Decay, Optimizer, Stepper};
use crate::catalog::{NonNegative, Positive};
use crate::kernel::real::Real;
use crate::kernel::squared_norm;
use crate::{choice, component};

choice! {
    /// Which variables have a rate of their own.
    Adapt {
        /// Those of more than one dimension: not biases, and not the scales and shifts of
        /// normalisations.
        Matrices = "matrices",
        /// All.
        All = "all",
    }
}

component! {
    /// Stochastic gradient descent with momentum and layer-wise rates, for large batches.
    ///
    /// You, Gitman & Ginsburg, 2017, eq. 6: the gradient `g + weight_decay * w` of each variable is
    /// multiplied by `trust * |w| / (|g| + weight_decay * |w|)`, so that a step is a share of the
    /// variable's own length whatever the scale of its gradient. The momentum is
    /// `u = momentum * u + g`, the step `-lr * u`: the learning rate stands outside of it, as in the
    /// implementations for PyTorch, and not inside as in the paper's algorithm; where the rate does
    /// not move these are one. A variable or gradient of length 0 is not rescaled.
    ///
    /// Biases and the scales and shifts of normalisations are left out of both the rescaling and
    /// the decay, as is usual since SimCLR; `adapt=all` treats all alike.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment large {
    ///   data = digits()
    ///   encoder = resnet(depth=8, width=16)
    ///   loss { class = cross_entropy() }
    ///   train {
    ///     optimizer = lars(lr=2.0, weight_decay=1e-6)
    ///     schedule = cosine(warmup=2 epochs)
    ///     batch = 512
    ///     for = 20 epochs
    ///   }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Optimizer as dyn Optimizer, version 1, moments 1;
    lars => Lars {
        /// The learning rate, before the schedule's factor.
        lr: Positive,
        /// How much of the last step's direction is kept.
        momentum: Decay = 0.9,
        /// How much of a variable is added to its gradient.
        weight_decay: NonNegative = 0.0,
        /// The share of a variable's length that a step at learning rate 1 is long.
        trust: Positive = 1e-3,
        /// Which variables are rescaled and decay: all but biases, scales and shifts, or all.
        adapt: Adapt = Adapt::Matrices,
    }
}

impl Optimizer for Lars {
    fn learning_rate(&self) -> f64 {
        self.lr.get()
    }

    fn start(&self, vars: Vec<(String, Var)>) -> Result<Box<dyn Stepper>> {
        start(self.clone(), vars)
    }
}

impl Rule<1> for Lars {
    const MOMENTS: [&'static str; 1] = ["u"];

    fn manner(&self, values: &Tensor, grad: &Tensor) -> Result<Manner> {
        if !self.is_adapted(values) {
            return Ok(Manner { trust: 1.0, decays: false });
        }
        let (length, slope) = (squared_norm(values)?.sqrt(), squared_norm(grad)?.sqrt());
        let whole = slope + self.weight_decay.get() * length;
        let is_still = length == 0.0 || whole == 0.0;
        let trust = if is_still { 1.0 } else { self.trust.get() * length / whole };
        Ok(Manner { trust, decays: true })
    }

    fn update<T: Real>(
        &self,
        _step: u64,
        rate: f64,
        manner: Manner,
    ) -> impl Fn(&mut T, &mut [T; 1], T) + Sync {
        let (rate, momentum) = (T::of(rate), T::of(self.momentum.get()));
        let decay = if manner.decays { self.weight_decay.get() } else { 0.0 };
        let (decay, trust) = (T::of(decay), T::of(manner.trust));
        move |value, [u], grad| {
            *u = momentum * *u + trust * (grad + decay * *value);
            *value -= rate * *u;
        }
    }

    #[cfg(feature = "cuda")]
    fn on_card(&self, _step: u64, rate: f64) -> Option<crate::kernel::card::list::Step> {
        let numbers = [rate, self.momentum.get(), self.weight_decay.get(), self.trust.get()];
        let numbers = numbers.map(|it| it as f32).to_vec();
        Some(crate::kernel::card::list::Step { rule: "lars", numbers, by_length: true })
    }

    #[cfg(feature = "cuda")]
    fn adapts(&self, values: &Tensor) -> bool {
        self.is_adapted(values)
    }
}

impl Lars {
    /// Whether a variable is rescaled and decays.
    fn is_adapted(&self, values: &Tensor) -> bool {
        self.adapt == Adapt::All || values.rank() >= 2
    }
}
