//! The weight of a term, step by step.

use candle_core::{Result, Tensor};

use crate::catalog::{Course, Horizon};

/// A weight with what it is now.
pub(super) struct Weight {
    course: Course,
    now: f64,
}

impl Weight {
    /// At the first step of `horizon`.
    pub(super) fn new(course: &Course, horizon: &Horizon) -> Self {
        Self { course: course.clone(), now: course.at(0, horizon) }
    }

    /// Goes to `step`.
    pub(super) fn advance(&mut self, step: usize, horizon: &Horizon) {
        self.now = self.course.at(step, horizon);
    }

    pub(super) fn now(&self) -> f64 {
        self.now
    }

    /// `value` times the weight; at a weight of 0 that changes, what it trains gets gradients of 0
    /// and not none.
    pub(super) fn of(&self, value: &Tensor) -> Result<Tensor> {
        match self.course {
            Course::Constant(weight) => value.affine(weight, 0.0),
            _ => value * Tensor::new(self.now, value.device())?.to_dtype(value.dtype())?,
        }
    }
}
