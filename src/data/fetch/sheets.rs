//! CIFAR-10 as sheets: a PNG for each file in which every row is an image, its pixels in reading
//! order, and the classes as JSON lists.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use crate::data::description::{DataFile, Description, Layout};
use crate::data::error::{DataError, Fault};
use crate::data::images::Split;

type Found = BTreeMap<String, PathBuf>;

/// Whether `found` has a sheet for each file of `description`.
pub(super) fn are_in(description: &Description, found: &Found) -> bool {
    description.layout == Layout::Cifar10
        && description.files.iter().all(|file| found.contains_key(&sheet_name(file)))
}

fn sheet_name(file: &DataFile) -> String {
    file.name.replace(".bin", ".png")
}

/// Writes the files of `description` in their published layout into `staged`.
pub(super) fn convert(
    description: &Description,
    found: &Found,
    staged: &Path,
) -> Result<(), DataError> {
    for &(split, _) in description.splits {
        let path = class_list(found, split)?;
        let classes = read_classes(path)?;
        let mut left = classes.as_slice();
        for file in description.files_of(split) {
            let sheet = &found[&sheet_name(file)];
            let rows = read_rows(description, sheet)?;
            let count = rows.len() / image_size(description);
            let (these, rest) =
                left.split_at_checked(count).ok_or_else(|| too_few(path, classes.len()))?;
            left = rest;
            let target = staged.join(file.name);
            fs::write(&target, records(description, these, &rows))
                .map_err(|error| DataError::refused("write", &target, &error))?;
        }
    }
    Ok(())
}

/// The list of classes of a split; the package spells it `lables`.
fn class_list(found: &Found, split: Split) -> Result<&PathBuf, DataError> {
    [format!("{split}_lables.json"), format!("{split}_labels.json")]
        .iter()
        .find_map(|name| found.get(name))
        .ok_or_else(|| DataError::new(Fault::Missing, format!("no `{split}_lables.json`")))
}

fn too_few(path: &Path, count: usize) -> DataError {
    DataError::damaged(path, format!("lists {count} classes, fewer than the sheets have images"))
}

fn read_classes(path: &Path) -> Result<Vec<u8>, DataError> {
    let text = fs::read(path).map_err(|error| DataError::refused("read", path, &error))?;
    serde_json::from_slice(&text)
        .map_err(|error| DataError::damaged(path, format!("is no list of classes: {error}")))
}

fn image_size(description: &Description) -> usize {
    description.height * description.width * description.channels
}

/// The pixels of a sheet, channels last, whose rows are whole images.
fn read_rows(description: &Description, path: &Path) -> Result<Vec<u8>, DataError> {
    let damaged = |error: png::DecodingError| DataError::damaged(path, error);
    let file = File::open(path).map_err(|error| DataError::refused("open", path, &error))?;
    let mut reader = png::Decoder::new(BufReader::new(file)).read_info().map_err(damaged)?;
    let (width, color) = (reader.info().width as usize, reader.info().color_type);
    let area = description.height * description.width;
    if (width, color, reader.info().bit_depth) != (area, png::ColorType::Rgb, png::BitDepth::Eight)
    {
        let what =
            format!("expected rows of {area} pixels of 8-bit RGB, found {width} of {color:?}");
        return Err(DataError::damaged(path, what));
    }
    let size = reader.output_buffer_size().ok_or_else(|| DataError::damaged(path, "too large"))?;
    let mut rows = vec![0; size];
    reader.next_frame(&mut rows).map_err(damaged)?;
    Ok(rows)
}

/// Records of a class byte and a plane for each channel.
fn records(description: &Description, classes: &[u8], rows: &[u8]) -> Vec<u8> {
    let size = image_size(description);
    let mut bytes = Vec::with_capacity(classes.len() * (1 + size));
    for (class, image) in classes.iter().zip(rows.chunks_exact(size)) {
        bytes.push(*class);
        for channel in 0..description.channels {
            bytes.extend(image.iter().skip(channel).step_by(description.channels));
        }
    }
    bytes
}
