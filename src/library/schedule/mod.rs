//! Schedules: how the learning rate moves over training.

use crate::catalog::Entry;

/// Every schedule, in the order the reference lists them.
pub static SCHEDULES: &[&Entry<dyn Schedule>] = &[];

/// A declared schedule.
pub trait Schedule: Send + Sync {
    /// The factor on the learning rate at `step` of `horizon` steps (`0 <= step < horizon`).
    /// `steps_per_epoch` turns lengths given in epochs into steps.
    fn factor(&self, step: usize, horizon: usize, steps_per_epoch: usize) -> f64;
}
