//! Optimizers: gradients to steps.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};

use crate::catalog::Entry;

/// Every optimizer, in the order the reference lists them.
pub static OPTIMIZERS: &[&Entry<dyn Optimizer>] = &[];

/// A declared optimizer.
pub trait Optimizer: Send + Sync {
    /// The learning rate before any schedule.
    fn learning_rate(&self) -> f64;

    /// The optimizer's state for `vars`, in name order, before the first step.
    fn start(&self, vars: Vec<(String, Var)>) -> Result<Box<dyn Stepper>>;
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
    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()>;
}
