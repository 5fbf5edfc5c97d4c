//! A folder of images in which the names of folders are the labels: `SPLIT/COARSE/FINE/image.jpg`,
//! split and coarse class only where there are any.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::listing::{Listing, Row};
use super::{Defect, a_few, below};
use crate::data::images::Split;

/// Folders below one another that are looked into.
const DEEPEST: usize = 4;

/// The images below `folder`.
///
/// # Errors
/// When a folder cannot be read, holds no image, or images stand at different depths.
pub fn image_folder(folder: &Path) -> Result<Listing, Defect> {
    let mut files = Vec::new();
    walk(folder, DEEPEST, &mut files).map_err(|error| {
        Defect::new("path", format!("`{}` cannot be read", folder.display()), error.to_string())
    })?;
    let paths: Vec<String> = files.iter().map(|file| below(folder, file)).collect();
    let has_splits = !paths.is_empty() && paths.iter().all(|path| split_of(path).is_some());
    let mut rows = Vec::new();
    for path in &paths {
        let parts: Vec<&str> = path.split('/').collect();
        let labels = &parts[usize::from(has_splits)..parts.len() - 1];
        let split = split_of(path).filter(|_| has_splits).unwrap_or(Split::Pool);
        let labels = labels.iter().rev().map(|label| (*label).to_owned()).collect();
        rows.push(Row { path: path.clone(), split, labels });
    }
    let depth = rows.first().map_or(0, |row| row.labels.len());
    if depth == 0 {
        return Err(without_classes(folder, &paths));
    }
    let other: Vec<&str> =
        rows.iter().filter(|row| row.labels.len() != depth).map(|row| row.path.as_str()).collect();
    if !other.is_empty() {
        let message = "images stand at different depths";
        return Err(Defect::new("path", message, format!("`{}`", rows[0].path))
            .help(format!("the others: {}", a_few(&other)))
            .help("every image belongs in `CLASS/` or in `COARSE/FINE/`"));
    }
    match depth {
        1 => Ok(Listing::of_rows(folder.into(), &["fine"], rows)),
        2 => Ok(Listing::of_rows(folder.into(), &["fine", "coarse"], rows)),
        _ => Err(Defect::new(
            "path",
            "there are too many levels of folders",
            format!("`{}`", rows[0].path),
        )
        .help("labels are read from `CLASS/image.jpg` or `COARSE/FINE/image.jpg`")
        .help("each may stand below `train/`, `val/` and `test/`")),
    }
}

fn without_classes(folder: &Path, paths: &[String]) -> Defect {
    let message = match paths {
        [] => "there are no images".to_owned(),
        [first, ..] => format!("`{first}` is in no class"),
    };
    Defect::new("path", message, format!("in `{}`", folder.display()))
        .help("labels are the names of folders: `CLASS/image.jpg`, or `train/CLASS/image.jpg`")
}

/// The split that the first folder of a path names.
fn split_of(path: &str) -> Option<Split> {
    match path.split('/').next()? {
        "train" => Some(Split::Train),
        "val" | "valid" | "validation" => Some(Split::Val),
        "test" => Some(Split::Test),
        _ => None,
    }
}

/// The images below `folder`, in the order of their paths; hidden files are none.
pub(super) fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    for path in paths {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase());
        let name = name.unwrap_or_default();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() && depth > 0 {
            walk(&path, depth - 1, files)?;
        } else if [".jpg", ".jpeg", ".png"].iter().any(|end| name.ends_with(end)) {
            files.push(path);
        }
    }
    Ok(())
}
