//! A planned stage as a model on a device: which networks and terms exist is decided before the
//! first tensor.

mod build;
mod cached;
mod gradient;
mod pieces;

pub use build::{build, stage_stream};
pub use gradient::{clip, gradient};
pub use pieces::shares;

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor};

use crate::kernel::{PairTerm, contrastive, gradients, without_gradients};
use crate::library::encoder::Network;
use crate::library::loss::{Activations, Single};
use crate::nn::Mode;
use crate::tensor::Params;

/// An encoder with the loss terms of its stage.
pub struct Model {
    encoder: Box<dyn Network>,
    /// Terms that compare embeddings by pairs, computed together, and their names.
    pairs: Vec<(String, PairTerm)>,
    singles: Vec<SingleTerm>,
    /// The training class of each fine class.
    classes: Vec<u32>,
    params: Params,
}

struct SingleTerm {
    name: String,
    weight: f64,
    /// The class of each fine class, by the labels the term reads.
    classes: Vec<u32>,
    term: Box<dyn Single>,
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
        self == Self::All || single.term.is_mean() == (self == Self::Means)
    }
}

/// One step's images. Row `view * items + item` of `images` belongs to that view of that item.
pub struct Batch {
    /// `[views * items, height, width, channels]`
    pub images: Tensor,
    /// Each item once without random transforms; given when [`Model::needs_clean`].
    pub clean: Option<Tensor>,
    /// The fine class of each item.
    pub fine: Vec<u32>,
    pub views: usize,
}

/// The value of each term before its weight.
type Values = Vec<(String, f64)>;

/// The loss of a batch.
pub struct Loss {
    /// The weighted sum, with its gradient.
    pub total: Tensor,
    /// Each term's value before its weight.
    pub terms: Vec<(String, f64)>,
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
        let pairs = self.pairs.iter().map(|(name, _)| name.clone());
        pairs.chain(self.singles.iter().map(|single| single.name.clone())).collect()
    }

    /// The loss of one batch.
    pub fn loss(&self, batch: Batch, mode: &Mode) -> Result<Loss> {
        let embedding = self.encoder.forward(&batch.images, mode)?;
        let (total, terms) = self.terms(embedding, batch, mode, Which::All)?;
        Ok(Loss { total: total.expect("the check made sure of a term"), terms })
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
        if !self.pairs.is_empty() && which != Which::Means {
            let labels = mapped(&self.classes, &batch.fine);
            let pairs: Vec<PairTerm> = self.pairs.iter().map(|(_, term)| *term).collect();
            let (sum, values) = contrastive(&embedding, &labels, batch.views, &pairs)?;
            terms.extend(self.pairs.iter().map(|(name, _)| name.clone()).zip(values));
            total = Some(sum);
        }
        let mut activations = Activations {
            embedding,
            input: batch.images,
            clean: batch.clean,
            labels: Vec::new(),
            views: batch.views,
        };
        for single in self.singles.iter().filter(|single| which.has(single)) {
            activations.labels = mapped(&single.classes, &batch.fine);
            let value = single.term.value(&activations, mode)?;
            terms.push((single.name.clone(), scalar(&value)?));
            let weighted = value.affine(single.weight, 0.0)?;
            total = Some(match total {
                Some(sum) => (sum + weighted)?,
                None => weighted,
            });
        }
        Ok((total, terms))
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
        let embedding = without_gradients(|| self.encoder.forward(images, &Mode::Eval));
        Ok(embedding?.detach())
    }

    /// For each term with a classifier: its name, and how many of the images it has right.
    pub fn count_right(&self, images: &Tensor, fine: &[u32]) -> Result<Vec<(String, usize)>> {
        let embedding = self.embed(images)?;
        let mut right = Vec::new();
        for single in &self.singles {
            if let Some(logits) = single.term.logits(&embedding)? {
                let labels = mapped(&single.classes, fine);
                right.push((single.name.clone(), hits(&logits, &labels)?));
            }
        }
        Ok(right)
    }
}

fn mapped(classes: &[u32], fine: &[u32]) -> Vec<u32> {
    fine.iter().map(|id| classes[*id as usize]).collect()
}

/// A scalar of either precision.
pub fn scalar(value: &Tensor) -> Result<f64> {
    value.to_dtype(candle_core::DType::F64)?.to_scalar()
}

/// How many rows of `logits` are largest at their label; of equal scores the first counts.
fn hits(logits: &Tensor, labels: &[u32]) -> Result<usize> {
    let rows = logits.to_dtype(candle_core::DType::F32)?.to_vec2::<f32>()?;
    let right = rows.iter().zip(labels).filter(|(row, label)| {
        let best = row.iter().enumerate().fold(
            0,
            |best, (at, value)| {
                if *value > row[best] { at } else { best }
            },
        );
        best == **label as usize
    });
    Ok(right.count())
}
