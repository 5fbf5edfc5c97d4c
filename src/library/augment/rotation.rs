//! Small rotations.

use super::{Augment, ChannelStats, Image};
use crate::catalog::{ImageShape, NonNegative};
use crate::component;
use crate::seed::Stream;

component! {
    /// Turns the image around its centre by a random angle.
    ///
    /// Bilinear, zeros outside the image (torchvision's `RandomRotation` with bilinear
    /// interpolation). A change that keeps digits and letters what they are.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment turned {
    ///   data = digits(labels=coarse)
    ///   augment { turn = rotation(degrees=15) }
    ///   encoder = mlp()
    ///   views = 2
    ///   loss { supcon = 0.5 * supcon(temperature=0.5) }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Augment as dyn Augment, version 1;
    rotation => Rotation {
        /// The largest angle, in either direction.
        degrees: NonNegative = 10.0,
    }
}

impl Augment for Rotation {
    fn apply(&self, image: &mut Image, _stats: &ChannelStats, mut stream: Stream) {
        let limit = self.degrees.get();
        if limit > 0.0 {
            *image = rotated(image, stream.between(-limit, limit));
        }
    }
}

/// The image turned counterclockwise.
fn rotated(image: &Image, degrees: f64) -> Image {
    let ImageShape { height, width, channels } = image.shape;
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (sin, cos) = (sin as f32, cos as f32);
    let (middle_y, middle_x) = ((height as f32 - 1.0) / 2.0, (width as f32 - 1.0) / 2.0);
    let source = Framed::around(image);
    let mut values = vec![0.0; image.values.len()];
    for (y, row) in values.chunks_exact_mut(width * channels).enumerate() {
        let y = y as f32 - middle_y;
        for (x, out) in row.chunks_exact_mut(channels).enumerate() {
            let x = x as f32 - middle_x;
            let place = (sin * x + cos * y + middle_y, cos * x - sin * y + middle_x);
            source.sample(place, out);
        }
    }
    Image { shape: image.shape, values }
}

/// An image within a frame of zeros, one pixel before it and two behind, so that a place outside
/// can be moved to the frame and read like any other.
struct Framed {
    image: ImageShape,
    values: Vec<f32>,
}

impl Framed {
    fn around(image: &Image) -> Self {
        let ImageShape { height, width, channels } = image.shape;
        let row = (width + 3) * channels;
        let mut values = vec![0.0; (height + 3) * row];
        let rows = values.chunks_exact_mut(row).skip(1);
        for (to, from) in rows.zip(image.values.chunks_exact(width * channels)) {
            to[channels..][..width * channels].copy_from_slice(from);
        }
        Self { image: image.shape, values }
    }

    /// The bilinear value at (y, x), counted from the image's first pixel.
    fn sample(&self, (y, x): (f32, f32), out: &mut [f32]) {
        let ImageShape { height, width, channels } = self.image;
        let y = (y + 1.0).clamp(0.0, height as f32 + 1.0);
        let x = (x + 1.0).clamp(0.0, width as f32 + 1.0);
        let (row, column) = (y as usize, x as usize);
        let (y, x) = (y - row as f32, x - column as f32);
        let stride = (width + 3) * channels;
        let above = &self.values[row * stride + column * channels..][..2 * channels];
        let below = &self.values[(row + 1) * stride + column * channels..][..2 * channels];
        for (channel, out) in out.iter_mut().enumerate() {
            let across =
                |pair: &[f32]| pair[channel] + x * (pair[channels + channel] - pair[channel]);
            let (above, below) = (across(above), across(below));
            *out = above + y * (below - above);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp() -> Image {
        let shape = ImageShape { height: 4, width: 4, channels: 1 };
        Image { shape, values: (0..16).map(|it| it as f32).collect() }
    }

    #[test]
    fn a_quarter_turn_goes_counterclockwise() {
        let expected = [3., 7., 11., 15., 2., 6., 10., 14., 1., 5., 9., 13., 0., 4., 8., 12.];
        for (found, expected) in rotated(&ramp(), 90.0).values.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
    }

    #[test]
    fn a_small_turn_is_torchvisions() {
        let expected = [
            0.3484744, 1.4188819, 3.5287607, 3.1261897, 2.3299641, 4.6377382, 6.9455113, 8.4338808,
            5.3578839, 8.0544894, 10.3622618, 12.6700354, 5.5352707, 11.471239, 12.3728828,
            8.3129869,
        ];
        for (found, expected) in rotated(&ramp(), 20.0).values.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
    }

    #[test]
    fn no_turn_changes_nothing() {
        assert_eq!(rotated(&ramp(), 0.0), ramp());
    }
}
