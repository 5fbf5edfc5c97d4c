//! What corrupts an image, as CIFAR-10-C was made (Hendrycks and Dietterich, 2019).

use super::draw::poisson;
use super::filter::{boxed, defocused, gaussian};
use crate::catalog::{ImageShape, ParamType, Type, Value};
use crate::choice;
use crate::seed::Stream;

/// How many severities there are.
const SEVERITIES: usize = 5;

/// How strong a corruption is, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Severity(usize);

impl Severity {
    /// All of them.
    pub(super) const ALL: [Self; SEVERITIES] = [Self(1), Self(2), Self(3), Self(4), Self(5)];

    /// The number.
    pub(super) fn get(self) -> usize {
        self.0
    }
}

impl ParamType for Severity {
    const TYPE: Type = Type::Int { name: "severity", min: 1, max: SEVERITIES as i64 };

    fn to_value(&self) -> Value {
        Value::Int(self.0 as i64)
    }

    fn from_value(value: &Value) -> Self {
        match value {
            Value::Int(value) => Self(*value as usize),
            other => unreachable!("the checker promised `{other}` to be a severity"),
        }
    }
}

choice! {
    /// A kind of corruption.
    Kind {
        /// Normal noise on every number.
        GaussianNoise = "gaussian_noise",
        /// The noise of few photons.
        ShotNoise = "shot_noise",
        /// Numbers that are black or white.
        ImpulseNoise = "impulse_noise",
        /// Normal noise in proportion to every number.
        SpeckleNoise = "speckle_noise",
        /// A normal blur.
        GaussianBlur = "gaussian_blur",
        /// The blur of a disk.
        DefocusBlur = "defocus_blur",
        /// A larger value.
        Brightness = "brightness",
        /// Less distance from the mean.
        Contrast = "contrast",
        /// Another saturation.
        Saturate = "saturate",
        /// Fewer pixels.
        Pixelate = "pixelate",
    }
}

impl Kind {
    /// All of them.
    pub(super) const ALL: [Self; 10] = [
        Self::GaussianNoise,
        Self::ShotNoise,
        Self::ImpulseNoise,
        Self::SpeckleNoise,
        Self::GaussianBlur,
        Self::DefocusBlur,
        Self::Brightness,
        Self::Contrast,
        Self::Saturate,
        Self::Pixelate,
    ];

    /// The accuracy on images that it has corrupted.
    pub(super) fn metric(self) -> &'static str {
        match self {
            Self::GaussianNoise => "gaussian_noise_accuracy",
            Self::ShotNoise => "shot_noise_accuracy",
            Self::ImpulseNoise => "impulse_noise_accuracy",
            Self::SpeckleNoise => "speckle_noise_accuracy",
            Self::GaussianBlur => "gaussian_blur_accuracy",
            Self::DefocusBlur => "defocus_blur_accuracy",
            Self::Brightness => "brightness_accuracy",
            Self::Contrast => "contrast_accuracy",
            Self::Saturate => "saturate_accuracy",
            Self::Pixelate => "pixelate_accuracy",
        }
    }

    /// Whether it leaves images of other than three channels as they are.
    pub(super) fn needs_color(self) -> bool {
        self == Self::Saturate
    }

    /// Corrupts an image of values in 0..=1 at a severity from 1, and brings it to whole 255ths
    /// downwards, as it was written to bytes.
    pub(super) fn corrupt(
        self,
        (values, shape): (&mut [f64], ImageShape),
        severity: Severity,
        stream: &mut Stream,
    ) {
        let of = |strengths: [f64; SEVERITIES]| strengths[severity.0 - 1];
        match self {
            Self::GaussianNoise => {
                let c = of([0.04, 0.06, 0.08, 0.09, 0.10]);
                values.iter_mut().for_each(|x| *x += c * stream.normal());
            }
            Self::ShotNoise => {
                let c = of([500.0, 250.0, 100.0, 75.0, 50.0]);
                values.iter_mut().for_each(|x| *x = poisson(*x * c, stream) / c);
            }
            Self::ImpulseNoise => {
                let c = of([0.01, 0.02, 0.03, 0.05, 0.07]);
                values.iter_mut().for_each(|x| *x = impulse(*x, c, stream.uniform()));
            }
            Self::SpeckleNoise => {
                let c = of([0.06, 0.1, 0.12, 0.16, 0.2]);
                values.iter_mut().for_each(|x| *x += *x * c * stream.normal());
            }
            Self::GaussianBlur => gaussian(values, shape, of([0.4, 0.6, 0.7, 0.8, 1.0])),
            Self::DefocusBlur => {
                let radius = of([0.3, 0.4, 0.5, 1.0, 1.5]);
                defocused(values, shape, (radius, of([0.4, 0.5, 0.6, 0.2, 0.1])));
            }
            Self::Brightness => brighten(values, shape, of([0.05, 0.1, 0.15, 0.2, 0.3])),
            Self::Contrast => flatten(values, shape, of([0.75, 0.5, 0.4, 0.3, 0.15])),
            Self::Saturate => {
                let by = (of([0.3, 0.1, 1.5, 2.0, 2.5]), of([0.0, 0.0, 0.0, 0.1, 0.2]));
                saturate(values, shape, by);
            }
            Self::Pixelate => boxed(values, shape, of([0.95, 0.9, 0.85, 0.75, 0.65])),
        }
        for x in values {
            *x = (x.clamp(0.0, 1.0) * 255.0).floor() / 255.0;
        }
    }
}

