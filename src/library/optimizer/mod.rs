//! Optimizers: gradients to steps.

mod adamw;
mod fused;
mod lars;
mod lbfgs;
#[cfg(feature = "cuda")]
mod on_card;
mod sgd;

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};

use crate::catalog::{Bound, Entry, ParamType, Type, Value};
use crate::measure::lbfgs::Lbfgs;

/// Every optimizer, in the order the reference lists them.
pub static OPTIMIZERS: &[&Entry<dyn Optimizer>] =
    &[&adamw::ENTRY, &sgd::ENTRY, &lars::ENTRY, &lbfgs::ENTRY];

/// `adamw(lr=lr)`, as a default of other components.
pub fn adamw(lr: f64) -> Bound {
    Bound::defaults(&adamw::ENTRY.spec).with("lr", Value::Real(lr))
}

/// A declared optimizer.
pub trait Optimizer: Send + Sync {
    /// The learning rate before any schedule.
    fn learning_rate(&self) -> f64;

    /// The optimizer's state for `vars`, in name order, before the first step.
    ///
    /// # Errors
    /// When it takes no steps, but sees all images [at once](Optimizer::at_once).
    fn start(&self, vars: Vec<(String, Var)>) -> Result<Box<dyn Stepper>>;

    /// How it fits a linear classifier to all images at once; none where it takes steps.
    fn at_once(&self) -> Option<AtOnce> {
        None
    }
}

/// A linear classifier that is fitted to all images at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AtOnce {
    /// How much it fits the images rather than keep its weights small.
    pub c: f64,
    pub search: Lbfgs,
}

/// An optimizer in the middle of training.
pub trait Stepper: Send {
    /// Changes every variable by its gradient at learning rate `rate`.
    ///
    /// # Errors
    /// When a variable has no gradient.
    fn step(&mut self, grads: &GradStore, rate: f64) -> Result<()>;

    /// Everything needed to go on exactly: moments by variable name, and the step count.
    fn state(&self) -> Result<BTreeMap<String, Tensor>>;

    /// Goes on from what [`Stepper::state`] gave.
    ///
    /// # Errors
    /// When it is the state of other variables or of another optimizer; nothing is changed then.
    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()>;
}

/// How much of an average is kept at each step: a number in [0, 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decay(f64);

impl Decay {
    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl From<f64> for Decay {
    fn from(value: f64) -> Self {
        Self(value)
    }
}

impl ParamType for Decay {
    const TYPE: Type = Type::Real { name: "decay", min: 0.0, max: 1.0 - f64::EPSILON, open: false };

    fn to_value(&self) -> Value {
        Value::Real(self.0)
    }

    fn from_value(value: &Value) -> Self {
        match value {
            Value::Real(value) => Self(*value),
            other => unreachable!("the checker promised `{other}` to be a decay"),
        }
    }
}
