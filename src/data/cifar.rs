//! The binary format of CIFAR-10 and CIFAR-100: records of label bytes and then a plane of pixels
//! for each channel.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::description::{DataFile, Description, Layout};
use super::error::DataError;
use super::files;
use super::images::{FINE, Images, Split};

/// Reads the splits of `description` from `paths`, its files in order.
pub(super) fn read(
    description: &Description,
    paths: &[PathBuf],
) -> Result<Vec<(Split, Images)>, DataError> {
    let blocks: Vec<Vec<u8>> = description
        .files
        .par_iter()
        .zip(paths)
        .map(|(file, path)| read_block(description, file, path))
        .collect::<Result<_, _>>()?;
    Ok(description
        .splits
        .iter()
        .map(|&(split, _)| (split, gather(description, split, &blocks)))
        .collect())
}

fn read_block(
    description: &Description,
    file: &DataFile,
    path: &Path,
) -> Result<Vec<u8>, DataError> {
    let bytes = files::read_exactly(path, file.size)?;
    let record = record_size(description);
    for (index, record_bytes) in bytes.chunks_exact(record).enumerate() {
        check_record(description, record_bytes).map_err(|(at, what)| {
            DataError::damaged(path, format!("at byte {}: {what}", index * record + at))
        })?;
    }
    Ok(bytes)
}

/// Label bytes before the pixels of a record.
fn label_bytes(description: &Description) -> usize {
    if description.layout == Layout::Cifar100 { 2 } else { 1 }
}

fn record_size(description: &Description) -> usize {
    label_bytes(description) + description.height * description.width * description.channels
}

/// Compares the labels of a record with the classes; the offset within it and what is wrong there.
fn check_record(description: &Description, record: &[u8]) -> Result<(), (usize, String)> {
    let at = label_bytes(description) - 1;
    let classes = description.classes.len();
    let fine = usize::from(record[at]);
    if fine >= classes {
        return Err((at, format!("expected a class below {classes}, found {fine}")));
    }
    let coarse = description.coarse.of[fine];
    if at > 0 && record[0] != coarse {
        let what = format!("expected superclass {coarse} of class {fine}, found {}", record[0]);
        return Err((0, what));
    }
    Ok(())
}

fn gather(description: &Description, split: Split, blocks: &[Vec<u8>]) -> Images {
    let (record, start) = (record_size(description), label_bytes(description));
    let records: Vec<&[u8]> = description
        .files
        .iter()
        .zip(blocks)
        .filter(|(file, _)| file.split == split)
        .flat_map(|(_, block)| block.chunks_exact(record))
        .collect();
    let mut pixels = vec![0; records.len() * (record - start)];
    pixels
        .par_chunks_mut(record - start)
        .zip(&records)
        .for_each(|(image, record)| interleave(&record[start..], description.channels, image));
    let fine = records.iter().map(|record| u32::from(record[start - 1])).collect();
    let labels = vec![(FINE.to_owned(), fine)];
    let Description { height, width, channels, .. } = *description;
    Images { height, width, channels, pixels, labels }
}

/// Writes an image of planes with channels last.
fn interleave(planes: &[u8], channels: usize, image: &mut [u8]) {
    let area = planes.len() / channels;
    for (at, pixel) in image.chunks_exact_mut(channels).enumerate() {
        for (channel, value) in pixel.iter_mut().enumerate() {
            *value = planes[channel * area + at];
        }
    }
}
