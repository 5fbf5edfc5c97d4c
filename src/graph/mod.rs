//! A planned stage as a model on a device: which networks and terms exist is decided before the
//! first tensor.

mod build;
mod cached;
mod given;
mod gradient;
mod pieces;
mod weight;

pub use build::{build, stage_stream};
pub use given::{OnGiven, on_given};
pub use gradient::{clip, gradient};
pub use pieces::shares;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Tensor, bail};

use crate::catalog::{Course, Horizon};
use crate::kernel::{self, PairTerm, between, contrastive_weighted, gradients, without_gradients};
use crate::library::encoder::Network;
use crate::library::loss::{Activations, Mixed, Single};
use crate::nn::Mode;
use crate::plan::Slice;
use crate::seed::Stream;
use crate::tensor::Params;
use weight::{OfClasses, Weight};

/// An encoder with the loss terms of its stage.
pub struct Model {
    encoder: Box<dyn Network>,
    /// What terms that compare embeddings see them through.
    projector: Option<Box<dyn Network>>,
    /// Terms that compare embeddings by pairs, computed together.
    pairs: Vec<PairedTerm>,
    singles: Vec<SingleTerm>,
    /// The training class of each fine class.
    classes: Vec<u32>,
    /// The number of training images in each group; none where there are no groups.
    group_sizes: Vec<usize>,
    params: Params,
}

struct PairedTerm {
    name: String,
    /// What it sees of the embedding, where that is not all.
    on: Option<Slice>,
    weight: Weight,
    of_classes: OfClasses,
    /// The temperature, where it changes.
    temperature: Option<Course>,
    /// What it is the sum of, each with its weight in it.
    parts: Vec<PairTerm>,
}

struct SingleTerm {
    name: String,
    /// What it sees of the embedding, where that is not all.
    on: Option<Slice>,
    weight: Weight,
    of_classes: OfClasses,
    /// The class of each fine class, by the labels the term reads.
    classes: Vec<u32>,
    term: Box<dyn Single>,
}

/// The scores that a classifier gives to some images.
pub struct Judged {
    /// Which of the single terms has it.
    by: usize,
    /// [images, classes]
    logits: Tensor,
}

/// Which terms of a loss.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    /// Those that are means over the items.
    Means,
    /// The others, which need all items of a batch.
    Others,
}

impl Which {
    fn has(self, single: &SingleTerm) -> bool {
        // A mean over items that weighs them by their classes is not the mean of those of chunks.
        let is_mean = single.term.is_mean() && single.of_classes.by_class().is_none();
        self == Self::All || is_mean == (self == Self::Means)
    }
}

/// One step's images. Row `view * items + item` of `images` belongs to that view of that item.
#[derive(Clone)]
pub struct Batch {
    /// `[views * items, height, width, channels]`
    pub images: Tensor,
    /// Each item once without random transforms; given when [`Model::needs_clean`].
    pub clean: Option<Tensor>,
    /// The fine class of each item.
    pub fine: Vec<u32>,
    /// The group of each item; empty where the dataset names none.
    pub groups: Vec<u32>,
    pub views: usize,
    /// What images are mixed with, by fine classes.
    pub mixed: Option<Mixed>,
}

/// The value of each term before its weight: a scalar without a gradient, where it was computed.
type Values = Vec<(String, Tensor)>;

/// The loss of a batch.
pub struct Loss {
    /// The weighted sum, with its gradient.
    pub total: Tensor,
    /// Each term's value before its weight: a scalar without a gradient, in f64 on the CPU and in f32
    /// on a card, where reading one waits for all that is queued.
    pub terms: Vec<(String, Tensor)>,
}

impl Model {
    /// What is trained, by name.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Whether some term compares with the images before augmentation.
    pub fn needs_clean(&self) -> bool {
        self.singles.iter().any(|single| single.term.needs_clean())
    }

    /// The names of the terms, in the order [`Model::loss`] gives them.
    pub fn term_names(&self) -> Vec<String> {
        let pairs = self.pairs.iter().map(|paired| paired.name.clone());
        pairs.chain(self.singles.iter().map(|single| single.name.clone())).collect()
    }

    /// Balances the weights of classes, and counts groups, by the fine class and the group of each
    /// training image; `groups` is empty where there are none.
    pub fn balance(&mut self, fine: &[u32], groups: &[u32]) {
        self.group_sizes.fill(0);
        groups.iter().for_each(|group| self.group_sizes[*group as usize] += 1);
        let labels = mapped(&self.classes, fine);
        self.pairs.iter_mut().for_each(|paired| paired.of_classes.balance(&labels));
        for single in &mut self.singles {
            let labels = mapped(&single.classes, fine);
            single.of_classes.balance(&labels);
        }
    }

    /// Sets weights and temperatures to those of `step`.
    pub fn advance(&mut self, step: usize, horizon: &Horizon) {
        for paired in &mut self.pairs {
            paired.weight.advance(step, horizon);
            if let Some(course) = &paired.temperature {
                let temperature = course.at(step, horizon);
                paired.parts.iter_mut().for_each(|part| part.temperature = temperature);
            }
        }
        self.singles.iter_mut().for_each(|single| single.weight.advance(step, horizon));
    }

