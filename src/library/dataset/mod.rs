//! Datasets: real images with fine labels and a coarser labelling above them.

mod cifar10;
mod cifar100;
mod digits;
mod fashion_mnist;
mod mnist;

use std::path::Path;

use crate::catalog::{DatasetFacts, Entry, ImageShape};
use crate::data::{self, DataError, Presence, Raw, Split};

/// Every dataset, small ones first.
pub static DATASETS: &[&Entry<dyn Dataset>] =
    &[&digits::ENTRY, &mnist::ENTRY, &fashion_mnist::ENTRY, &cifar10::ENTRY, &cifar100::ENTRY];

/// A declared dataset.
pub trait Dataset: Send + Sync {
    /// What is known of it without reading it, given the folder that holds all data.
    fn facts(&self, root: &Path) -> DatasetFacts;

    /// Reads and verifies its content.
    fn load(&self, root: &Path) -> Result<Raw, DataError>;
}

/// The facts of one of the datasets of [`crate::data`].
fn facts_of(name: &str, root: &Path) -> DatasetFacts {
    let known = data::describe(name).expect("each dataset here is described");
    let count = |split| known.splits.iter().find(|(it, _)| *it == split).map(|(_, count)| *count);
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    DatasetFacts {
        image: ImageShape { height: known.height, width: known.width, channels: known.channels },
        fine: owned(known.classes),
        coarse: (
            owned(known.coarse.classes),
            known.coarse.of.iter().map(|id| u32::from(*id)).collect(),
        ),
        train: count(Split::Pool).or(count(Split::Train)).unwrap_or_default(),
        test: count(Split::Test),
        digest: known
            .contents
            .first()
            .map_or(String::new(), |content| content.sha256.unwrap_or(name).to_owned()),
        absent: (data::presence(known, root) == Presence::Absent)
            .then(|| format!("fetch it with `balance data fetch {name}`")),
        ..DatasetFacts::default()
    }
}
