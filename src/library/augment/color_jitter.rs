//! Random changes of brightness, contrast, saturation and hue.

use super::image::luminance;
use super::{Augment, ChannelStats, Image};
use crate::catalog::{Fraction, NonNegative, ParamType, Type, Value};
use crate::component;
use crate::seed::Stream;

component! {
    /// Changes brightness, contrast, saturation and hue by random amounts, in random order.
    ///
    /// A strength of `s` draws its factor from `max(0, 1 - s)` to `1 + s`, hue a turn from `-s` to
    /// `s` of the colour circle; zero leaves it alone. Saturation and hue change only images of
    /// three channels. Values are cut to [0, 1], so it belongs before `normalize` (torchvision's
    /// `ColorJitter` in floating point, as applied by SimCLR: Chen et al., 2020, appendix A).
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment jittered {
    ///   data = digits(labels=coarse)
    ///   augment { jitter = color_jitter(brightness=0.4, contrast=0.4) }
    ///   encoder = mlp(widths=[64], out=32)
    ///   views = 2
    ///   loss { supcon = 0.5 * supcon(temperature=0.5) }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Augment as dyn Augment, version 1;
    color_jitter => ColorJitter {
        /// Strength of the change of brightness.
        brightness: NonNegative = 0.4,
        /// Strength of the change of contrast.
        contrast: NonNegative = 0.4,
        /// Strength of the change of saturation.
        saturation: NonNegative = 0.4,
        /// The largest turn of the colour circle, at most half of it.
        hue: HalfTurn = 0.1,
        /// How often it happens.
        p: Fraction = 0.8,
    }
}

/// A share of the colour circle, up to half of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HalfTurn(f64);

impl From<f64> for HalfTurn {
    fn from(value: f64) -> Self {
        Self(value)
    }
}

impl ParamType for HalfTurn {
    const TYPE: Type = Type::Real { name: "real in 0..=0.5", min: 0.0, max: 0.5, open: false };

    fn to_value(&self) -> Value {
        Value::Real(self.0)
    }

    fn from_value(value: &Value) -> Self {
        match value {
            Value::Real(value) => Self(*value),
            other => unreachable!("the checker promised `{other}` to be {}", Self::TYPE),
        }
    }
}

impl Augment for ColorJitter {
    fn apply(&self, image: &mut Image, _stats: &ChannelStats, mut stream: Stream) {
        if stream.uniform() >= self.p.get() {
            return;
        }
        let order = stream.permutation(4);
        let factors = [self.brightness, self.contrast, self.saturation]
            .map(|strength| factor(strength.get(), &mut stream));
        let turn = stream.between(-self.hue.0, self.hue.0) as f32;
        for change in order {
            match change {
                0 => brighten(image, factors[0]),
                1 => contrast(image, factors[1]),
                2 => saturate(image, factors[2]),
                _ => turn_hue(image, turn),
            }
        }
    }
}

/// A factor around one.
fn factor(strength: f64, stream: &mut Stream) -> f32 {
    stream.between((1.0 - strength).max(0.0), 1.0 + strength) as f32
}

fn brighten(image: &mut Image, factor: f32) {
    for value in &mut image.values {
        *value = (*value * factor).clamp(0.0, 1.0);
    }
}

/// Away from the mean luminance, or towards it.
fn contrast(image: &mut Image, factor: f32) {
    if factor == 1.0 {
        return;
    }
    let sum: f32 = if image.is_color() {
        image.values.chunks_exact(3).map(luminance).sum()
    } else {
        image.values.iter().sum::<f32>() / image.shape.channels as f32
    };
    let mean = sum / (image.shape.height * image.shape.width) as f32;
    for value in &mut image.values {
        *value = (*value * factor + (1.0 - factor) * mean).clamp(0.0, 1.0);
    }
}

/// Away from each pixel's own luminance, or towards it.
fn saturate(image: &mut Image, factor: f32) {
    if factor == 1.0 || !image.is_color() {
        return;
    }
    for pixel in image.values.chunks_exact_mut(3) {
        let gray = (1.0 - factor) * luminance(pixel);
        for value in pixel {
            *value = (*value * factor + gray).clamp(0.0, 1.0);
        }
    }
}

/// Around the colour circle by `turn` of it.
fn turn_hue(image: &mut Image, turn: f32) {
    if turn == 0.0 || !image.is_color() {
        return;
    }
    for pixel in image.values.chunks_exact_mut(3) {
        let (hue, chroma, value) = hue_chroma_value([pixel[0], pixel[1], pixel[2]]);
        // A turn of at most half the circle leaves the hue within one circle of its range.
        let hue = hue + 6.0 * turn;
        let hue = if hue < 0.0 { hue + 6.0 } else { hue };
        for (out, offset) in pixel.iter_mut().zip([5.0, 3.0, 1.0]) {
            let place = hue + offset;
            let place = place - 6.0 * (place / 6.0).floor();
            let share = place.min(4.0 - place).clamp(0.0, 1.0);
            *out = value - chroma * share;
        }
    }
}

/// Hue in 0..6, chroma, and value of a colour.
fn hue_chroma_value([red, green, blue]: [f32; 3]) -> (f32, f32, f32) {
    let value = red.max(green).max(blue);
    let chroma = value - red.min(green).min(blue);
    let scale = if chroma > 0.0 { 1.0 / chroma } else { 0.0 };
    let hue = if value == red {
        (green - blue) * scale
    } else if value == green {
        2.0 + (blue - red) * scale
    } else {
        4.0 + (red - green) * scale
    };
    (if hue < 0.0 { hue + 6.0 } else { hue }, chroma, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::ImageShape;

    const COLORS: [f32; 18] = [
        0.1, 0.5, 0.9, 0.8, 0.2, 0.3, 0.4, 0.4, 0.4, 0.2, 0.9, 0.6, 0.0, 0.0, 1.0, 0.55, 0.45, 0.5,
    ];

    #[track_caller]
    fn check(change: impl Fn(&mut Image), expected: [f32; 18]) {
        let shape = ImageShape { height: 2, width: 3, channels: 3 };
        let mut image = Image { shape, values: COLORS.to_vec() };
        change(&mut image);
        for (found, expected) in image.values.iter().zip(expected) {
            assert!((found - expected).abs() < 2e-6, "{:?}", image.values);
        }
    }

    #[test]
    fn every_change_is_torchvisions() {
        let brighter = [
            0.13, 0.65, 1.0, 1.0, 0.26, 0.39, 0.52, 0.52, 0.52, 0.26, 1.0, 0.78, 0.0, 0.0, 1.0,
            0.715, 0.585, 0.65,
        ];
        check(|image| brighten(image, 1.3), brighter);
        let flatter = [
            0.193635, 0.473635, 0.753635, 0.683635, 0.263635, 0.333635, 0.403635, 0.403635,
            0.403635, 0.263635, 0.753635, 0.543635, 0.123635, 0.123635, 0.823635, 0.508635,
            0.438635, 0.473635,
        ];
        check(|image| contrast(image, 0.7), flatter);
        let stronger = [
            0.0, 0.525904, 1.0, 0.943248, 0.133248, 0.268248, 0.400014, 0.400014, 0.400014,
            0.040232, 0.985232, 0.580232, 0.0, 0.0, 1.0, 0.572559, 0.437559, 0.505059,
        ];
        check(|image| saturate(image, 1.35), stronger);
        let turned = [
            0.1, 0.116, 0.9, 0.8, 0.388, 0.2, 0.4, 0.4, 0.4, 0.2, 0.864, 0.9, 0.48, 0.0, 1.0, 0.55,
            0.45, 0.452,
        ];
        check(|image| turn_hue(image, 0.08), turned);
        let turned_back = [
            0.34, 0.9, 0.1, 0.22, 0.2, 0.8, 0.4, 0.4, 0.4, 0.9, 0.74, 0.2, 0.0, 1.0, 0.2, 0.45,
            0.48, 0.55,
        ];
        check(|image| turn_hue(image, -0.3), turned_back);
    }
}
