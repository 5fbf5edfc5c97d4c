//! Groupings: groups of images that trained stages tell apart, without anyone's group labels.

mod clusters;
mod errors;

use super::eval::{EvalError, Site};
use crate::catalog::Entry;

/// Every grouping, in the order the reference lists them.
pub static GROUPINGS: &[&Entry<dyn Grouping>] = &[&clusters::ENTRY, &errors::ENTRY];

/// A declared grouping.
pub trait Grouping: Send + Sync {
    /// The group of each image that was seen, by its place among the names that are declared.
    ///
    /// # Errors
    /// When there are no such groups, or the user asks to stop.
    fn find(&self, seen: &Seen, site: &mut Site) -> Result<Found, EvalError>;
}

/// What a grouping sees.
pub struct Seen<'a> {
    /// The names of the classes.
    pub classes: &'a [String],
    pub train: Images,
    pub val: Images,
}

/// The images of a split, as trained stages see them.
pub struct Images {
    /// Embeddings of `dim` numbers, one after another.
    pub embeddings: Vec<f32>,
    pub dim: usize,
    /// The class of each image, as training sees it.
    pub labels: Vec<u32>,
    /// What a trained classifier gives to each class, image after image; none where none was trained.
    pub scores: Option<Vec<f32>>,
}

/// The group of each image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub train: Vec<u32>,
    pub val: Vec<u32>,
}

impl Images {
    /// The scores of each image; none where none was trained.
    fn scored(&self, classes: usize) -> Option<impl Iterator<Item = (&[f32], usize)>> {
        let labels = self.labels.iter().map(|label| *label as usize);
        Some(self.scores.as_ref()?.chunks_exact(classes).zip(labels))
    }
}
