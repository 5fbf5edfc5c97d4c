//! Published datasets whose images are files: where they are on this machine, and which copy it is.

use std::path::{Path, PathBuf};

use super::cache::{Opened, Shape, open};
use super::layout;
use super::listing::Listing;
use super::look::look;
use super::photo::Color;
use super::{Defect, a_few};
use crate::data::description::Description;
use crate::data::error::{DataError, Fault};
use crate::data::{Raw, files};

/// How a copy is called whose content is pinned nowhere.
pub const UNPINNED: &str = "a copy that is not pinned";

/// The folder below a data root in which looks and pixels are kept.
pub fn cache(root: &Path) -> PathBuf {
    root.join("cache")
}

/// The folder of the dataset's own files below the data root, if they are there.
pub fn place(description: &Description, root: &Path) -> Option<PathBuf> {
    let marker = files::locate(description, &root.join(description.name)).ok()?.pop()?;
    let depth = description.files[0].name.split('/').count();
    marker.ancestors().nth(depth).map(Path::to_path_buf)
}

/// The files of `description` in `folder`, with the labels that are usual.
///
/// # Errors
/// When they do not have the published layout.
pub fn listing(description: &Description, folder: &Path) -> Result<Listing, Defect> {
    match description.name {
        "waterbirds" => layout::waterbirds(folder, description.classes, description.coarse.of),
        "tiny_imagenet" => layout::tiny_imagenet(folder, description),
        "celeba" => layout::celeba(folder, "Blond_Hair", "Male"),
        _ => layout::isic(folder),
    }
}

/// The folder of the dataset's own files.
///
/// # Errors
/// When they are not on this machine.
pub fn found(description: &Description, root: &Path) -> Result<PathBuf, DataError> {
    files::locate(description, &root.join(description.name))?;
    place(description, root).ok_or_else(|| super::super::unknown(description.name))
}

/// The classes of `description`, where they are known without its files; no images.
pub fn classes(description: &Description) -> Listing {
    let (classes, columns) = match description.name {
        "waterbirds" => layout::waterbird_columns(description.classes, description.coarse.of),
        "tiny_imagenet" => layout::tiny_columns(description),
        _ => Default::default(),
    };
    Listing { classes, columns, ..Listing::default() }
}

/// The name of the content with this digest.
pub fn content(description: &Description, sha256: &str) -> &'static str {
    let known = description.contents.iter().find(|content| content.sha256 == Some(sha256));
    known.map_or(UNPINNED, |content| content.name)
}

/// Reads all of it in its usual size.
///
/// # Errors
/// When it does not have the published layout, or an image cannot be decoded.
pub fn opened(
    description: &'static Description,
    root: &Path,
) -> Result<(Listing, Opened), DataError> {
    let folder = found(description, root)?;
    let listing = listing(description, &folder).map_err(DataError::from)?;
    let found = look(&listing, false, &cache(root))?;
    if !found.corrupt.is_empty() {
        let names: Vec<String> =
            found.corrupt.iter().map(|(name, why)| format!("`{name}` {why}")).collect();
        let message = format!("{} images cannot be decoded: {}", names.len(), a_few(&names));
        return Err(DataError::new(Fault::Damaged, message));
    }
    let Description { height, width, channels, .. } = *description;
    let shape = Shape { height, width, channels };
    let wanted = (shape, Some(height), Color::Rgb);
    let opened = open(&listing, wanted, &found.digest, &cache(root))?;
    Ok((listing, opened))
}

pub(in crate::data) fn read(
    description: &'static Description,
    root: &Path,
) -> Result<Raw, DataError> {
    let (_, opened) = opened(description, root)?;
    let raw = opened.to_raw().map_err(|error| DataError::refused("read", &cache(root), &error))?;
    let content = content(description, &raw.sha256);
    Ok(Raw { description, content, ..raw })
}

impl From<Defect> for DataError {
    fn from(defect: Defect) -> Self {
        let message = format!("{}: {}", defect.message, defect.label);
        let error = Self::new(Fault::Damaged, message);
        match defect.help.is_empty() {
            true => error,
            false => error.with_help(defect.help.join("; ")),
        }
    }
}
