//! Finding the published files in what was unpacked, and laying them out uncompressed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::sheets;
use crate::data::description::{DataFile, Description};
use crate::data::error::{DataError, Fault};
use crate::data::files;

/// Folders below one another that are looked into.
const DEPTH: usize = 8;

/// Whose the files are that are collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ownership {
    /// They were unpacked here and may be moved.
    Ours,
    /// They are the user's and stay as they are.
    Theirs,
}

/// Lays the files of `description` that are anywhere in `place` out in `staged`, uncompressed and
/// under their published names. Fails with the first file that is not there.
pub(super) fn collect(
    description: &Description,
    place: &Path,
    staged: &Path,
    ownership: Ownership,
) -> Result<(), DataError> {
    let mut found = BTreeMap::new();
    walk(place, DEPTH, &mut found).map_err(|error| DataError::refused("read", place, &error))?;
    if sheets::are_in(description, &found) {
        return sheets::convert(description, &found, staged);
    }
    for file in description.files {
        let path = files::names(file).find_map(|name| found.get(&name));
        let path = path.ok_or_else(|| absent(description, file, place))?;
        lay_out(path, &staged.join(file.name), ownership)?;
    }
    Ok(())
}

fn absent(description: &Description, file: &DataFile, place: &Path) -> DataError {
    let message = format!("no `{}` in `{}`", file.name, place.display());
    let names: Vec<&str> = description.files.iter().map(|file| file.name).collect();
    DataError::new(Fault::Missing, message).with_help(format!(
        "`{}` needs {}",
        description.name,
        names.join(", ")
    ))
}

/// Files by name; of several with one name the first in the order of their paths.
fn walk(folder: &Path, depth: usize, found: &mut BTreeMap<String, PathBuf>) -> io::Result<()> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    for path in paths {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        if path.is_dir() && !path.is_symlink() && depth > 0 {
            walk(&path, depth - 1, found)?;
        } else if let (true, Some(name)) = (path.is_file(), name) {
            found.entry(name).or_insert(path);
        }
    }
    Ok(())
}

fn lay_out(from: &Path, to: &Path, ownership: Ownership) -> Result<(), DataError> {
    let compressed = from.extension().is_some_and(|extension| extension == "gz");
    if ownership == Ownership::Ours && !compressed {
        return fs::rename(from, to).map_err(|error| DataError::refused("move", from, &error));
    }
    let mut reader = files::open(from)?;
    File::create(to)
        .and_then(|mut file| io::copy(&mut reader, &mut file))
        .map(|_| ())
        .map_err(|error| DataError::damaged(from, format!("could not be unpacked: {error}")))
}