/// Black or white in a share of all cases, each as often.
fn impulse(x: f64, share: f64, drawn: f64) -> f64 {
    match drawn / share {
        it if it >= 1.0 => x,
        it if it < 0.5 => 1.0,
        _ => 0.0,
    }
}

/// Each channel nearer to its mean.
fn flatten(values: &mut [f64], shape: ImageShape, share: f64) {
    for channel in 0..shape.channels {
        let own = values.iter().skip(channel).step_by(shape.channels);
        let mean = own.sum::<f64>() / (shape.height * shape.width) as f64;
        let own = values.iter_mut().skip(channel).step_by(shape.channels);
        own.for_each(|x| *x = (*x - mean) * share + mean);
    }
}

/// More of the value of hue, saturation and value; gray is its own value.
fn brighten(values: &mut [f64], shape: ImageShape, by: f64) {
    for pixel in values.chunks_exact_mut(shape.channels) {
        match pixel {
            [r, g, b] => {
                let (hue, saturation, value) = hsv([*r, *g, *b]);
                [*r, *g, *b] = rgb((hue, saturation, (value + by).clamp(0.0, 1.0)));
            }
            others => others.iter_mut().for_each(|x| *x += by),
        }
    }
}

/// Another saturation; gray has none.
fn saturate(values: &mut [f64], shape: ImageShape, (times, plus): (f64, f64)) {
    for pixel in values.chunks_exact_mut(shape.channels) {
        if let [r, g, b] = pixel {
            let (hue, saturation, value) = hsv([*r, *g, *b]);
            [*r, *g, *b] = rgb((hue, (saturation * times + plus).clamp(0.0, 1.0), value));
        }
    }
}

/// Hue in 0..1, saturation and value.
fn hsv([r, g, b]: [f64; 3]) -> (f64, f64, f64) {
    let (most, least) = (r.max(g).max(b), r.min(g).min(b));
    let range = most - least;
    if range == 0.0 {
        return (0.0, 0.0, most);
    }
    // Of equal channels the last decides, as in scikit-image.
    let sixths = match most {
        most if most == b => 4.0 + (r - g) / range,
        most if most == g => 2.0 + (b - r) / range,
        _ => (g - b) / range,
    };
    ((sixths / 6.0).rem_euclid(1.0), range / most, most)
}

