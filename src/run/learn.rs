//! A step: the gradient of a batch, and the variables moved along it.

use candle_core::backprop::GradStore;
use candle_core::{Result as TensorResult, Tensor};

use super::event::RunError;
use crate::graph::{Batch, Loss, Model, clip, gradient, stage_stream};
use crate::kernel::Rounded;
use crate::library::optimizer::Stepper;
use crate::plan::Stage;

/// What moves in a step.
pub struct Learner<'a> {
    pub stage: &'a Stage,
    pub model: &'a Model,
    pub stepper: &'a mut dyn Stepper,
    pub rounded: &'a mut Rounded,
}

/// What a step came to.
pub struct Learnt {
    pub loss: Loss,
    /// How long the gradient was, where that is bounded.
    pub norm: Option<Tensor>,
}

impl Learner<'_> {
    /// Moves the variables by the gradient of `batch` at a learning rate.
    ///
    /// # Errors
    /// When a variable has no gradient, and what a card says of anything queued before.
    pub fn learn(self, batch: Batch, step: usize, rate: f64) -> Result<Learnt, RunError> {
        let Self { stage, model, stepper, rounded } = self;
        let stream = stage_stream(stage, "dropout").at(step as u64);
        let batch = batch.held()?;
        let (loss, grads) = rounded
            .during(|| model.params().vars(), || gradient(model, &stage.method, batch, stream))?;
        if step == 0 {
            check_gradients(model, &grads)?;
        }
        let (grads, norm) = match stage.method.clip {
            Some(most) => {
                let (grads, norm) = clip(model.params(), grads, most)?;
                (grads, Some(norm))
            }
            None => (grads, None),
        };
        stepper.step(&grads, rate)?;
        Ok(Learnt { loss: Loss { total: loss.total.detach(), ..loss }, norm })
    }
}

impl Learnt {
    /// The same in memory that the next step does not write to.
    pub fn kept(self) -> TensorResult<Self> {
        let Loss { total, terms } = self.loss;
        let terms = terms.into_iter().map(|(name, value)| Ok((name, own(&value)?)));
        let loss = Loss { terms: terms.collect::<TensorResult<_>>()?, total: own(&total)? };
        Ok(Self { loss, norm: self.norm.map(|norm| own(&norm)).transpose()? })
    }
}

/// A copy, where a step's memory is written to again.
fn own(value: &Tensor) -> TensorResult<Tensor> {
    if value.device().is_cuda() { value.copy() } else { Ok(value.clone()) }
}

/// A layer without a backward pass would leave what is behind it untrained, silently.
fn check_gradients(model: &Model, grads: &GradStore) -> Result<(), RunError> {
    let missing = model.params().without_gradient(grads);
    if missing.is_empty() {
        return Ok(());
    }
    Err(RunError::failed(
        format!("no gradient reaches {}", missing.join(", ")),
        "this is a fault of balance: please report it with the file",
    ))
}
