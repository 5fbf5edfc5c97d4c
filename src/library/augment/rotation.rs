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
    ///   encoder = mlp(widths=[64], out=32)
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
    let mut values = vec![0.0; image.values.len()];
    for (index, out) in values.chunks_exact_mut(channels).enumerate() {
        let (y, x) = ((index / width) as f32 - middle_y, (index % width) as f32 - middle_x);
        sample(image, sin * x + cos * y + middle_y, cos * x - sin * y + middle_x, out);
    }
    Image { shape: image.shape, values }
}

/// Adds to `out` the bilinear value at (y, x), zero beyond the border.
fn sample(image: &Image, y: f32, x: f32, out: &mut [f32]) {
    let ImageShape { height, width, channels } = image.shape;
    let (top, left) = (y.floor(), x.floor());
    for (row, share_y) in [(top, 1.0 - (y - top)), (top + 1.0, y - top)] {
        for (column, share_x) in [(left, 1.0 - (x - left)), (left + 1.0, x - left)] {
            let inside = row >= 0.0 && column >= 0.0;
            let (row, column) = (row as usize, column as usize);
            if inside && row < height && column < width {
                let pixel = &image.values[(row * width + column) * channels..][..channels];
                for (out, value) in out.iter_mut().zip(pixel) {
                    *out += share_y * share_x * value;
                }
            }
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
