//! Evaluations: what frozen features are worth.

mod alignment;
mod cka;
mod classify;
mod collapse;
mod corruptions;
mod dfr;
mod few_shot;
mod geometry;
mod grouped;
mod knn;
mod linear;
mod noisy_labels;
mod permutation;
mod probe;
mod regression;
mod retrieval;
mod rows;
mod scale;
mod spectrum;
mod subclasses;
mod theory;
mod training;

use std::ops::ControlFlow;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::Library;
use super::augment::Image;
use crate::catalog::Entry;
use crate::seed::Stream;

pub use training::{Foretold, OfTerm, Sees, TermValue};

/// Every evaluation, in the order the reference lists them.
pub static EVALUATIONS: &[&Entry<dyn Evaluation>] = &[
    &linear::ENTRY,
    &knn::ENTRY,
    &few_shot::ENTRY,
    &classify::ENTRY,
    &dfr::ENTRY,
    &geometry::ENTRY,
    &spectrum::ENTRY,
    &collapse::ENTRY,
    &alignment::ENTRY,
    &cka::ENTRY,
    &theory::ENTRY,
    &permutation::ENTRY,
    &retrieval::ENTRY,
    &subclasses::ENTRY,
    &corruptions::ENTRY,
    &noisy_labels::ENTRY,
];

/// A declared evaluation.
pub trait Evaluation: Send + Sync {
    /// Measures the features of `source`.
    ///
    /// # Errors
    /// When the user asks to stop, or when the features allow no measurement.
    fn evaluate(
        &self,
        source: &mut dyn FeatureSource,
        site: &mut Site,
    ) -> Result<Vec<Score>, EvalError>;
}

/// What an evaluation is handed besides its features.
pub struct Site<'a> {
    pub library: &'a Library,
    /// The address of this evaluation's randomness.
    pub stream: Stream,
    /// Called with the share done, for a progress bar; may ask to stop.
    pub progress: &'a mut dyn FnMut(f64) -> ControlFlow<()>,
}

impl Site<'_> {
    /// Reports the share done.
    ///
    /// # Errors
    /// When the user asks to stop.
    pub fn done(&mut self, share: f64) -> Result<(), EvalError> {
        match (self.progress)(share) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(EvalError::Stopped),
        }
    }
}

/// A split of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    Train,
    Val,
    Test,
}

impl Split {
    /// All splits, in reading order.
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// The word in metrics and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}

/// One augmented view of every training image, as an encoder sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Each epoch has another.
    pub epoch: usize,
    /// Whether the encoder drops what it dropped in training.
    pub drops: bool,
}

/// Where features come from: cached ones of a split, or those of augmented views on demand, so that
/// no evaluation needs a model.
pub trait FeatureSource {
    /// The features of a split's untouched images, with their labels; no rows when there is no
    /// such split.
    fn features(&mut self, split: Split) -> Result<Features, EvalError>;

    /// The features of one augmented view of each training image, in the same order.
    fn augmented(&mut self, view: View) -> Result<Features, EvalError>;

    /// The features of a split's images when each was changed before any transform, in the same
    /// order; none where that needs colors and they have none.
    fn changed(
        &mut self,
        _split: Split,
        _needs_color: bool,
        _change: &Change,
    ) -> Result<Option<Features>, EvalError> {
        Err(EvalError::Failed("embeddings that are given have no images to change".to_owned()))
    }

    /// Classes of the labels asked for.
    fn classes(&self) -> usize;

    /// A further label of each row of a split, in the order of [`Self::features`]; none when the
    /// evaluation did not ask for it, or the dataset has none.
    fn column(&mut self, split: Split, column: Column) -> Result<Option<Labelling>, EvalError>;

    /// The features of the encoders that the argument `with` names, in the order of
    /// [`Self::features`].
    fn with(&mut self, _split: Split) -> Result<Features, EvalError> {
        Err(EvalError::Failed("nothing is named to compare with".to_owned()))
    }

    /// Scores `[n, classes]` that a linear classifier gives to embeddings, one that was trained with
    /// the encoder on the labels asked for; none where there is none.
    fn scores(&mut self, _embedding: &Tensor) -> Result<Option<Tensor>, EvalError> {
        Ok(None)
    }

    /// What theory says of the training depends on; none where the closed forms do not reach it.
    fn foretold(&mut self) -> Option<Foretold> {
        None
    }

    /// What the loss terms of the trainings come to on some rows of the training split as one batch,
    /// in the views of the first epoch: for each of `orders`, when the image at place `i` has the
    /// embeddings of that at place `order[i]`.
    fn losses(
        &mut self,
        _rows: &[u32],
        _orders: &[Vec<u32>],
    ) -> Result<Vec<Vec<TermValue>>, EvalError> {
        Ok(Vec::new())
    }

    /// Images in a batch of the training.
    fn batch(&self) -> usize {
        1
    }

    /// The scores `[n, classes]` that a classifier trained with the encoder gives a split, for the
    /// labels asked for; none where none was trained on them.
    fn class_scores(&mut self, split: Split) -> Result<Option<Tensor>, EvalError> {
        let features = self.features(split)?;
        self.scores(&features.embedding)
    }

    /// Takes note of what was measured of groups, to be kept beside the scores.
    fn keep_groups(&mut self, _found: Vec<OfGroup>) {}

    /// The same of loss terms.
    fn keep_terms(&mut self, _found: Vec<OfTerm>) {}
}

/// What changes an image, which is the one of a number in its dataset.
pub type Change<'a> = dyn Fn(&mut Image, u32) + Sync + 'a;

/// The accuracy on one group of a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OfGroup {
    pub split: String,
    pub group: String,
    pub images: usize,
    pub accuracy: f64,
}

/// Labels beside those an evaluation asks for by `labels`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// The classes inside which an evaluation looks: its argument `within`.
    Within,
    /// The groups that the dataset names.
    Groups,
    /// The classes asked for as training saw them: some are others where labels are noisy.
    Observed,
}

/// One label for each row, and what the labels are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelling {
    pub labels: Vec<u32>,
    pub names: Vec<String>,
}

/// Embeddings `[n, dim]` (f32, on the CPU) and the class of each.
#[derive(Debug, Clone)]
pub struct Features {
    pub embedding: Tensor,
    pub labels: Vec<u32>,
}

/// One measured number.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    pub split: Split,
    /// One of the metrics the component declares.
    pub metric: &'static str,
    pub value: f64,
}

/// Why an evaluation gave no scores.
#[derive(Debug)]
pub enum EvalError {
    /// The user asked to stop.
    Stopped,
    /// It cannot be computed, and why.
    Failed(String),
}

impl From<candle_core::Error> for EvalError {
    fn from(error: candle_core::Error) -> Self {
        Self::Failed(error.to_string())
    }
}
