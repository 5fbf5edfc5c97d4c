//! Adam with weight decay apart from the gradient.

use candle_core::{Result, Var};

use super::fused::{Manner, Rule, start};
use super::{Decay, Optimizer, Stepper};
use crate::catalog::{NonNegative, Positive};
use crate::component;
use crate::kernel::real::Real;

component! {
    /// Adam with decoupled weight decay, as PyTorch computes it.
    ///
    /// Loshchilov & Hutter, 2019, algorithm 2, where the decay is multiplied by the learning rate.
    /// Every variable decays, biases and scales of normalisations too.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment adaptive {
    ///   data = digits()
    ///   encoder = mlp()
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3, weight_decay=0.05); batch = 64; for = 5 epochs }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Optimizer as dyn Optimizer, version 1, moments 2;
    adamw => AdamW {
        /// The learning rate, before the schedule's factor.
        lr: Positive,
        /// The share of a variable that a step at learning rate 1 takes away.
        weight_decay: NonNegative = 0.01,
        /// How much of the average gradient is kept at each step.
        beta1: Decay = 0.9,
        /// How much of the average squared gradient is kept at each step.
        beta2: Decay = 0.999,
        /// What is added to the root of the average squared gradient before dividing by it.
        eps: Positive = 1e-8,
    }
}

impl Optimizer for AdamW {
    fn learning_rate(&self) -> f64 {
        self.lr.get()
    }

    fn start(&self, vars: Vec<(String, Var)>) -> Result<Box<dyn Stepper>> {
        start(self.clone(), vars)
    }
}

impl Rule<2> for AdamW {
    const MOMENTS: [&'static str; 2] = ["m", "v"];

    fn update<T: Real>(
        &self,
        step: u64,
        rate: f64,
        _manner: Manner,
    ) -> impl Fn(&mut T, &mut [T; 2], T) + Sync {
        let [kept, fresh1, kept2, fresh2, rate, root, eps] = self.numbers(step, rate).map(T::of);
        move |value, [m, v], grad| {
            *m += (grad - *m) * fresh1;
            *v = *v * kept2 + grad * grad * fresh2;
            *value = *value * kept - rate * *m / (v.sqrt() / root + eps);
        }
    }

    #[cfg(feature = "cuda")]
    fn on_card(&self, step: u64, rate: f64) -> Option<crate::kernel::card::list::Step> {
        let numbers = self.numbers(step, rate).map(|it| it as f32).to_vec();
        Some(crate::kernel::card::list::Step { rule: "adamw", numbers, by_length: false })
    }
}

impl AdamW {
    /// What is kept of a value, the fresh share of its average gradient, the kept and the fresh one
    /// of its average squared gradient, the rate, and what roots are divided by and added to.
    fn numbers(&self, step: u64, rate: f64) -> [f64; 7] {
        let (beta1, beta2) = (self.beta1.get(), self.beta2.get());
        let kept = 1.0 - rate * self.weight_decay.get();
        // The averages begin at zero; these undo what that takes from them.
        let rate = rate / (1.0 - beta1.powf(step as f64));
        let root = (1.0 - beta2.powf(step as f64)).sqrt();
        [kept, 1.0 - beta1, beta2, 1.0 - beta2, rate, root, self.eps.get()]
    }
}
