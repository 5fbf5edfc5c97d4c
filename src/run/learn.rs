//! A step: the gradient of a batch, and the variables moved along it.

use candle_core::backprop::GradStore;

use super::batch::Prepared;
use super::event::RunError;
use super::readings::Readings;
use crate::graph::{Model, clip, gradient, stage_stream};
use crate::kernel::Rounded;
use crate::library::optimizer::Stepper;
use crate::plan::Stage;

/// What moves in a step.
pub struct Learner<'a> {
    pub stage: &'a Stage,
    pub model: &'a Model,
    pub stepper: &'a mut dyn Stepper,
    pub rounded: &'a mut Rounded,
    pub readings: &'a mut Readings,
}

impl Learner<'_> {
    /// Moves the variables by the gradient of `batch` at a learning rate, and notes its loss.
    ///
    /// # Errors
    /// When a variable has no gradient, and what a card says of anything queued before.
    pub fn learn(self, batch: Prepared, step: usize, rate: f64) -> Result<(), RunError> {
        let Self { stage, model, stepper, rounded, readings } = self;
        let stream = stage_stream(stage, "dropout").at(step as u64);
        let (items, batch) = (batch.items(), batch.held()?);
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
        Ok(readings.note((step, items), &loss, norm.as_ref())?)
    }
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
