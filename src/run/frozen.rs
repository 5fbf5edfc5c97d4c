//! A trained encoder that nothing changes any more, and the embeddings it has given.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::batch::Transforms;
use super::checkpoint::{Checkpoint, spoilt};
use super::event::{RunError, first_line};
use super::groups::Groups;
use super::order::Drawing;
use super::pool::Pool;
use super::session::Surroundings;
use super::train::EVAL_BATCH;
use crate::graph::{Model, build};
use crate::library::eval::{Change, EvalError, Split};
use crate::plan::Stage;
use crate::seed::Stream;

/// A trained encoder with its data.
pub struct Frozen {
    model: Model,
    transforms: Transforms,
    pub pool: Arc<Pool>,
    /// The groups of the training images, as training read them.
    groups: Vec<u32>,
    device: Device,
    /// Embeddings `[images, dim]` on the CPU; each is computed once, whatever number of
    /// evaluations reads it.
    known: RefCell<BTreeMap<Split, Tensor>>,
}

/// What terms come to, by their names.
pub type Values = Vec<(String, f64)>;

/// Told how many images were embedded; may ask to stop.
pub type Tell<'a> = dyn FnMut(usize) -> Result<(), EvalError> + 'a;

impl Frozen {
    /// The kept state of `stage`, or that after its last step, over the data it was trained on.
    ///
    /// # Errors
    /// When the stage has no sound checkpoint, or one that was trained on other data.
    pub fn load(
        around: &Surroundings,
        (stage, is_last): (&Stage, bool),
        pool: Arc<Pool>,
    ) -> Result<Self, RunError> {
        let groups = Groups::known(&around.store.stage(stage), stage, &pool)?;
        let mut model = build(stage, around.library, DType::F32, around.device)?;
        let folder = around.store.stage(stage);
        let checkpoint = Checkpoint::load(&folder, &stage.digest, around.device)?;
        let checkpoint = checkpoint.ok_or_else(|| spoilt(&folder, "it is missing"))?;
        checkpoint.expect_content(&folder, &pool.content)?;
        let state = match is_last && stage.keep_best.is_some() {
            true => &checkpoint.last,
            false => &checkpoint.model,
        };
        if state.is_empty() && !checkpoint.model.is_empty() {
            return Err(spoilt(&folder, "it does not hold the state after the last step"));
        }
        let restored = model.params().restore(state);
        restored.map_err(|error| spoilt(&folder, &first_line(&error)))?;
        // Terms are asked for as they were at the end.
        model.balance(&pool.fine_of(Split::Train), &groups.train);
        model.advance(stage.steps.saturating_sub(1), &stage.horizon());
        let transforms = Transforms::new(stage, around.library, model.needs_clean());
        Ok(Self {
            model,
            transforms,
            pool,
            groups: groups.train,
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
        let features = self.embed((items, None), tell, |items| {
            self.transforms.untouched(&self.pool, items, &self.device)
        })?;
        self.known.borrow_mut().insert(split, features.clone());
        Ok(features)
    }

    /// The embeddings of one augmented view of each training image, drawn from `stream`; of an
    /// encoder that drops what it dropped in training, by another stream, where there is one.
    pub fn augmented(
        &self,
        (stream, drops): (&Stream, Option<&Stream>),
        tell: &mut Tell,
    ) -> Result<Tensor, EvalError> {
        self.embed((self.pool.indices(Split::Train), drops), tell, |items| {
            self.transforms.augmented(&self.pool, items, stream, &self.device)
        })
    }

    /// The embeddings of a split's images, each changed before the fixed transforms.
    pub fn changed(
        &self,
        split: Split,
        change: &Change,
        tell: &mut Tell,
    ) -> Result<Tensor, EvalError> {
        self.embed((self.pool.indices(split), None), tell, |items| {
            self.transforms.changed(&self.pool, items, change, &self.device)
        })
    }

    /// What the projector makes of embeddings.
    pub fn projected(&self, embeddings: &Tensor) -> Result<Tensor, EvalError> {
        let (mut rows, all) = (Vec::new(), embeddings.dim(0)?);
        for first in (0..all).step_by(EVAL_BATCH) {
            let some = embeddings.narrow(0, first, EVAL_BATCH.min(all - first))?;
            let seen = self.model.projected(&some.to_device(&self.device)?)?;
            rows.push(seen.to_device(&Device::Cpu)?);
        }
        match rows.is_empty() {
            true => Ok(embeddings.clone()),
            false => Ok(Tensor::cat(&rows, 0)?),
        }
    }

    /// Scores of embeddings by the first classifier that was trained on the labels `classes`, which
    /// give each fine class its own.
    pub fn scores(
        &self,
        embedding: &Tensor,
        classes: &[u32],
    ) -> candle_core::Result<Option<Tensor>> {
        let scores = self.model.scores(&embedding.to_device(&self.device)?, classes)?;
        scores.map(|scores| scores.to_device(&Device::Cpu)).transpose()
    }

    /// What each term comes to, times its weight at the end, on some training images as one batch in
    /// the views of the first epoch: for each of `orders`, when the image at place `i` has the
    /// embeddings of that at place `order[i]`. Labels are the true ones.
    pub fn losses(&self, rows: &[u32], orders: &[Vec<u32>]) -> Result<Vec<Values>, EvalError> {
        let all = self.pool.indices(Split::Train);
        let items: Vec<u32> = rows.iter().map(|row| all[*row as usize]).collect();
        let again = vec![0; items.len()];
        let group = |row: &u32| self.groups.get(*row as usize).copied();
        let groups = rows.iter().filter_map(group).collect();
        let drawing = Drawing { step: 0, epoch: 0, items, again, groups };
        let mut batch = self.transforms.batch(&self.pool, &drawing, &self.device)?;
        let items = &drawing.items;
        batch.fine = items.iter().map(|item| self.pool.fine[*item as usize]).collect();
        let mut embedded = Vec::new();
        for first in (0..batch.images.dim(0)?).step_by(EVAL_BATCH) {
            let count = EVAL_BATCH.min(batch.images.dim(0)? - first);
            embedded.push(self.model.embed(&batch.images.narrow(0, first, count)?)?);
        }
        let embedding = Tensor::cat(&embedded, 0)?;
        let values = |order: &Vec<u32>| {
            let count = items.len() as u32;
            let view = |view: usize| order.iter().map(move |at| view as u32 * count + at);
            let places: Vec<u32> = (0..batch.views).flat_map(view).collect();
            let places = Tensor::new(places, &self.device)?;
            let moved = embedding.index_select(&places, 0)?;
            self.model.values(&moved, batch.clone())
        };
        Ok(orders.iter().map(values).collect::<candle_core::Result<_>>()?)
    }

    fn embed(
        &self,
        (items, drops): (&[u32], Option<&Stream>),
        tell: &mut Tell,
        render: impl Fn(&[u32]) -> candle_core::Result<Tensor>,
    ) -> Result<Tensor, EvalError> {
        let mut rows = Vec::new();
        for (at, chunk) in items.chunks(EVAL_BATCH).enumerate() {
            let images = render(chunk)?;
            let embedding = match drops {
                Some(stream) => self.model.embed_dropping(&images, stream.at(at as u64))?,
                None => self.model.embed(&images)?,
            };
            rows.push(embedding.to_device(&Device::Cpu)?);
            tell(chunk.len())?;
        }
        match rows.is_empty() {
            true => Ok(Tensor::zeros((0, 1), DType::F32, &Device::Cpu)?),
            false => Ok(Tensor::cat(&rows, 0)?),
        }
    }
}
