//! A part of an image made larger or smaller.

use super::{Crop, Image};
use crate::catalog::ImageShape;

impl Image {
    /// The whole image in another size; see [`Image::resize_crop`].
    pub fn resize(&mut self, height: usize, width: usize) {
        let ImageShape { height: top, width: left, .. } = self.shape;
        self.resize_crop(Crop { top: 0, left: 0, height: top, width: left }, height, width);
    }

    /// The crop in another size: bilinear, pixel centres at half numbers, the border repeated.
    /// Where it becomes smaller, each pixel is a weighted mean of all that it covers (torchvision's
    /// `antialias`, and what Pillow always does).
    ///
    /// # Panics
    /// When the crop does not lie within the image.
    pub fn resize_crop(&mut self, crop: Crop, height: usize, width: usize) {
        let values = if height >= crop.height && width >= crop.width {
            self.enlarged(crop, height, width)
        } else {
            self.filtered(crop, height, width)
        };
        self.values = values;
        (self.shape.height, self.shape.width) = (height, width);
    }

    fn row(&self, crop: Crop, y: usize) -> &[f32] {
        let ImageShape { width, channels, .. } = self.shape;
        &self.values[((crop.top + y) * width + crop.left) * channels..][..crop.width * channels]
    }

    fn enlarged(&self, crop: Crop, height: usize, width: usize) -> Vec<f32> {
        let channels = self.shape.channels;
        let (mut down, mut across) = (Vec::new(), Vec::new());
        taps(crop.height, height, &mut down);
        taps(crop.width, width, &mut across);
        let row = |y: usize| self.row(crop, y);
        let mut values = vec![0.0; height * width * channels];
        let mut blend = vec![0.0; crop.width * channels];
        for (tap, out) in down.iter().zip(values.chunks_exact_mut(width * channels)) {
            for ((blend, low), high) in blend.iter_mut().zip(row(tap.low)).zip(row(tap.high)) {
                *blend = tap.between(*low, *high);
            }
            for (tap, out) in across.iter().zip(out.chunks_exact_mut(channels)) {
                let (low, high) = (tap.low * channels, tap.high * channels);
                for (channel, out) in out.iter_mut().enumerate() {
                    *out = tap.between(blend[low + channel], blend[high + channel]);
                }
            }
        }
        values
    }

    fn filtered(&self, crop: Crop, height: usize, width: usize) -> Vec<f32> {
        let channels = self.shape.channels;
        let (down, across) = (spans(crop.height, height), spans(crop.width, width));
        let mut values = vec![0.0; height * width * channels];
        let mut blend = vec![0.0; crop.width * channels];
        for (span, out) in down.iter().zip(values.chunks_exact_mut(width * channels)) {
            blend.fill(0.0);
            for (y, weight) in span.weighted() {
                for (blend, value) in blend.iter_mut().zip(self.row(crop, y)) {
                    *blend += weight * value;
                }
            }
            for (span, out) in across.iter().zip(out.chunks_exact_mut(channels)) {
                for (x, weight) in span.weighted() {
                    for (out, value) in out.iter_mut().zip(&blend[x * channels..]) {
                        *out += weight * value;
                    }
                }
            }
        }
        values
    }
}

/// Where an output position reads along one axis.
pub struct Tap {
    pub low: usize,
    pub high: usize,
    share: f32,
}

impl Tap {
    /// The value between those at its two positions.
    #[inline(always)]
    pub fn between(&self, low: f32, high: f32) -> f32 {
        low + self.share * (high - low)
    }
}

/// The taps that stretch `length` positions over `size`.
#[inline(always)]
pub fn taps(length: usize, size: usize, taps: &mut Vec<Tap>) {
    let step = length as f64 / size as f64;
    let tap = |position: usize| {
        let centre = ((position as f64 + 0.5) * step - 0.5).clamp(0.0, (length - 1) as f64);
        let low = centre as usize;
        Tap { low, high: (low + 1).min(length - 1), share: (centre - low as f64) as f32 }
    };
    taps.clear();
    taps.extend((0..size).map(tap));
}

/// What an output position is the weighted mean of along one axis.
struct Span {
    start: usize,
    weights: Vec<f32>,
}

impl Span {
    fn weighted(&self) -> impl Iterator<Item = (usize, f32)> {
        self.weights.iter().enumerate().map(|(at, weight)| (self.start + at, *weight))
    }
}

/// The spans that bring `length` positions to `size`: triangles as wide as a step, at least two.
fn spans(length: usize, size: usize) -> Vec<Span> {
    let step = length as f64 / size as f64;
    let reach = step.max(1.0);
    let span = |position: usize| {
        let centre = (position as f64 + 0.5) * step;
        let start = (centre - reach + 0.5).max(0.0) as usize;
        let end = ((centre + reach + 0.5) as usize).min(length);
        let weight = |at: usize| (1.0 - ((at as f64 + 0.5 - centre) / reach).abs()).max(0.0);
        let sum: f64 = (start..end).map(weight).sum();
        Span { start, weights: (start..end).map(|at| (weight(at) / sum) as f32).collect() }
    };
    (0..size).map(span).collect()
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
        picture.resize_crop(Crop { top: 1, left: 1, height: 2, width: 3 }, 4, 4);
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
    fn shrinking_takes_means() {
        let mut picture = image(2, 4, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        picture.resize(1, 1);
        let mean = picture.values[0];
        assert!((mean - 3.5).abs() < 1e-6, "{mean}");
        assert_eq!(picture.shape, ImageShape { height: 1, width: 1, channels: 1 });
    }

    #[test]
    fn the_same_size_changes_nothing() {
        let ramp: Vec<f32> = (0..30).map(|it| it as f32 / 7.0).collect();
        let mut picture = image(3, 5, &ramp);
        picture.resize(3, 5);
        assert_eq!(picture.values, ramp);
    }
}
