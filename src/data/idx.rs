//! The IDX format of MNIST and its successors: a magic number, big-endian dimensions, bytes.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::description::Description;
use super::error::DataError;
use super::files;
use super::images::{FINE, Images, Split};

/// Declares a web source of the four gzip files below a base address, with their archives in the
/// order train images, train labels, test images, test labels.
macro_rules! mirror {
    ($title:literal, $base:literal, $archives:expr) => {
        Source::Web {
            title: $title,
            files: &[
                WebFile {
                    url: concat!($base, "train-images-idx3-ubyte.gz"),
                    archive: $archives[0],
                },
                WebFile {
                    url: concat!($base, "train-labels-idx1-ubyte.gz"),
                    archive: $archives[1],
                },
                WebFile { url: concat!($base, "t10k-images-idx3-ubyte.gz"), archive: $archives[2] },
                WebFile { url: concat!($base, "t10k-labels-idx1-ubyte.gz"), archive: $archives[3] },
            ],
        }
    };
}

pub(super) use mirror;

/// Bytes of unsigned type with three dimensions, and with one.
const IMAGES: u32 = 0x0803;
const LABELS: u32 = 0x0801;

/// Reads the splits of `description` from `paths`, its files in order.
pub(super) fn read(
    description: &Description,
    paths: &[PathBuf],
) -> Result<Vec<(Split, Images)>, DataError> {
    let pairs: Vec<_> = description.splits.iter().zip(paths.chunks(2)).collect();
    pairs
        .into_par_iter()
        .map(|(&(split, count), pair)| Ok((split, read_split(description, count, pair)?)))
        .collect()
}

fn read_split(
    description: &Description,
    count: usize,
    pair: &[PathBuf],
) -> Result<Images, DataError> {
    let [image_path, label_path] = pair else {
        panic!("the description of `{}` names two files for each split", description.name)
    };
    let (height, width) = (description.height, description.width);
    let pixels = read_bytes(image_path, IMAGES, &[count, height, width])?;
    let ids = read_bytes(label_path, LABELS, &[count])?;
    let fine = checked_ids(&ids, description.classes.len(), label_path)?;
    Ok(Images { height, width, channels: 1, pixels, labels: vec![(FINE.to_owned(), fine)] })
}

/// The bytes after the header of a file whose header must announce `expected` dimensions.
fn read_bytes(path: &Path, magic: u32, expected: &[usize]) -> Result<Vec<u8>, DataError> {
    let mut reader = files::open(path)?;
    let start = 4 + 4 * expected.len();
    let header = files::take(&mut *reader, start, path)?;
    check_header(&header, magic, expected, path)?;
    let length = expected.iter().product();
    let bytes = files::take(&mut *reader, length, path)?;
    if bytes.len() < length {
        return Err(files::truncated(path, start + length, start + bytes.len()));
    }
    match files::ended(&mut *reader, path)? {
        true => Ok(bytes),
        false => Err(files::too_long(path, start + length)),
    }
}

fn check_header(
    header: &[u8],
    magic: u32,
    expected: &[usize],
    path: &Path,
) -> Result<(), DataError> {
    let words: Vec<u32> = header
        .chunks_exact(4)
        .map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
        .collect();
    match words.first() {
        Some(&found) if found != magic => Err(DataError::damaged(
            path,
            format!("expected the magic number {magic:#010x} at byte 0, found {found:#010x}"),
        )),
        _ if words.len() <= expected.len() => {
            Err(files::truncated(path, 4 + 4 * expected.len(), header.len()))
        }
        _ => check_dimensions(&words[1..], expected, path),
    }
}

fn check_dimensions(found: &[u32], expected: &[usize], path: &Path) -> Result<(), DataError> {
    if found.iter().zip(expected).all(|(&found, &expected)| found as usize == expected) {
        return Ok(());
    }
    let what = format!("expected the dimensions {expected:?} at byte 4, found {found:?}");
    Err(DataError::damaged(path, what))
}

/// Class ids from the bytes that start at byte 8 of a label file.
fn checked_ids(bytes: &[u8], classes: usize, path: &Path) -> Result<Vec<u32>, DataError> {
    match bytes.iter().position(|&id| usize::from(id) >= classes) {
        None => Ok(bytes.iter().map(|&id| u32::from(id)).collect()),
        Some(at) => Err(DataError::damaged(
            path,
            format!("expected a class below {classes} at byte {}, found {}", 8 + at, bytes[at]),
        )),
    }
}
