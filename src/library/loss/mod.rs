//! Loss terms: each turns what the model computed for a batch into one number to minimise.

mod account;
mod class_autoencoder;
mod class_infonce;
mod cross_entropy;
mod forms;
mod group_dro;
mod infonce;
mod pairs;
mod supcon;
mod thanos_release;

use candle_core::{Result, Tensor};

use super::Library;
use crate::catalog::{Entry, ImageShape};
use crate::kernel::PairTerm;
use crate::nn::Mode;
use crate::tensor::Scope;

pub use pairs::Pairs;

/// Every loss term, in the order the reference lists them.
pub static LOSSES: &[&Entry<dyn Loss>] = &[
    &supcon::ENTRY,
    &class_infonce::ENTRY,
    &infonce::ENTRY,
    &thanos_release::ENTRY,
    &cross_entropy::ENTRY,
    &group_dro::ENTRY,
    &class_autoencoder::ENTRY,
];

/// A declared loss term.
pub trait Loss: Send + Sync {
    /// The term at its place in a model; what it trains of its own (a classifier's head, a decoder)
    /// is made in `scope`.
    ///
    /// # Errors
    /// When its variables cannot be made.
    fn build(&self, site: &Site, scope: &Scope) -> Result<Term>;
}

/// Where a term stands in a model.
pub struct Site<'a> {
    pub library: &'a Library,
    /// Width of the embedding.
    pub dim: usize,
    pub image: ImageShape,
    /// Classes of the labels the term reads.
    pub classes: usize,
    /// Groups of the data; none where the dataset names none.
    pub groups: usize,
}

/// A term that is part of a model.
pub enum Term {
    /// Compares embeddings by pairs; all such terms of a stage are computed in one tiled pass. It
    /// is the sum of these parts, each with its weight in it.
    Pairwise(Vec<PairTerm>),
    /// Computed on its own.
    Single(Box<dyn Single>),
}

/// A term computed on its own.
pub trait Single: Send + Sync {
    /// The scalar value of one batch.
    ///
    /// # Errors
    /// When the batch does not have what the term declares to need.
    fn value(&self, batch: &Activations, mode: &Mode) -> Result<Tensor>;

    /// Whether it compares with the images before augmentation.
    fn needs_clean(&self) -> bool {
        false
    }

    /// Whether its value is the mean over the items of what each comes to by itself, so that it can
    /// be computed of a batch in pieces.
    fn is_mean(&self) -> bool {
        false
    }

    /// Class scores `[rows, classes]` of embeddings `[rows, dim]`, when the term has a classifier.
    fn logits(&self, _embedding: &Tensor) -> Result<Option<Tensor>> {
        Ok(None)
    }
}

/// What the model computed for one batch of `items` images in `views` views.
/// Row `view * items + item` belongs to that view of that item.
pub struct Activations {
    /// The encoder's output, `[views * items, dim]`.
    pub embedding: Tensor,
    /// What the encoder saw, `[views * items, height, width, channels]`.
    pub input: Tensor,
    /// Each item once without random transforms, `[items, height, width, channels]`; absent when no
    /// term asks for it.
    pub clean: Option<Tensor>,
    /// The class of each item, by the labels this term reads.
    pub labels: Vec<u32>,
    /// How much each class counts, where the term says so.
    pub class_weights: Option<Vec<f64>>,
    /// The group of each item, and the number of training images in each group; both empty where
    /// the dataset names no groups.
    pub groups: Vec<u32>,
    pub group_sizes: Vec<usize>,
    pub views: usize,
    /// What images are mixed with; only for terms that declare to read shares of classes.
    pub mixed: Option<Mixed>,
}

/// What the images of a batch are mixed with.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixed {
    /// The share of an image that is its own.
    pub own: f64,
    /// The class of the other image of each item.
    pub others: Vec<u32>,
}
