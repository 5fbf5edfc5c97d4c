//! Installing a dataset whose images are files: the whole folder, as it was published.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::collect::Ownership;
use crate::data::description::Description;
use crate::data::error::{DataError, Fault};
use crate::data::folder::{look, published};

/// Folders below one another that are looked into.
const DEPTH: usize = 4;
/// The folder, below the dataset's own, that its files are installed in.
const FILES: &str = "files";

/// Puts the folder of `description` that is somewhere in `place` below `folder`, once its files
/// have been found to have the published layout. Gives its digest, and which content it is.
pub(super) fn install(
    description: &Description,
    place: &Path,
    (folder, scratch): (&Path, &Path),
    ownership: Ownership,
) -> Result<(String, &'static str), DataError> {
    let marker = description.files[0].name;
    let own = find(place, marker, DEPTH).ok_or_else(|| {
        let message = format!("no `{marker}` in `{}`", place.display());
        DataError::new(Fault::Missing, message)
            .with_help(format!("`{}` needs the folder as it was published", description.name))
    })?;
    let listing = published::listing(description, &own)?;
    let found = look(&listing, false, scratch)?;
    let target = folder.join(FILES);
    let refused = |error| DataError::refused("write", &target, &error);
    let staged = folder.join(format!("{FILES}.new"));
    remove(&staged).map_err(refused)?;
    match ownership {
        Ownership::Ours => fs::rename(&own, &staged),
        Ownership::Theirs => copy(&own, &staged),
    }
    .and_then(|()| remove(&target))
    .and_then(|()| fs::rename(&staged, &target))
    .map_err(refused)?;
    Ok((found.digest.clone(), published::content(description, &found.digest)))
}

/// The folder in `place` from which the path `marker` leads to a file.
fn find(place: &Path, marker: &str, depth: usize) -> Option<PathBuf> {
    if place.join(marker).is_file() {
        return Some(place.to_path_buf());
    }
    let mut folders: Vec<PathBuf> =
        fs::read_dir(place).ok()?.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    let mut folders = folders.into_iter().filter(|path| depth > 0 && path.is_dir());
    folders.find_map(|path| find(&path, marker, depth - 1))
}

fn remove(folder: &Path) -> io::Result<()> {
    if folder.exists() { fs::remove_dir_all(folder) } else { Ok(()) }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &target)?,
            false => fs::copy(entry.path(), target).map(|_| ())?,
        }
    }
    Ok(())
}
