//! Schedules: how the learning rate moves over training.

mod constant;
mod cosine;
mod one_cycle;
mod step;

use crate::catalog::Entry;

pub use crate::catalog::Horizon;

/// Every schedule, in the order the reference lists them.
pub static SCHEDULES: &[&Entry<dyn Schedule>] =
    &[&constant::ENTRY, &cosine::ENTRY, &step::ENTRY, &one_cycle::ENTRY];

/// A declared schedule.
pub trait Schedule: Send + Sync {
    /// The factor on the learning rate at `step` of the horizon (`0 <= step < horizon.steps`).
    fn factor(&self, step: usize, horizon: &Horizon) -> f64;
}
