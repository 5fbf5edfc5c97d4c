//! Random changes of brightness, contrast, saturation and hue.

use super::{Augment, Change, ChannelStats, Image, Stroke};
use crate::catalog::{Fraction, ImageShape, NonNegative, ParamType, Type, Value};
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
    ///   encoder = mlp()
    ///   views = 2
    ///   loss { supcon = 0.5 * supcon(temperature=0.5) }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Augment as dyn Augment, version 1, needs [Unit];
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
    fn apply(&self, image: &mut Image, _stats: &ChannelStats, stream: Stream) {
        self.drawn(stream).make(image);
    }

    fn stroke(&self, _: ImageShape, _: &ChannelStats, stream: Stream) -> Option<Stroke> {
        Some(self.drawn(stream))
    }
}

impl ColorJitter {
    fn drawn(&self, mut stream: Stream) -> Stroke {
        match stream.uniform() < self.p.get() {
            true => Stroke::Recolor(self.draw(&mut stream)),
            false => Stroke::None,
        }
    }

    fn draw(&self, stream: &mut Stream) -> [Change; 4] {
        let order = stream.permutation(4);
        let [brightness, contrast, saturation] = [self.brightness, self.contrast, self.saturation]
            .map(|strength| factor(strength.get(), stream));
        let turn = stream.between(-self.hue.0, self.hue.0) as f32;
        let changes = [
            Change::Brightness(brightness),
            Change::Contrast(contrast),
            Change::Saturation(saturation),
            Change::Hue(turn),
        ];
        std::array::from_fn(|at| changes[order[at] as usize])
    }
}

/// A factor around one.
fn factor(strength: f64, stream: &mut Stream) -> f32 {
    stream.between((1.0 - strength).max(0.0), 1.0 + strength) as f32
}

#[cfg(test)]
mod tests {
    use super::super::quantiles::{assert_distributed, draws};
    use super::*;

    #[test]
    fn factors_and_orders_are_distributed_as_torchvisions() {
        let jitter = ColorJitter {
            brightness: 0.4.into(),
            contrast: 0.8.into(),
            saturation: 1.5.into(),
            hue: 0.1.into(),
            p: 1.0.into(),
        };
        let mut stream = Stream::new(1);
        let draws = draws(|| {
            let mut row = [0.0; 8];
            for (at, change) in jitter.draw(&mut stream).into_iter().enumerate() {
                let (kind, value) = match change {
                    Change::Brightness(value) => (0, value),
                    Change::Contrast(value) => (1, value),
                    Change::Saturation(value) => (2, value),
                    Change::Hue(value) => (3, value),
                };
                row[kind] = f64::from(value);
                row[4 + at] = kind as f64;
            }
            row
        });
        assert_distributed("color_jitter", draws);
    }
}
