//! Decoded images with their labels, and the splits they come in.

use std::fmt;

use crate::digest::Sha256;

/// The name of the label column that every dataset has: the finest classes.
pub const FINE: &str = "fine";

/// The name of the label column of the superclasses.
pub const COARSE: &str = "coarse";

/// The images of one split, in the order of their files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Rows of pixels in an image.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// Values in a pixel: 1 for grey, 3 for red, green, blue.
    pub channels: usize,
    /// Images × height × width × channels values in 0..=255, channels last.
    pub pixels: Vec<u8>,
    /// Label columns in reading order, each with one class id per image; [`FINE`] is the first.
    pub labels: Vec<(String, Vec<u32>)>,
}

impl Images {
    /// How many images there are.
    pub fn count(&self) -> usize {
        self.pixels.len().checked_div(self.size()).unwrap_or(0)
    }

    /// How many values one image has: height × width × channels.
    pub fn size(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// The values of image `index`: height × width × channels, channels last.
    pub fn image(&self, index: usize) -> &[u8] {
        &self.pixels[index * self.size()..][..self.size()]
    }

    /// The class ids of the label column `column`, one per image.
    pub fn column(&self, column: &str) -> Option<&[u32]> {
        self.labels.iter().find(|(name, _)| name == column).map(|(_, ids)| ids.as_slice())
    }

    /// The finest class ids, one per image.
    pub fn fine(&self) -> &[u32] {
        self.column(FINE).unwrap_or_default()
    }

    /// How many images have each class id of `column`, over ids `0..classes`.
    pub fn counts(&self, column: &str, classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        for &id in self.column(column).unwrap_or_default() {
            if let Some(count) = counts.get_mut(id as usize) {
                *count += 1;
            }
        }
        counts
    }

    /// Mean and population standard deviation of each channel over all pixels, in units where
    /// white is 1.
    ///
    /// The sums are integers, so the result does not depend on the order of the images.
    pub fn moments(&self) -> Vec<(f64, f64)> {
        (0..self.channels).map(|channel| self.channel_moments(channel)).collect()
    }

    fn channel_moments(&self, channel: usize) -> (f64, f64) {
        let values = self.pixels.iter().skip(channel).step_by(self.channels.max(1));
        let (mut count, mut sum, mut squares) = (0u64, 0u64, 0u64);
        for &value in values {
            count += 1;
            sum += u64::from(value);
            squares += u64::from(value) * u64::from(value);
        }
        let mean = sum as f64 / count.max(1) as f64;
        let variance = squares as f64 / count.max(1) as f64 - mean * mean;
        (mean / 255.0, variance.max(0.0).sqrt() / 255.0)
    }
}

/// Which part of a dataset images belong to, as its authors divided it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// All there is: the dataset was published undivided.
    Pool,
    /// What its authors meant for training.
    Train,
    /// What its authors meant for choosing between models.
    Val,
    /// What its authors meant for the last evaluation.
    Test,
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pool => "pool",
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        })
    }
}

/// SHA-256 of decoded content in canonical order: for each split its fine class ids, one byte
/// each, and then its pixels as [`Images::pixels`] has them.
pub fn content_digest(splits: &[(Split, Images)]) -> String {
    let mut hasher = Sha256::default();
    for (_, images) in splits {
        let ids: Vec<u8> = images.fine().iter().map(|&id| id as u8).collect();
        hasher.update(&ids);
        hasher.update(&images.pixels);
    }
    hasher.finish()
}
