//! A trained encoder that nothing changes any more, and the embeddings it has given.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use candle_core::{DType, Device, Tensor};

use super::batch::Transforms;
use super::checkpoint::{Checkpoint, spoilt};
use super::event::{RunError, first_line};
use super::pool::Pool;
use super::session::Surroundings;
use super::train::EVAL_BATCH;
use crate::graph::{Model, build};
use crate::library::eval::{EvalError, Split};
use crate::plan::Stage;
use crate::seed::Stream;

/// A trained encoder with its data.
pub struct Frozen {
    model: Model,
    transforms: Transforms,
    pub pool: Rc<Pool>,
    device: Device,
    /// Embeddings `[images, dim]` on the CPU; each is computed once, whatever number of
    /// evaluations reads it.
    known: RefCell<BTreeMap<Split, Tensor>>,
}

/// Told how many images were embedded; may ask to stop.
pub type Tell<'a> = dyn FnMut(usize) -> Result<(), EvalError> + 'a;

impl Frozen {
    /// The kept state of `stage`, over the data it was trained on.
    ///
    /// # Errors
    /// When the stage has no sound checkpoint, or one that was trained on other data.
    pub fn load(around: &Surroundings, stage: &Stage, pool: Rc<Pool>) -> Result<Self, RunError> {
        let model = build(stage, around.library, DType::F32, around.device)?;
        let folder = around.store.stage(stage);
        let checkpoint = Checkpoint::load(&folder, &stage.digest, around.device)?;
        let checkpoint = checkpoint.ok_or_else(|| spoilt(&folder, "it is missing"))?;
        checkpoint.expect_content(&folder, &pool.content)?;
        let restored = model.params().restore(&checkpoint.model);
        restored.map_err(|error| spoilt(&folder, &first_line(&error)))?;
        let transforms = Transforms::new(stage, around.library, false);
        Ok(Self {
            model,
            transforms,
            pool,
            device: around.device.clone(),
            known: RefCell::default(),
        })
    }

    /// The embeddings of a split's images with the fixed transforms only.
    pub fn features(&self, split: Split, tell: &mut Tell) -> Result<Tensor, EvalError> {
        if let Some(known) = self.known.borrow().get(&split) {
            return Ok(known.clone());
        }
        let items = self.pool.indices(split);
        let features = self.embed(items, tell, |items| {
            self.transforms.untouched(&self.pool, items, &self.device)
        })?;
        self.known.borrow_mut().insert(split, features.clone());
        Ok(features)
    }

    /// The scores of embeddings by a classifier that was trained on the labels `of_fine`, if there
    /// is one.
    pub fn class_scores(
        &self,
        embedding: &Tensor,
        of_fine: &[u32],
    ) -> Result<Option<Tensor>, EvalError> {
        let scores = self.model.class_scores(&embedding.to_device(&self.device)?, of_fine)?;
        Ok(scores.map(|it| it.to_device(&Device::Cpu)).transpose()?)
    }

    /// The embeddings of one augmented view of each training image, drawn from `stream`.
    pub fn augmented(&self, stream: &Stream, tell: &mut Tell) -> Result<Tensor, EvalError> {
        self.embed(self.pool.indices(Split::Train), tell, |items| {
            self.transforms.augmented(&self.pool, items, stream, &self.device)
        })
    }

    fn embed(
        &self,
        items: &[u32],
        tell: &mut Tell,
        render: impl Fn(&[u32]) -> candle_core::Result<Tensor>,
    ) -> Result<Tensor, EvalError> {
        let mut rows = Vec::new();
        for chunk in items.chunks(EVAL_BATCH) {
            rows.push(self.model.embed(&render(chunk)?)?.to_device(&Device::Cpu)?);
            tell(chunk.len())?;
        }
        match rows.is_empty() {
            true => Ok(Tensor::zeros((0, 1), DType::F32, &Device::Cpu)?),
            false => Ok(Tensor::cat(&rows, 0)?),
        }
    }
}
