//! The average of a training's weights that is evaluated in their place.

use candle_core::Result;

use super::checkpoint::State;
use crate::graph::Model;
use crate::plan::Method;

/// An average of weights, and of the statistics that normalisations keep.
pub struct Average {
    sort: Sort,
    /// Empty until the first weights are taken in.
    pub state: State,
}

enum Sort {
    None,
    /// Of which each step keeps a share.
    Moving(f64),
    /// The mean over the ends of epochs after so many steps.
    Epochs(usize),
}

impl Average {
    /// The average that `method` asks for, gone on from `state`.
    pub fn new(method: &Method, state: State) -> Self {
        let sort = match (method.ema, method.swa) {
            (Some(decay), _) => Sort::Moving(decay),
            (None, Some(start)) => Sort::Epochs(start),
            (None, None) => Sort::None,
        };
        Self { sort, state }
    }

    /// Takes in the weights after a step.
    pub fn after_step(&mut self, model: &Model) -> Result<()> {
        match self.sort {
            Sort::Moving(decay) => self.take_in(model, 1.0 - decay),
            _ => Ok(()),
        }
    }

    /// Takes in the weights at the end of an epoch, after `step` steps of which an epoch has
    /// `per_epoch`.
    pub fn after_epoch(&mut self, model: &Model, step: usize, per_epoch: usize) -> Result<()> {
        match self.sort {
            Sort::Epochs(start) if step > start => {
                let ends = step.div_ceil(per_epoch) - start / per_epoch;
                self.take_in(model, 1.0 / ends as f64)
            }
            _ => Ok(()),
        }
    }

    /// Moves the average by `share` of the way to the weights; the first are taken as they are.
    fn take_in(&mut self, model: &Model, share: f64) -> Result<()> {
        let weights = model.params().state()?;
        if self.state.is_empty() {
            self.state = weights;
            return Ok(());
        }
        for (name, average) in &mut self.state {
            *average = (&*average + (&weights[name] - &*average)?.affine(share, 0.0)?)?;
        }
        Ok(())
    }

    /// Runs `work` with the average in the place of the weights, if there is one yet.
    pub fn during<R, E: From<candle_core::Error>>(
        &self,
        model: &Model,
        work: impl FnOnce() -> std::result::Result<R, E>,
    ) -> std::result::Result<R, E> {
        if self.state.is_empty() {
            return work();
        }
        let weights = model.params().state()?;
        model.params().restore(&self.state)?;
        let done = work();
        model.params().restore(&weights)?;
        done
    }
}