    /// The loss of one batch.
    pub fn loss(&self, batch: Batch, mode: &Mode) -> Result<Loss> {
        let embedding = self.encoded(&batch.images, mode)?;
        let (total, terms) = self.terms(embedding, batch, mode, Which::All)?;
        Ok(Loss { total: total.expect("the check made sure of a term"), terms })
    }

    /// The embeddings of images.
    fn encoded(&self, images: &Tensor, mode: &Mode) -> Result<Tensor> {
        between(images, |images| self.encoder.forward(images, mode))
    }

    /// Some terms of a batch with such embeddings: their weighted sum, if there are any, and the
    /// value of each.
    fn terms(
        &self,
        embedding: Tensor,
        batch: Batch,
        mode: &Mode,
        which: Which,
    ) -> Result<(Option<Tensor>, Values)> {
        let mut terms = Vec::new();
        let mut total: Option<Tensor> = None;
        let alike = |a: &PairedTerm, b: &PairedTerm| a.on == b.on;
        for pairs in self.pairs.chunk_by(alike).filter(|_| which != Which::Means) {
            let (sum, values) = self.compared(pairs, &embedding, &batch, mode)?;
            terms.extend(values);
            total = Some(plus(total, sum)?);
        }
        let mut activations = Activations {
            embedding: embedding.clone(),
            input: batch.images,
            clean: batch.clean,
            labels: Vec::new(),
            class_weights: None,
            groups: batch.groups,
            group_sizes: self.group_sizes.clone(),
            views: batch.views,
            mixed: None,
        };
        for single in self.singles.iter().filter(|single| which.has(single)) {
            activations.labels = mapped(&single.classes, &batch.fine);
            activations.mixed = batch
                .mixed
                .as_ref()
                .map(|mixed| Mixed { others: mapped(&single.classes, &mixed.others), ..*mixed });
            activations.class_weights = single.of_classes.by_class().cloned();
            activations.embedding = part(&embedding, single.on)?;
            let value = single.term.value(&activations, mode)?;
            terms.push((single.name.clone(), counted(&value)?));
            total = Some(single.weight.plus(total, &value)?);
        }
        Ok((total, terms))
    }

    /// What each term comes to, times its weight, when a batch has such embeddings, as evaluations
    /// see them.
    pub fn values(&self, embedding: &Tensor, batch: Batch) -> Result<Vec<(String, f64)>> {
        let terms = || self.terms(embedding.clone(), batch, &Mode::Eval, Which::All);
        let (_, values) = without_gradients(terms)?;
        let paired = self.pairs.iter().map(|it| (&it.name, it.weight.now()));
        let weights: Vec<_> =
            paired.chain(self.singles.iter().map(|it| (&it.name, it.weight.now()))).collect();
        let weight = |name: &str| weights.iter().find(|(it, _)| *it == name).map(|(_, it)| *it);
        let weighted = |(name, value): (String, Tensor)| {
            let weight = weight(&name).unwrap_or_default();
            Ok((name, weight * scalar(&value)?))
        };
        values.into_iter().map(weighted).collect()
    }

    /// Terms that compare the same part of embeddings: their weighted sum, and the value of each.
    fn compared(
        &self,
        pairs: &[PairedTerm],
        embedding: &Tensor,
        batch: &Batch,
        mode: &Mode,
    ) -> Result<(Tensor, Values)> {
        if batch.mixed.is_some() {
            bail!("images that are mixed have no class to compare them by");
        }
        let labels = mapped(&self.classes, &batch.fine);
        let parts: Vec<PairTerm> = pairs.iter().flat_map(PairedTerm::weighted).collect();
        let weights = pairs.iter().flat_map(|paired| {
            let of_items = paired.of_classes.of_items(&labels);
            paired.parts.iter().map(move |_| of_items.clone())
        });
        let weights: Vec<Option<Vec<f64>>> = weights.collect();
        let seen = match pairs[0].on {
            None => self.project(embedding, mode)?,
            on => part(embedding, on)?,
        };
        let (sum, values) = contrastive_weighted(&seen, &labels, batch.views, &parts, &weights)?;
        let mut at = 0..parts.len();
        let value = |paired: &PairedTerm| {
            let parts = paired.parts.iter().zip(at.by_ref());
            let values = parts.map(|(part, at)| weighted(&values.get(at)?, part.weight));
            let value = values.reduce(|a, b| a? + b?).transpose()?;
            Ok((paired.name.clone(), value.map_or_else(|| counted(&sum.zeros_like()?), Ok)?))
        };
        let values = pairs.iter().map(value).collect::<Result<_>>()?;
        Ok((sum, values))
    }

