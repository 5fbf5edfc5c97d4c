//! The same images as torchvision, from the fixtures of `tests/parity/augment.py`.

use std::collections::BTreeMap;

use balance::catalog::{Bound, ImageShape, Value};
use balance::library::augment::{AUGMENTS, Affine, Change, ChannelStats, Crop, Image};
use balance::library::build;
use balance::seed::Stream;
use candle_core::{DType, Device, Tensor};
use serde::Deserialize;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parity/fixtures");

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
}

/// An operation on an image, with the grey levels that other backends may differ.
#[derive(Deserialize)]
struct Case {
    name: String,
    image: String,
    operation: String,
    args: Vec<serde_json::Value>,
    bytes: Option<f64>,
    pillow: Option<f64>,
}

impl Case {
    fn number(&self, at: usize) -> f64 {
        self.args[at].as_f64().unwrap()
    }

    fn size(&self, at: usize) -> usize {
        self.number(at) as usize
    }

    fn changes(&self) -> Vec<Change> {
        let change = |pair: &[serde_json::Value]| {
            let factor = pair[1].as_f64().unwrap() as f32;
            match pair[0].as_str().unwrap() {
                "brightness" => Change::Brightness(factor),
                "contrast" => Change::Contrast(factor),
                "saturation" => Change::Saturation(factor),
                _ => Change::Hue(factor),
            }
        };
        self.args.chunks(2).map(change).collect()
    }

    fn apply(&self, image: &mut Image) {
        match self.operation.as_str() {
            "hflip" => image.flip_horizontally(),
            "vflip" => image.flip_vertically(),
            "shift" => image.shift(self.number(1) as isize, self.number(0) as isize),
            "resized_crop" => {
                let [top, left, height, width] = [0, 1, 2, 3].map(|at| self.size(at));
                image.resize_crop(Crop { top, left, height, width }, self.size(4), self.size(5));
            }
            "jitter" => image.recolor(&self.changes()),
            "grayscale" => image.gray(self.size(0)),
            "solarize" => image.solarize((self.number(0) / 255.0) as f32),
            "rotate" => image.turn(self.number(0)),
            "affine" => image.transform(&Affine {
                degrees: self.number(0),
                translate: [self.number(1), self.number(2)],
                scale: self.number(3),
                shear: [self.number(4), self.number(5)],
            }),
            "blur" => image.blur(self.size(0), self.number(1)),
            "center_crop" => fixed("center_crop", &[("size", self.args[0].clone())], image),
            "resize" => fixed("resize", &[("size", self.args[0].clone())], image),
            "resize_square" => {
                let args = [("size", self.args[0].clone()), ("side", "both".into())];
                fixed("resize", &args, image);
            }
            _ => fixed("normalize", &[("stats", "imagenet".into())], image),
        }
    }
}

/// A transform that draws nothing.
fn fixed(name: &str, args: &[(&str, serde_json::Value)], image: &mut Image) {
    let entry = AUGMENTS.iter().find(|it| it.spec.name == name).unwrap();
    let bound = args.iter().fold(Bound::defaults(&entry.spec), |bound, (name, value)| {
        let value = match value.as_str() {
            Some(word) => Value::Word(word.to_owned()),
            None => Value::Int(value.as_i64().unwrap()),
        };
        bound.with(name, value)
    });
    let stats = ChannelStats { mean: Vec::new(), std: Vec::new() };
    build(AUGMENTS, &bound).apply(image, &stats, Stream::new(0));
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// An image of bytes, white being 1.
fn image(tensor: &Tensor) -> Image {
    let (height, width, channels) = tensor.dims3().unwrap();
    let values = numbers(tensor).into_iter().map(|byte| byte as f32 / 255.0).collect();
    Image { shape: ImageShape { height, width, channels }, values }
}

fn worst(found: &[f64], expected: &[f64], inside: impl Fn(usize) -> bool) -> f64 {
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).enumerate();
    differences.filter(|(at, _)| inside(*at)).fold(0.0, |max, (_, it)| it.max(max))
}

#[test]
fn every_transform_is_torchvisions() {
    let text = std::fs::read_to_string(format!("{FIXTURES}/augment.json")).unwrap();
    let cases = serde_json::from_str::<Fixture>(&text).unwrap().cases;
    let path = format!("{FIXTURES}/augment.safetensors");
    let tensors: BTreeMap<String, Tensor> =
        candle_core::safetensors::load(path, &Device::Cpu).unwrap().into_iter().collect();
    assert!(cases.len() >= 40, "{} cases", cases.len());
    for case in &cases {
        let Case { name, image: of, .. } = case;
        let mut found = image(&tensors[&format!("image/{of}")]);
        case.apply(&mut found);
        let expected = &tensors[&format!("{name}/float")];
        let ImageShape { height, width, channels } = found.shape;
        assert_eq!(expected.dims(), [height, width, channels], "{name}");
        let values: Vec<f64> = found.values.iter().map(|it| f64::from(*it)).collect();
        let difference = worst(&values, &numbers(expected), |_| true);
        assert!(difference < 2e-5, "{name}: {difference}");

        let levels: Vec<f64> = values.iter().map(|it| it * 255.0).collect();
        let inside = tensors.get(&format!("{name}/inside")).map(numbers);
        let is_inside = |at: usize| inside.as_ref().is_none_or(|it| it[at] == 1.0);
        if let Some(allowed) = case.bytes {
            let difference = worst(&levels, &numbers(&tensors[&format!("{name}/bytes")]), |_| true);
            assert!(difference <= allowed + 0.02, "{name}: {difference} levels from bytes");
        }
        if let Some(allowed) = case.pillow {
            let pillow = numbers(&tensors[&format!("{name}/pillow")]);
            let difference = worst(&levels, &pillow, is_inside);
            assert!(difference <= allowed + 0.02, "{name}: {difference} levels from Pillow");
        }
    }
}
