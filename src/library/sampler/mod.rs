//! Samplers: which images each step of an epoch sees.

mod balanced;
mod shuffled;
mod upweighted;
mod walk;

use crate::catalog::Entry;
use crate::seed::Stream;

/// Every sampler, in the order the reference lists them.
pub static SAMPLERS: &[&Entry<dyn Sampler>] =
    &[&shuffled::ENTRY, &balanced::ENTRY, &upweighted::ENTRY];

/// A declared sampler.
pub trait Sampler: Send + Sync {
    /// The batches of one epoch, whose random numbers come from `stream` alone: a training that
    /// goes on in the middle of an epoch asks for all of it again.
    fn epoch(&self, course: &Course, stream: &Stream) -> Vec<Vec<Drawn>>;
}

/// What batches are drawn from, and how many.
#[derive(Debug, Clone, Copy)]
pub struct Course<'a> {
    /// The class of each training image, by the labels of the data.
    pub classes: &'a [u32],
    /// The group of each training image; empty where there are none.
    pub groups: &'a [u32],
    /// The names of the groups.
    pub group_names: &'a [String],
    /// Items in a batch, at most.
    pub batch: usize,
    /// Batches in an epoch.
    pub steps: usize,
}

/// A training image in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Drawn {
    /// Its place among the training images.
    pub at: u32,
    /// How often this epoch has drawn it before: another time is another augmentation.
    pub again: u32,
}
