//! What a term counts for: its weight, step by step, and the weights of classes within it.

use candle_core::{Result, Tensor};

use crate::catalog::{Bound, ClassWeights, Course, Horizon, ParamType};
use crate::kernel;

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

    /// A sum and `value` times the weight; at a weight of 0 that changes, what it trains gets
    /// gradients of 0 and not none.
    pub(super) fn plus(&self, sum: Option<Tensor>, value: &Tensor) -> Result<Tensor> {
        if !value.device().is_cpu() {
            return kernel::plus(sum.as_ref(), value, self.now);
        }
        let weighted = match self.course {
            Course::Constant(weight) => value.affine(weight, 0.0)?,
            _ => (value * Tensor::new(self.now, value.device())?.to_dtype(value.dtype())?)?,
        };
        super::plus(sum, weighted)
    }
}

/// The weights of classes in a term, where they are not alike.
pub(super) struct OfClasses {
    declared: ClassWeights,
    by_class: Option<Vec<f64>>,
}

impl OfClasses {
    /// As `call` declares them; balanced ones are not known before [`Self::balance`].
    pub(super) fn new(call: &Bound) -> Self {
        let declared = call.value("class_weights");
        let declared = declared.map_or(ClassWeights::Alike, ClassWeights::from_value);
        let by_class = match &declared {
            ClassWeights::Given(weights) => Some(weights.clone()),
            _ => None,
        };
        Self { declared, by_class }
    }

    /// Takes note of the number of training images of each class.
    pub(super) fn balance(&mut self, labels: &[u32]) {
        let classes = labels.iter().max().map_or(0, |most| *most as usize + 1);
        let mut counts = vec![0; classes];
        labels.iter().for_each(|label| counts[*label as usize] += 1);
        self.by_class = self.declared.by_class(&counts);
    }

    pub(super) fn by_class(&self) -> Option<&Vec<f64>> {
        self.by_class.as_ref()
    }

    /// The weight of each of the items with `labels`.
    pub(super) fn of_items(&self, labels: &[u32]) -> Option<Vec<f64>> {
        let weights = self.by_class.as_ref()?;
        Some(labels.iter().map(|label| weights[*label as usize]).collect())
    }
}
