//! L-BFGS, for classifiers that are fitted to all images at once.

use candle_core::{Result, Var, bail};

use super::{AtOnce, Optimizer, Stepper};
use crate::catalog::{Count, Positive};
use crate::component;
use crate::measure::lbfgs;

/// Steps whose change of slope is remembered, as in SciPy.
const MEMORY: usize = 10;

component! {
    /// L-BFGS, which fits a linear classifier to all images at once; for `linear` alone.
    ///
    /// Regularised multinomial logistic regression, as `LogisticRegression(solver="lbfgs")` of
    /// scikit-learn: the minimum of `c Σ −ln p(label) + ½ Σ w²`, the biases free of it, by the
    /// method of Liu and Nocedal (1989) from weights of zero. For two classes it has one row of
    /// weights, as there. The search ends where no slope of that sum, divided by `c` times the
    /// number of images, is above `tolerance`. No learning rate, batch or length is needed, and no
    /// seed changes it; a `batch`, a `schedule` or `for` beside it is refused. It takes no single
    /// steps, and so trains no network.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment least {
    ///   data = digits(labels=coarse)
    ///   encoder = mlp()
    ///   loss { supcon = 0.5 * supcon(temperature=0.5) }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine, optimizer=lbfgs(c=1), standardize=true) }
    /// }
    /// ```
    Optimizer as dyn Optimizer, version 1, needs [Split], moments 20;
    lbfgs => Lbfgs {
        /// How much the classifier fits the images rather than keep its weights small.
        c: Positive = 1.0,
        /// The slope that counts as none.
        tolerance: Positive = 1e-4,
        /// Steps after which the search ends where it is.
        iterations: Count = 1000,
    }
}

impl Optimizer for Lbfgs {
    fn learning_rate(&self) -> f64 {
        1.0
    }

    fn start(&self, _vars: Vec<(String, Var)>) -> Result<Box<dyn Stepper>> {
        bail!("`lbfgs` fits a linear classifier to all images at once, and takes no steps")
    }

    fn at_once(&self) -> Option<AtOnce> {
        let (tolerance, iterations) = (self.tolerance.get(), self.iterations.get());
        let search = lbfgs::Lbfgs { memory: MEMORY, tolerance, iterations };
        Some(AtOnce { c: self.c.get(), search })
    }
}