    /// The loss of one batch, and the gradients of every variable.
    pub fn gradients(&self, batch: Batch, mode: &Mode) -> Result<(Loss, GradStore)> {
        let mut terms = Vec::new();
        let (total, gradients) = gradients(|| {
            let loss = self.loss(batch, mode)?;
            terms = loss.terms;
            Ok(loss.total)
        })?;
        Ok((Loss { total, terms }, gradients))
    }

    /// The embeddings `[rows, dim]` of images, as evaluations see them.
    pub fn embed(&self, images: &Tensor) -> Result<Tensor> {
        self.embed_as(images, &Mode::Eval)
    }

    /// The same of an encoder that drops what it drops in training, by a stream of numbers.
    pub fn embed_dropping(&self, images: &Tensor, stream: Stream) -> Result<Tensor> {
        self.embed_as(images, &Mode::Drop(stream))
    }

    fn embed_as(&self, images: &Tensor, mode: &Mode) -> Result<Tensor> {
        let embedding = without_gradients(|| self.encoded(images, mode));
        Ok(embedding?.detach())
    }

    /// What contrastive terms see of embeddings: themselves, where nothing projects them.
    pub fn project(&self, embedding: &Tensor, mode: &Mode) -> Result<Tensor> {
        match &self.projector {
            Some(projector) => projector.forward(embedding, mode),
            None => Ok(embedding.clone()),
        }
    }

    /// Scores `[rows, classes]` of embeddings by the first term with a classifier that reads the
    /// labels `classes`, which give each fine class its own; none without such a term.
    pub fn scores(&self, embedding: &Tensor, classes: &[u32]) -> Result<Option<Tensor>> {
        for single in self.singles.iter().filter(|single| single.classes == classes) {
            if let Some(logits) = without_gradients(|| single.term.logits(embedding))? {
                return Ok(Some(logits.detach()));
            }
        }
        Ok(None)
    }

    /// The same as an evaluation sees it.
    pub fn projected(&self, embedding: &Tensor) -> Result<Tensor> {
        let projected = without_gradients(|| self.project(embedding, &Mode::Eval));
        Ok(projected?.detach())
    }

    /// What each term with a classifier makes of images; a card is not waited for, but by weights
    /// whose norms are.
    pub fn judged(&self, images: &Tensor) -> Result<Vec<Judged>> {
        let embedding = self.embed(images)?;
        let mut judged = Vec::new();
        for (by, single) in self.singles.iter().enumerate() {
            let seen = part(&embedding, single.on)?;
            if let Some(logits) = without_gradients(|| single.term.logits(&seen))? {
                judged.push(Judged { by, logits: logits.detach() });
            }
        }
        Ok(judged)
    }

    /// The name of the term that judged images of the classes `fine`, and which of them it has right.
    pub fn right(&self, judged: &Judged, fine: &[u32]) -> Result<(&str, Vec<bool>)> {
        let single = &self.singles[judged.by];
        Ok((&single.name, hits(&judged.logits, &mapped(&single.classes, fine))?))
    }
}

impl PairedTerm {
    /// The parts with their weights in the total.
    fn weighted(&self) -> impl Iterator<Item = PairTerm> {
        let weight = self.weight.now();
        self.parts.iter().map(move |part| PairTerm { weight: weight * part.weight, ..*part })
    }
}

/// What is seen of an embedding.
fn part(embedding: &Tensor, on: Option<Slice>) -> Result<Tensor> {
    match on {
        Some(Slice { start, width }) => embedding.narrow(1, start, width)?.contiguous(),
        None => Ok(embedding.clone()),
    }
}

fn plus(sum: Option<Tensor>, more: Tensor) -> Result<Tensor> {
    match sum {
        Some(sum) => kernel::plus(Some(&sum), &more, 1.0),
        None => Ok(more),
    }
}

fn mapped(classes: &[u32], fine: &[u32]) -> Vec<u32> {
    fine.iter().map(|id| classes[*id as usize]).collect()
}

/// A scalar as what is counted is added up: without a gradient, in f64 where there is f64.
fn counted(value: &Tensor) -> Result<Tensor> {
    let value = value.detach();
    if value.device().is_cpu() { value.to_dtype(DType::F64) } else { Ok(value) }
}

/// A scalar times `weight`; it keeps every bit where that is 1.
fn weighted(value: &Tensor, weight: f64) -> Result<Tensor> {
    if weight == 1.0 { Ok(value.clone()) } else { value.affine(weight, 0.0) }
}

/// A scalar of either precision.
pub fn scalar(value: &Tensor) -> Result<f64> {
    value.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_scalar()
}

/// Which rows of `logits` are largest at their label; of equal scores the first counts.
fn hits(logits: &Tensor, labels: &[u32]) -> Result<Vec<bool>> {
    let rows = logits.to_dtype(DType::F32)?.to_vec2::<f32>()?;
    let is_right = |(row, label): (&Vec<f32>, &u32)| {
        let best = row.iter().enumerate().fold(
            0,
            |best, (at, value)| {
                if *value > row[best] { at } else { best }
            },
        );
        best == *label as usize
    };
    Ok(rows.iter().zip(labels).map(is_right).collect())
}
