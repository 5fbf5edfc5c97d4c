//! Turned, moved, scaled and sheared: every place reads from one somewhere else, bilinearly.

use super::Image;
use crate::catalog::ImageShape;

/// An affine change around the centre of an image, with torchvision's meaning of each part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    /// Clockwise.
    pub degrees: f64,
    /// To the right and down, in pixels, after all else.
    pub translate: [f64; 2],
    pub scale: f64,
    /// Degrees along x and along y.
    pub shear: [f64; 2],
}

impl Affine {
    /// Where a place reads from, both counted from the centre: `[a, b, c]` for x and for y, of
    /// `a * x + b * y + c`.
    fn inverse(&self) -> [[f64; 3]; 2] {
        let turn = self.degrees.to_radians();
        let [along_x, along_y] = self.shear.map(f64::to_radians);
        let (sin, cos) = (turn - along_y).sin_cos();
        let a = cos / along_y.cos();
        let b = -cos * along_x.tan() / along_y.cos() - turn.sin();
        let c = sin / along_y.cos();
        let d = -sin * along_x.tan() / along_y.cos() + turn.cos();
        let row = |x: f64, y: f64| {
            let (x, y) = (x / self.scale, y / self.scale);
            [x, y, -x * self.translate[0] - y * self.translate[1]]
        };
        [row(d, -b), row(-c, a)]
    }
}

impl Image {
    /// Turns it counterclockwise around its centre; what comes in from outside is zero.
    pub fn turn(&mut self, degrees: f64) {
        let (sin, cos) = degrees.to_radians().sin_cos();
        self.warp([[cos, -sin, 0.0], [sin, cos, 0.0]]);
    }

    /// Changes it around its centre; what comes in from outside is zero.
    pub fn transform(&mut self, affine: &Affine) {
        self.warp(affine.inverse());
    }

    fn warp(&mut self, [from_x, from_y]: [[f64; 3]; 2]) {
        let ImageShape { height, width, channels } = self.shape;
        let [from_x, from_y] = [from_x, from_y].map(|row| row.map(|it| it as f32));
        let (middle_y, middle_x) = ((height as f32 - 1.0) / 2.0, (width as f32 - 1.0) / 2.0);
        let source = Framed::around(self);
        for (y, row) in self.values.chunks_exact_mut(width * channels).enumerate() {
            let y = y as f32 - middle_y;
            for (x, out) in row.chunks_exact_mut(channels).enumerate() {
                let x = x as f32 - middle_x;
                let at = |[a, b, c]: [f32; 3], middle: f32| a * x + b * y + c + middle;
                source.sample((at(from_y, middle_y), at(from_x, middle_x)), out);
            }
        }
    }
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
    use crate::catalog::ImageShape;

    fn rotated(degrees: f64) -> Image {
        let mut image = ramp();
        image.turn(degrees);
        image
    }

    fn ramp() -> Image {
        let shape = ImageShape { height: 4, width: 4, channels: 1 };
        Image { shape, values: (0..16).map(|it| it as f32).collect() }
    }

    #[test]
    fn a_quarter_turn_goes_counterclockwise() {
        let expected = [3., 7., 11., 15., 2., 6., 10., 14., 1., 5., 9., 13., 0., 4., 8., 12.];
        for (found, expected) in rotated(90.0).values.iter().zip(expected) {
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
        for (found, expected) in rotated(20.0).values.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
    }

    #[test]
    fn no_turn_changes_nothing() {
        assert_eq!(rotated(0.0), ramp());
    }
}
