//! The first look at listed files: their digest, their sizes, and those that cannot be decoded.
//! What it found is kept, and stands for as long as no file changes its length or its time.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::listing::{Item, Listing};
use super::photo::{Color, Photo, dimensions};
use crate::data::error::DataError;
use crate::digest::{Sha256, blake3, sha256};

/// What a look has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// SHA-256 over the paths, labels and bytes of all files, in the order of the listing.
    pub digest: String,
    /// The sizes of the images.
    pub sizes: Sizes,
    /// The files that cannot be decoded, each with the reason in words after its name; only of
    /// those whose header says so unless the look is thorough.
    pub corrupt: Vec<(String, String)>,
}

/// Height and width of the images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sizes {
    /// There is no image.
    None,
    /// All are of one size.
    One(usize, usize),
    /// Two that differ, by name.
    Mixed([(String, usize, usize); 2]),
}

/// What one file was found to be.
struct Seen {
    digest: String,
    size: Result<(usize, usize), String>,
}

/// What is kept of a look.
#[derive(Serialize, Deserialize)]
struct Kept {
    state: String,
    look: Look,
}

/// Reads every file of `listing`, and decodes it if the look is `thorough`; what is found is kept
/// in the folder `cache`.
///
/// # Errors
/// When a file cannot be read.
pub fn look(listing: &Listing, thorough: bool, cache: &Path) -> Result<Look, DataError> {
    let state = state(listing, thorough)?;
    let place = place(listing, thorough, cache);
    let kept = fs::read(&place).ok().and_then(|text| serde_json::from_slice::<Kept>(&text).ok());
    if let Some(kept) = kept.filter(|kept| kept.state == state) {
        return Ok(kept.look);
    }
    let seen: Vec<Seen> = listing
        .items
        .par_iter()
        .map(|item| see(&listing.folder.join(&item.path), thorough))
        .collect::<Result<_, _>>()?;
    let look = Look {
        digest: digest(listing, &seen),
        sizes: sizes(&listing.items, &seen),
        corrupt: corrupt(&listing.items, &seen),
    };
    remember(&place, &Kept { state, look: look.clone() });
    Ok(look)
}

/// A folder that cannot be written to is no failure: its files are read every time.
fn remember(place: &Path, kept: &Kept) {
    if let (Ok(text), Some(folder)) = (serde_json::to_vec(kept), place.parent()) {
        let _ = fs::create_dir_all(folder).and_then(|()| fs::write(place, text));
    }
}

fn place(listing: &Listing, thorough: bool, cache: &Path) -> PathBuf {
    let folder = std::path::absolute(&listing.folder).unwrap_or_else(|_| listing.folder.clone());
    let name = blake3(format!("{} {thorough} {}", folder.display(), labels(listing)).as_bytes());
    cache.join("looks").join(format!("{}.json", &name[..16]))
}

/// What changes when a file does.
fn state(listing: &Listing, thorough: bool) -> Result<String, DataError> {
    let line = |item: &Item| -> Result<String, DataError> {
        let path = listing.folder.join(&item.path);
        let refused = |error| DataError::refused("read", &path, &error);
        let data = fs::metadata(&path).map_err(refused)?;
        let time = data.modified().map_err(refused)?;
        let time = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        Ok(format!("{} {} {} {} {time}\n", item.path, item.split, item.class, data.len()))
    };
    let lines: Vec<String> = listing.items.par_iter().map(line).collect::<Result<_, _>>()?;
    Ok(blake3(format!("look 1 {thorough}\n{}{}", lines.concat(), labels(listing)).as_bytes()))
}

fn labels(listing: &Listing) -> String {
    let column = |it: &super::Column| format!("{} {:?} {:?}\n", it.name, it.classes, it.of);
    listing.columns.iter().map(column).collect()
}

fn see(path: &Path, thorough: bool) -> Result<Seen, DataError> {
    let bytes = fs::read(path).map_err(|error| DataError::refused("read", path, &error))?;
    let size = match thorough {
        true => Photo::decode(&bytes, Color::Rgb).map(|photo| (photo.height, photo.width)),
        false => dimensions(&bytes),
    };
    Ok(Seen { digest: sha256(&bytes), size })
}

fn digest(listing: &Listing, seen: &[Seen]) -> String {
    let mut hasher = Sha256::default();
    hasher.update(labels(listing).as_bytes());
    for (item, seen) in listing.items.iter().zip(seen) {
        let Item { path, split, class } = item;
        hasher.update(format!("{path}\n{split} {class} {}\n", seen.digest).as_bytes());
    }
    hasher.finish()
}

fn sizes(items: &[Item], seen: &[Seen]) -> Sizes {
    let mut first: Option<(&str, usize, usize)> = None;
    for (item, seen) in items.iter().zip(seen) {
        let Ok((height, width)) = seen.size else { continue };
        match first {
            None => first = Some((&item.path, height, width)),
            Some((path, h, w)) if (h, w) != (height, width) => {
                return Sizes::Mixed([(path.to_owned(), h, w), (item.path.clone(), height, width)]);
            }
            Some(_) => {}
        }
    }
    first.map_or(Sizes::None, |(_, height, width)| Sizes::One(height, width))
}

fn corrupt(items: &[Item], seen: &[Seen]) -> Vec<(String, String)> {
    let pairs = items.iter().zip(seen);
    pairs.filter_map(|(item, seen)| Some((item.path.clone(), seen.size.clone().err()?))).collect()
}
