//! Schedules: how the learning rate moves over training.

mod constant;
mod cosine;
mod one_cycle;
mod step;

use crate::catalog::{Duration, Entry};

/// Every schedule, in the order the reference lists them.
pub static SCHEDULES: &[&Entry<dyn Schedule>] =
    &[&constant::ENTRY, &cosine::ENTRY, &step::ENTRY, &one_cycle::ENTRY];

/// A declared schedule.
pub trait Schedule: Send + Sync {
    /// The factor on the learning rate at `step` of the horizon (`0 <= step < horizon.steps`).
    fn factor(&self, step: usize, horizon: &Horizon) -> f64;
}

/// How long a training lasts, and what turns lengths of another unit into steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// Optimiser steps in all.
    pub steps: usize,
    pub steps_per_epoch: usize,
    /// Items in a batch.
    pub batch: usize,
}

impl Horizon {
    fn steps_in(&self, duration: Duration) -> usize {
        duration.steps(self.steps_per_epoch, self.batch)
    }
}
