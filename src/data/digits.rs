//! Optical recognition of handwritten digits: 1,797 grey images of 8 × 8, small enough to be part
//! of this program.
//!
//! `digits.bin` is gzip over 1,797 class bytes and then 1,797 × 64 values in 0..=16, in the order
//! of the UCI test file; `digits.LICENSE` beside it names the authors and the licence.

use std::io::Read;
use std::path::Path;

use super::description::{Coarse, Content, Description, Layout};
use super::error::DataError;
use super::images::{FINE, Images, Split};

const COUNT: usize = 1_797;
const SIDE: usize = 8;
const WHITE: u16 = 16;

/// What is known of the digits.
pub(super) static DIGITS: Description = Description {
    name: "digits",
    title: "Digits 8×8",
    height: SIDE,
    width: SIDE,
    channels: 1,
    classes: &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    coarse: Coarse {
        classes: &["below_5", "5_and_above"],
        of: &[0, 0, 0, 0, 0, 1, 1, 1, 1, 1],
        origin: "digit < 5, digit ≥ 5, as Chen et al. (2022) group MNIST",
    },
    splits: &[(Split::Pool, COUNT)],
    layout: Layout::Embedded,
    files: &[],
    folders: &[],
    contents: &[Content {
        name: "official",
        sha256: Some("d76ab90df37e590b0a3f9aa7c38d437f254807bc82d6f2a206b829218d78cc7a"),
        files: &[],
    }],
    sources: &[],
    mean: &[0.305_308_72],
    std: &[0.375_885_91],
    home: "https://archive.ics.uci.edu/dataset/80",
    licence: "CC BY 4.0",
    citation: "E. Alpaydin, C. Kaynak (1998). Optical Recognition of Handwritten Digits. \
               UCI Machine Learning Repository. doi:10.24432/C50P49",
};

/// The digits, their 17 grey levels spread over 0..=255: level `v` becomes `(255 v + 8) / 16`.
pub(super) fn read() -> Result<Vec<(Split, Images)>, DataError> {
    let mut bytes = Vec::with_capacity(COUNT * (1 + SIDE * SIDE));
    flate2::read::GzDecoder::new(&include_bytes!("digits.bin")[..])
        .read_to_end(&mut bytes)
        .map_err(|error| DataError::damaged(Path::new("digits.bin"), error))?;
    let (ids, levels) = bytes.split_at(COUNT.min(bytes.len()));
    let pixels = levels.iter().map(|&v| ((u16::from(v) * 255 + WHITE / 2) / WHITE) as u8).collect();
    let fine = ids.iter().map(|&id| u32::from(id)).collect();
    let labels = vec![(FINE.to_owned(), fine)];
    Ok(vec![(Split::Pool, Images { height: SIDE, width: SIDE, channels: 1, pixels, labels })])
}
