//! Images in files of their own: listed, looked at, and decoded once into a cache.
//!
//! A reader of a layout makes a [`Listing`]; [`look`] digests its files and finds what is wrong
//! with them; [`open`] decodes them. Both keep what they found below the data root, so that two
//! hundred thousand files are read once and never held in memory.

mod cache;
mod fit;
mod images;
mod layout;
mod listing;
mod look;
mod npz;
mod photo;
pub mod published;
mod table;

use std::path::Path;

pub use cache::{Opened, Pixels, Shape, open};
pub use images::image_folder;
pub use layout::{CELEBA_ATTRIBUTES, celeba, celeba_classes, isic, tiny_imagenet, waterbirds};
pub use listing::{Column, Item, Listing, Row};
pub use look::{Look, Sizes, look};
pub(in crate::data) use npz::{Array, every};
pub use npz::{Arrays, npz};
pub use photo::{Color, Photo};
pub use table::{TableColumns, table};

/// What is wrong with files that are here, and which argument of the dataset says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    /// The argument.
    pub param: &'static str,
    /// What is wrong, as a sentence.
    pub message: String,
    /// What to say at the argument.
    pub label: String,
    /// What to do.
    pub help: Vec<String>,
}

impl Defect {
    /// A defect without help.
    pub fn new(param: &'static str, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self { param, message: message.into(), label: label.into(), help: Vec::new() }
    }

    /// The same with what to do about it.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }
}

/// Names of a list that may be long: the first few, and how many others there are.
pub fn a_few<T: AsRef<str>>(names: &[T]) -> String {
    let shown: Vec<&str> = names.iter().take(3).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The path of `file` below `folder` with `/` between its parts.
fn below(folder: &Path, file: &Path) -> String {
    let path = file.strip_prefix(folder).unwrap_or(file);
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    parts.join("/")
}
