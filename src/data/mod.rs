//! Real image datasets: what they are, where they come from, and reading them.
//!
//! A dataset is a folder `NAME` below the data root with the files its authors published. It is
//! pinned by the digest of its decoded content, so an altered file is an error and never an input.

mod arrays;
mod celeba;
mod census;
mod cifar;
mod cifar10;
mod cifar100;
mod description;
mod digits;
mod error;
mod fashion_mnist;
mod fetch;
mod files;
pub mod folder;
mod idx;
mod images;
mod isic;
mod mnist;
mod pin;
mod sheet;
mod tiny_imagenet;
mod waterbirds;
mod weights;

use std::env;
use std::path::{Path, PathBuf};

use crate::diag::closest;

pub use arrays::{NamedArray, Numbers, arrays};
pub use census::{Census, ClassCounts, census};
pub use description::{Archive, Coarse, Content, DataFile, Description, Layout, Source, WebFile};
pub use error::{DataError, Fault};
pub use fetch::{Fetched, Progress, fetch};
pub use images::{COARSE, FINE, Images, Split, content_digest};
pub use sheet::{SheetOptions, grid, sheet};
pub use weights::{Weights, weights, weights_content};

/// The datasets, small ones first.
static ALL: &[&Description] = &[
    &digits::DIGITS,
    &mnist::MNIST,
    &fashion_mnist::FASHION_MNIST,
    &cifar10::CIFAR10,
    &cifar100::CIFAR100,
    &waterbirds::WATERBIRDS,
    &tiny_imagenet::TINY_IMAGENET,
    &celeba::CELEBA,
    &isic::ISIC,
];

/// A dataset that has been read and found to be what it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Raw {
    /// What is known of it.
    pub description: &'static Description,
    /// Its splits in canonical order.
    pub splits: Vec<(Split, Images)>,
    /// SHA-256 of its decoded content ([`content_digest`]).
    pub sha256: String,
    /// Which of [`Description::contents`] it is.
    pub content: &'static str,
}

impl Raw {
    /// Images that nobody published: made, or found in the user's own files. `sha256` tells them
    /// from others.
    pub fn of(splits: Vec<(Split, Images)>, sha256: String) -> Self {
        Self { description: &description::UNPUBLISHED, splits, sha256, content: "as found" }
    }

    /// The images of `split`, if the dataset was published with it.
    pub fn split(&self, split: Split) -> Option<&Images> {
        self.splits.iter().find(|(each, _)| *each == split).map(|(_, images)| images)
    }
}

/// Whether a dataset can be read on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// It is part of this program.
    Embedded,
    /// Its files are in this folder; they have not been read.
    Here(PathBuf),
    /// It has to be fetched.
    Absent,
}

/// The datasets, small ones first.
pub fn all() -> &'static [&'static Description] {
    ALL
}

/// What is known of the dataset `name`.
pub fn describe(name: &str) -> Option<&'static Description> {
    ALL.iter().copied().find(|description| description.name == name)
}

/// The folder of all datasets: `$BALANCE_DATA`, else `balance/data` in the platform's data
/// directory (`$XDG_DATA_HOME`, by default `~/.local/share`).
pub fn data_root() -> PathBuf {
    root_from(|name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
}

/// [`data_root`] for given environment variables.
pub fn root_from(variable: impl Fn(&str) -> Option<PathBuf>) -> PathBuf {
    let home = || variable("HOME").or_else(|| variable("USERPROFILE"));
    let shared = || {
        variable("XDG_DATA_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| Some(home()?.join(".local/share")))
            .unwrap_or_default()
    };
    variable("BALANCE_DATA").unwrap_or_else(|| shared().join("balance/data"))
}

/// Whether the files of `description` are below `root`; looks, but does not read them.
pub fn presence(description: &Description, root: &Path) -> Presence {
    let folder = root.join(description.name);
    match description.layout {
        Layout::Embedded => Presence::Embedded,
        _ if files::locate(description, &folder).is_ok() => Presence::Here(folder),
        _ => Presence::Absent,
    }
}

/// Reads the dataset `name` below `root`.
///
/// Its content is compared with the pinned digest; a stamp beside the files makes that the work of
/// the first time only. Fails when the name is unknown, a file is missing, or anything differs
/// from what was published.
pub fn load(name: &str, root: &Path) -> Result<Raw, DataError> {
    let description = describe(name).ok_or_else(|| unknown(name))?;
    read(description, root)
}

/// Reads a described dataset below `root`; [`load`] says how.
pub fn read(description: &'static Description, root: &Path) -> Result<Raw, DataError> {
    read_checked(description, root, pin::Trust::Stamp).map_err(|error| advised(error, description))
}

/// Reads a described dataset below `root` and compares its content with the pinned digest whatever
/// the stamp says.
pub fn verify(description: &'static Description, root: &Path) -> Result<Raw, DataError> {
    read_checked(description, root, pin::Trust::Nothing)
        .map_err(|error| advised(error, description))
}

/// The digest and the name of the content that is below `root`, read only when no stamp names it;
/// none when there is none that is accepted.
pub fn content(description: &'static Description, root: &Path) -> Option<(String, &'static str)> {
    let folder = root.join(description.name);
    let paths = files::locate(description, &folder).ok()?;
    let known = pin::Pinned { description, folder: &folder, paths: &paths }.recall();
    known.or_else(|| read(description, root).ok().map(|raw| (raw.sha256, raw.content)))
}

/// Decodes the files of `description` found in `folder` without comparing their content with what
/// is pinned. Fails when a file is missing or does not have the declared form.
pub fn decode(
    description: &'static Description,
    folder: &Path,
) -> Result<Vec<(Split, Images)>, DataError> {
    decode_files(description, &files::locate(description, folder)?)
}

fn read_checked(
    description: &'static Description,
    root: &Path,
    trust: pin::Trust,
) -> Result<Raw, DataError> {
    let folder = root.join(description.name);
    let paths = files::locate(description, &folder)?;
    if description.layout == Layout::Folder {
        return folder::published::read(description, root);
    }
    let splits = decode_files(description, &paths)?;
    let pinned = pin::Pinned { description, folder: &folder, paths: &paths };
    let (sha256, content) = pinned.check(&splits, trust)?;
    Ok(Raw { description, splits, sha256, content })
}

fn decode_files(
    description: &'static Description,
    paths: &[PathBuf],
) -> Result<Vec<(Split, Images)>, DataError> {
    let mut splits = match description.layout {
        Layout::Embedded | Layout::Folder => digits::read(),
        Layout::Idx => idx::read(description, paths),
        Layout::Cifar10 | Layout::Cifar100 => cifar::read(description, paths),
    }?;
    for (_, images) in &mut splits {
        let coarse = images.fine().iter().map(|&id| coarse_of(description, id)).collect();
        images.labels.push((COARSE.to_owned(), coarse));
    }
    Ok(splits)
}

fn coarse_of(description: &Description, fine: u32) -> u32 {
    u32::from(description.coarse.of[fine as usize])
}

/// The error for a name that no dataset has, with the nearest one.
pub fn unknown(name: &str) -> DataError {
    let names: Vec<&str> = ALL.iter().map(|description| description.name).collect();
    let help = match closest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the datasets are {}", names.join(", ")),
    };
    DataError::new(Fault::Unknown, format!("no dataset is called `{name}`")).with_help(help)
}

fn advised(error: DataError, description: &Description) -> DataError {
    match (error.kind, &error.help) {
        (Fault::Damaged, None) => {
            let name = description.name;
            error.with_help(format!("fetch it again with `balance data fetch {name}`"))
        }
        _ => error,
    }
}
