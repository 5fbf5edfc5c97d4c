//! Datasets: real images with fine labels and a coarser labelling above them.

mod celeba;
mod cifar10;
mod cifar100;
mod colored;
mod csv;
mod digits;
mod division;
mod dominoes;
mod fashion_mnist;
mod image_folder;
mod isic;
mod local;
mod mnist;
mod npz;
mod synthetic_free;
mod synthetic_nested;
mod tiny_imagenet;
mod waterbirds;
mod wrapped;

use std::path::Path;

pub use local::labels as facts_of_listing;

use crate::catalog::{ClassMap, DatasetFacts, Entry, ImageShape, Labels};
use crate::data::folder::{Opened, published};
use crate::data::{self, DataError, Description, Presence, Raw, Split};

/// Every dataset, small ones first.
pub static DATASETS: &[&Entry<dyn Dataset>] = &[
    &digits::ENTRY,
    &mnist::ENTRY,
    &fashion_mnist::ENTRY,
    &cifar10::ENTRY,
    &cifar100::ENTRY,
    &waterbirds::ENTRY,
    &tiny_imagenet::ENTRY,
    &celeba::ENTRY,
    &isic::ENTRY,
    &image_folder::ENTRY,
    &csv::ENTRY,
    &npz::ENTRY,
    &synthetic_nested::ENTRY,
    &synthetic_free::ENTRY,
    &colored::ENTRY,
    &dominoes::ENTRY,
];

/// A declared dataset.
pub trait Dataset: Send + Sync {
    /// What is known of it without reading it, given the folder that holds all data.
    fn facts(&self, root: &Path) -> DatasetFacts;

    /// The accuracy that no classifier exceeds, by labels that make `classes` of the fine ones;
    /// where it is known.
    fn ceiling(&self, _classes: &ClassMap) -> Option<f64> {
        None
    }

    /// Reads and verifies its content.
    fn load(&self, root: &Path) -> Result<Raw, DataError>;

    /// The same, ready to be read image by image: what is too large for memory is decoded into a
    /// file instead.
    fn open(&self, root: &Path) -> Result<Opened, DataError> {
        self.load(root).map(Opened::from)
    }
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
        digest: digest(known, root),
        absent: (data::presence(known, root) == Presence::Absent)
            .then(|| format!("fetch it with `balance data fetch {name}`")),
        ..DatasetFacts::default()
    }
}

/// The digest of the content that a training is identified by: the official one, unless another that
/// is accepted is here.
fn digest(known: &'static Description, root: &Path) -> String {
    let official = known.contents.first();
    let here = match known.contents.len() {
        0 | 1 => None,
        _ => data::content(known, root),
    };
    match here {
        Some((sha256, name)) if official.is_none_or(|it| it.name != name) => sha256,
        _ => official.and_then(|it| it.sha256).unwrap_or(known.name).to_owned(),
    }
}

/// The facts of a published dataset of image files, by whether its folder is here.
fn published_facts(
    name: &str,
    root: &Path,
    work: impl Fn(&'static Description, Option<&Path>) -> DatasetFacts,
) -> DatasetFacts {
    let known = data::describe(name).expect("each dataset here is described");
    let folder = published::place(known, root);
    let facts = with_coarse(work(known, folder.as_deref()));
    match folder {
        Some(_) => facts,
        None => DatasetFacts {
            absent: Some(format!("install a copy with `balance data fetch {name} --from PATH`")),
            ..facts
        },
    }
}

/// The same with what is coarse of it, where no column is called that: `bird`, or the first.
fn with_coarse(facts: DatasetFacts) -> DatasetFacts {
    let bird = facts.columns.iter().find(|(name, _)| name == "bird");
    match bird.or(facts.columns.first()) {
        Some((_, map)) if facts.coarse.0.is_empty() => {
            let coarse = (map.names.clone(), map.of_fine.clone());
            DatasetFacts { coarse, ..facts }
        }
        _ => facts,
    }
}

/// What is known of a published dataset whose files are not here.
fn expected(known: &Description, side: usize) -> DatasetFacts {
    expected_of(known, local::labels(&published::classes(known)), side)
}

/// The same with these classes.
fn expected_of(known: &Description, classes: DatasetFacts, side: usize) -> DatasetFacts {
    let count = |split| known.splits.iter().find(|(it, _)| *it == split).map(|(_, count)| *count);
    let digest = known.contents.first().and_then(|content| content.sha256);
    DatasetFacts {
        image: ImageShape { height: side, width: side, channels: 3 },
        train: count(Split::Train).unwrap_or_default(),
        val: count(Split::Val),
        test: count(Split::Test),
        counts: Vec::new(),
        digest: digest.unwrap_or(known.name).to_owned(),
        ..classes
    }
}

/// Label columns by name.
fn columns(names: &[&str]) -> Vec<Labels> {
    names.iter().map(|name| Labels::Column((*name).to_owned())).collect()
}