fn rgb((hue, saturation, value): (f64, f64, f64)) -> [f64; 3] {
    let sixth = (hue * 6.0).floor();
    let rest = hue * 6.0 - sixth;
    let p = value * (1.0 - saturation);
    let q = value * (1.0 - rest * saturation);
    let t = value * (1.0 - (1.0 - rest) * saturation);
    match sixth as usize % 6 {
        0 => [value, t, p],
        1 => [q, value, p],
        2 => [p, value, t],
        3 => [p, q, value],
        4 => [t, p, value],
        _ => [value, p, q],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;

    const FIXTURE: &str = include_str!("../../../../tests/parity/fixtures/corruptions.json");

    fn bytes(value: &Json) -> Vec<f64> {
        let all = value.as_array().expect("a list").iter();
        all.map(|it| it.as_f64().expect("a number")).collect()
    }

    fn corrupted(
        kind: Kind,
        (bytes, shape): (&[f64], ImageShape),
        severity: usize,
        stream: &Stream,
    ) -> Vec<f64> {
        let mut values: Vec<f64> = bytes.iter().map(|it| it / 255.0).collect();
        kind.corrupt((&mut values, shape), Severity(severity), &mut stream.clone());
        values.iter().map(|it| (it * 255.0).round()).collect()
    }

    #[test]
    fn what_draws_nothing_is_what_numpy_scipy_and_pillow_compute() {
        let fixture: Json = serde_json::from_str(FIXTURE).expect("a fixture");
        let mut count = 0;
        for image in fixture["images"].as_array().expect("images") {
            let [height, width, channels] = ["height", "width", "channels"]
                .map(|it| image[it].as_u64().expect("a side") as usize);
            let shape = ImageShape { height, width, channels };
            let before = bytes(&image["bytes"]);
            for kind in Kind::ALL {
                let Value::Word(word) = kind.to_value() else { panic!("a word") };
                let Some(all) = image["corrupted"].get(&word) else { continue };
                for severity in 1..=SEVERITIES {
                    let expected = bytes(&all[severity - 1]);
                    let found = corrupted(kind, (&before, shape), severity, &Stream::new(0));
                    assert_eq!(found.len(), expected.len());
                    // Cut off to bytes, what lies at a border may fall to either side.
                    let far = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
                    assert!(far * 100 <= found.len(), "{word} {severity}: {far} differ");
                    let most = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
                    assert!(most.fold(0.0, f64::max) <= 1.0, "{word} {severity}");
                    count += 1;
                }
            }
        }
        assert_eq!(count, 2 * 6 * SEVERITIES - SEVERITIES);
    }

    /// The formulas of the paper's code on the numbers that the stream gives, one after another.
    #[test]
    fn noise_is_that_of_the_numbers_drawn() {
        let shape = ImageShape { height: 5, width: 4, channels: 3 };
        let before: Vec<f64> = (0..shape.size()).map(|at| (at * 37 % 256) as f64).collect();
        let stream = Stream::new(8).named("noise");
        let byte = |x: f64| (x.clamp(0.0, 1.0) * 255.0).floor();
        let mut drawn = stream.clone();
        let expected: Vec<f64> =
            before.iter().map(|it| byte(it / 255.0 + 0.08 * drawn.normal())).collect();
        assert_eq!(corrupted(Kind::GaussianNoise, (&before, shape), 3, &stream), expected);
        let mut drawn = stream.clone();
        let speckle = |it: &f64| byte(it / 255.0 + it / 255.0 * 0.2 * drawn.normal());
        let expected: Vec<f64> = before.iter().map(speckle).collect();
        assert_eq!(corrupted(Kind::SpeckleNoise, (&before, shape), 5, &stream), expected);
        let mut drawn = stream.clone();
        let shot = |it: &f64| byte(poisson(it / 255.0 * 50.0, &mut drawn) / 50.0);
        let expected: Vec<f64> = before.iter().map(shot).collect();
        assert_eq!(corrupted(Kind::ShotNoise, (&before, shape), 5, &stream), expected);
    }

    #[test]
    fn impulses_are_as_often_white_as_black() {
        let shape = ImageShape { height: 200, width: 200, channels: 1 };
        let before = vec![100.0; shape.size()];
        let found = corrupted(Kind::ImpulseNoise, (&before, shape), 5, &Stream::new(2));
        let share =
            |byte: f64| found.iter().filter(|it| **it == byte).count() as f64 / found.len() as f64;
        assert!((share(0.0) - 0.035).abs() < 0.004 && (share(255.0) - 0.035).abs() < 0.004);
        assert!((share(100.0) + share(99.0) - 0.93).abs() < 0.006);
    }
}
