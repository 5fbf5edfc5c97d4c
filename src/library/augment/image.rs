//! An image as the transforms see it, and the resampling they share.

use crate::catalog::ImageShape;

/// An image with channels last; values in [0, 1] until it is normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    pub shape: ImageShape,
    /// `height * width * channels` numbers.
    pub values: Vec<f32>,
}

/// A rectangle of pixels within an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crop {
    pub top: usize,
    pub left: usize,
    pub height: usize,
    pub width: usize,
}

impl Image {
    /// The crop enlarged to the whole image: bilinear, pixel centres at half numbers, the border
    /// repeated. Shrinking is not smoothed, and no transform asks for it.
    pub(super) fn enlarge(&mut self, crop: Crop) {
        let ImageShape { height, width, channels } = self.shape;
        let (down, across) = (taps(crop.height, height), taps(crop.width, width));
        let row = |y: usize| {
            let start = ((crop.top + y) * width + crop.left) * channels;
            &self.values[start..start + crop.width * channels]
        };
        let mut values = vec![0.0; self.values.len()];
        let mut blend = vec![0.0; crop.width * channels];
        for (tap, out) in down.iter().zip(values.chunks_exact_mut(width * channels)) {
            for ((blend, low), high) in blend.iter_mut().zip(row(tap.low)).zip(row(tap.high)) {
                *blend = low + tap.share * (high - low);
            }
            for (tap, out) in across.iter().zip(out.chunks_exact_mut(channels)) {
                let (low, high) = (tap.low * channels, tap.high * channels);
                for (channel, out) in out.iter_mut().enumerate() {
                    let (low, high) = (blend[low + channel], blend[high + channel]);
                    *out = low + tap.share * (high - low);
                }
            }
        }
        self.values = values;
    }

    /// Moves the picture by whole pixels; what comes in at the border is zero.
    pub(super) fn shift(&mut self, down: isize, right: isize) {
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

    /// Whether the channels are red, green and blue.
    pub(super) fn is_color(&self) -> bool {
        self.shape.channels == 3
    }
}

/// The luminance of a red, green and blue pixel (ITU-R 601-2, as torchvision rounds it).
pub(super) fn luminance(pixel: &[f32]) -> f32 {
    0.2989 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]
}

/// Where an output position reads along one axis: `low + share * (high - low)`.
struct Tap {
    low: usize,
    high: usize,
    share: f32,
}

/// The taps that stretch `length` positions over `size`.
fn taps(length: usize, size: usize) -> Vec<Tap> {
    let step = length as f64 / size as f64;
    let tap = |position: usize| {
        let centre = ((position as f64 + 0.5) * step - 0.5).clamp(0.0, (length - 1) as f64);
        let low = centre as usize;
        Tap { low, high: (low + 1).min(length - 1), share: (centre - low as f64) as f32 }
    };
    (0..size).map(tap).collect()
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
    fn a_crop_is_enlarged_as_torchvision_does() {
        let ramp: Vec<f32> = (0..16).map(|it| it as f32).collect();
        let mut picture = image(4, 4, &ramp);
        picture.enlarge(Crop { top: 1, left: 1, height: 2, width: 3 });
        // torchvision: resized_crop(x, 1, 1, 2, 3, [4, 4], bilinear)
        let expected = [
            5.0, 5.625, 6.375, 7.0, 6.0, 6.625, 7.375, 8.0, 8.0, 8.625, 9.375, 10.0, 9.0, 9.625,
            10.375, 11.0,
        ];
        for (found, expected) in picture.values.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{:?}", picture.values);
        }
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
