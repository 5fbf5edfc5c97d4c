//! An image as the transforms see it, and what they do to it once they have drawn: the functions
//! that torchvision calls functional.

mod blur;
mod color;
mod resample;
mod warp;

use crate::catalog::ImageShape;

pub use color::Change;
pub(super) use color::{gray_pixels, recolored};
pub(super) use resample::{Tap, taps};
pub use warp::Affine;

/// An image with channels last; values in [0, 1] until it is normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    pub shape: ImageShape,
    /// `height * width * channels` numbers.
    pub values: Vec<f32>,
}

/// A rectangle of pixels within an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crop {
    pub top: usize,
    pub left: usize,
    pub height: usize,
    pub width: usize,
}

impl Image {
    /// Moves the picture by whole pixels; what comes in at the border is zero.
    pub fn shift(&mut self, down: isize, right: isize) {
        let ImageShape { height, width, channels } = self.shape;
        let mut values = vec![0.0; self.values.len()];
        let (rows, columns) = (overlap(height, down), overlap(width, right));
        for (from, to) in rows.from.zip(rows.to) {
            let from = (from * width + columns.from.start) * channels;
            let to = (to * width + columns.to.start) * channels;
            let length = columns.from.len() * channels;
            values[to..to + length].copy_from_slice(&self.values[from..from + length]);
        }
        self.values = values;
    }

    /// Mirrors it left to right.
    pub fn flip_horizontally(&mut self) {
        let (width, channels) = (self.shape.width, self.shape.channels);
        for row in self.values.chunks_exact_mut(width * channels) {
            for x in 0..width / 2 {
                let (left, right) = row.split_at_mut((width - 1 - x) * channels);
                left[x * channels..][..channels].swap_with_slice(&mut right[..channels]);
            }
        }
    }

    /// Turns it upside down.
    pub fn flip_vertically(&mut self) {
        let row = self.shape.width * self.shape.channels;
        for y in 0..self.shape.height / 2 {
            let (above, below) = self.values.split_at_mut((self.shape.height - 1 - y) * row);
            above[y * row..][..row].swap_with_slice(&mut below[..row]);
        }
    }

    /// The crop alone.
    ///
    /// # Panics
    /// When the crop does not lie within the image.
    pub fn crop(&mut self, crop: Crop) {
        let ImageShape { width, channels, .. } = self.shape;
        let mut values = Vec::with_capacity(crop.height * crop.width * channels);
        for y in crop.top..crop.top + crop.height {
            let start = (y * width + crop.left) * channels;
            values.extend_from_slice(&self.values[start..start + crop.width * channels]);
        }
        self.values = values;
        (self.shape.height, self.shape.width) = (crop.height, crop.width);
    }

    /// Takes the mean of each channel away, and multiplies it with its scale.
    pub fn scale(&mut self, means: &[f32], scales: &[f32]) {
        for pixel in self.values.chunks_exact_mut(self.shape.channels) {
            for ((value, mean), scale) in pixel.iter_mut().zip(means).zip(scales) {
                *value = (*value - mean) * scale;
            }
        }
    }

    /// Whether the channels are red, green and blue.
    pub fn is_color(&self) -> bool {
        self.shape.channels == 3
    }
}

/// The positions of an axis that stay within it when it is moved, before and after.
struct Overlap {
    from: std::ops::Range<usize>,
    to: std::ops::Range<usize>,
}

fn overlap(size: usize, by: isize) -> Overlap {
    let gone = by.unsigned_abs().min(size);
    let (start, end) = (0..size - gone, gone..size);
    if by >= 0 { Overlap { from: start, to: end } } else { Overlap { from: end, to: start } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(height: usize, width: usize, values: &[f32]) -> Image {
        let channels = values.len() / height / width;
        Image { shape: ImageShape { height, width, channels }, values: values.to_vec() }
    }

    #[test]
    fn a_shift_brings_in_zeros() {
        let mut picture = image(2, 3, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        picture.shift(1, -1);
        assert_eq!(picture.values, [0.0, 0.0, 0.0, 2.0, 3.0, 0.0]);
        picture.shift(7, 0);
        assert_eq!(picture.values, [0.0; 6]);
    }
}
