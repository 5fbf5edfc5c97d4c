//! The same numbers as PyTorch, from the fixtures of `tests/parity`.

use std::collections::BTreeMap;

use balance::catalog::{Bound, Duration, ImageShape, Kind, Value};
use balance::library::decoder::DECODERS;
use balance::library::encoder::{ENCODERS, Network};
use balance::library::optimizer::OPTIMIZERS;
use balance::library::schedule::{Horizon, SCHEDULES, Schedule};
use balance::library::{Library, build};
use balance::nn::Mode;
use balance::seed::Stream;
use balance::tensor::Params;
use candle_core::{DType, Device, Tensor, Var};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parity/fixtures");

/// The tensors of a fixture, in f64.
pub fn fixture(name: &str) -> BTreeMap<String, Tensor> {
    let path = format!("{FIXTURES}/{name}.safetensors");
    let tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    let widen = |(name, tensor): (String, Tensor)| {
        let wide = tensor.to_dtype(DType::F64).unwrap();
        let is_packed = tensor.dtype() == DType::U8;
        (name, if is_packed { ((wide - 128.0).unwrap() / 1024.0).unwrap() } else { wide })
    };
    tensors.into_iter().map(widen).collect()
}

/// The largest difference, relative to the largest expected magnitude.
fn deviation(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.dims(), expected.dims());
    let flat = |tensor: &Tensor| {
        tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap()
    };
    let (found, expected) = (flat(found), flat(expected));
    let scale = expected.iter().fold(0.0, |max: f64, x| max.max(x.abs()));
    let worst = found.iter().zip(&expected).fold(0.0, |max: f64, (a, b)| {
        let difference = (a - b).abs();
        if difference.is_nan() { f64::INFINITY } else { max.max(difference) }
    });
    worst / scale
}

fn bound(kind: Kind, name: &str, args: &[(&str, Value)]) -> Bound {
    let spec = Library::standard().catalog().find(kind, name).unwrap();
    args.iter().fold(Bound::defaults(spec), |bound, (name, value)| bound.with(name, value.clone()))
}

fn schedule(name: &str, args: &[(&str, Value)]) -> Box<dyn Schedule> {
    build(SCHEDULES, &bound(Kind::Schedule, name, args))
}

fn optimizer_case(name: &str) -> Bound {
    let real = Value::Real;
    let decay = ("weight_decay", real(0.05));
    let (kind, args) = match name {
        "adamw" => ("adamw", vec![]),
        "adamw_set" => {
            let args = [("weight_decay", 0.3), ("beta1", 0.8), ("beta2", 0.95), ("eps", 1e-3)];
            ("adamw", args.map(|(name, value)| (name, real(value))).to_vec())
        }
        "sgd" => ("sgd", vec![]),
        "sgd_momentum" => ("sgd", vec![("momentum", real(0.9)), decay]),
        "sgd_nesterov" => {
            ("sgd", vec![("momentum", real(0.9)), ("nesterov", Value::Bool(true)), decay])
        }
        other => panic!("no case `{other}`"),
    };
    bound(Kind::Optimizer, kind, &args).with("lr", real(0.05))
}

/// The largest deviation from PyTorch's path over all steps.
fn optimizer_deviation(case: &str, dtype: DType) -> f64 {
    let expected = fixture("optimizers");
    let names = ["a", "b"];
    let vars = names.map(|name| {
        let start = expected[&format!("start/{name}")].to_dtype(dtype).unwrap();
        (name.to_owned(), Var::from_tensor(&start).unwrap())
    });
    let optimizer = build(OPTIMIZERS, &optimizer_case(case));
    let mut stepper = optimizer.start(vars.to_vec()).unwrap();
    let horizon = Horizon { steps: 12, steps_per_epoch: 4, batch: 1 };
    let cosine = schedule("cosine", &[]);
    let mut worst: f64 = 0.0;
    for step in 0..horizon.steps {
        let terms = vars.iter().map(|(name, var)| {
            let grad = expected[&format!("gradient/{name}")].get(step).unwrap();
            (var.as_tensor() * grad.to_dtype(dtype).unwrap()).unwrap().sum_all().unwrap()
        });
        let loss = terms.reduce(|a, b| (a + b).unwrap()).unwrap();
        let rate = optimizer.learning_rate() * cosine.factor(step, &horizon);
        stepper.step(&loss.backward().unwrap(), rate).unwrap();
        for (name, var) in &vars {
            let path = &expected[&format!("{case}/{name}")].get(step).unwrap();
            worst = worst.max(deviation(var, path));
        }
    }
    worst
}

#[test]
fn optimizers_follow_pytorch() {
    for case in ["adamw", "adamw_set", "sgd", "sgd_momentum", "sgd_nesterov"] {
        let (double, single) =
            (optimizer_deviation(case, DType::F64), optimizer_deviation(case, DType::F32));
        assert!(double < 1e-13 && single < 3e-6, "{case}: {double:e} in f64, {single:e} in f32");
    }
}

#[test]
fn schedules_follow_pytorch() {
    let text = std::fs::read_to_string(format!("{FIXTURES}/schedules.json")).unwrap();
    let curves: serde_json::Value = serde_json::from_str(&text).unwrap();
    let rate = curves["rate"].as_f64().unwrap();
    let epochs = |epochs| Value::Duration(Duration::epochs(epochs));
    let wave = [("period", epochs(200.0)), ("wave", Value::Bool(true))];
    let drops =
        [("at", Value::List(vec![epochs(10.0), epochs(25.0)])), ("factor", Value::Real(0.2))];
    let cases = [
        ("released", schedule("cosine", &wave), 351),
        ("plain", schedule("cosine", &[("to", Value::Real(0.1))]), 351),
        ("step", schedule("step", &drops), 351),
        ("one_cycle", schedule("one_cycle", &[]), 1),
    ];
    for (name, schedule, steps_per_epoch) in cases {
        let expected = curves[name].as_array().unwrap();
        let steps = expected.len() * steps_per_epoch;
        let horizon = Horizon { steps, steps_per_epoch, batch: 128 };
        for (epoch, expected) in expected.iter().enumerate() {
            let found = rate * schedule.factor(epoch * steps_per_epoch, &horizon);
            let difference = (found - expected.as_f64().unwrap()).abs();
            assert!(difference < 1e-15, "{name}, epoch {epoch}: {found} instead of {expected}");
        }
    }
}

/// The name PyTorch has for a variable of ours.
fn name_in_torch(case: &str, name: &str) -> String {
    // torchvision counts a rectifier and a dropout between the layers.
    if case == "mlp" {
        let (layer, rest) = name["layer".len()..].split_once('.').unwrap();
        return format!("{}.{rest}", 3 * (layer.parse::<usize>().unwrap() - 1));
    }
    let names: Vec<String> = name
        .split('.')
        .map(|part| {
            match part.strip_prefix("block").and_then(|index| index.parse::<usize>().ok()) {
                Some(index) if case == "vit" => format!("blocks.{}", index - 1),
                _ => part.to_owned(),
            }
        })
        .collect();
    names.join(".")
}

/// A tensor of PyTorch's, in our layout: kernels have their output channels last, and images their
/// channels.
fn in_our_layout(tensor: &Tensor, (case, name): (&str, &str), dims: &[usize]) -> Tensor {
    let moved = match tensor.rank() {
        _ if (case, name) == ("mlp", "layer1.weight") => {
            tensor.reshape((dims[0], 3, 4, 5)).unwrap().permute([0, 2, 3, 1])
        }
        4 => tensor.permute([2, 3, 1, 0]),
        // The decoder's linear layer makes 4 × 4 pixels of some channels.
        _ if name.starts_with("linear.") => {
            tensor.reshape((dims[0] / 16, 16, ())).unwrap().transpose(0, 1)
        }
        _ => Ok(tensor.clone()),
    };
    moved.unwrap().contiguous().unwrap().reshape(dims).unwrap()
}

/// A network with PyTorch's weights beside what PyTorch computes with them.
struct Twin {
    case: &'static str,
    expected: BTreeMap<String, Tensor>,
    params: Params,
    network: Box<dyn Network>,
    dtype: DType,
}

impl Twin {
    fn new(case: &'static str, dtype: DType) -> Self {
        let params = Params::new(Stream::new(1), dtype, Device::Cpu);
        let network = build_case(case, &params);
        let twin = Self { case, expected: fixture(case), params, network, dtype };
        let state: BTreeMap<_, _> = twin
            .params
            .state()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), twin.of("weight", name, value.dims())))
            .collect();
        let given = twin.expected.keys().filter(|key| key.starts_with("weight/")).count();
        assert_eq!(given, state.len(), "{case}");
        twin.params.restore(&state).unwrap();
        twin
    }

    fn of(&self, kind: &str, name: &str, dims: &[usize]) -> Tensor {
        let key = format!("{kind}/{}", name_in_torch(self.case, name));
        self.known(kind, name, dims).unwrap_or_else(|| panic!("no `{key}`"))
    }

    fn known(&self, kind: &str, name: &str, dims: &[usize]) -> Option<Tensor> {
        let tensor = self.expected.get(&format!("{kind}/{}", name_in_torch(self.case, name)))?;
        Some(in_our_layout(tensor, (self.case, name), dims))
    }

    /// Whether the fixture has the gradients of small variables alone.
    fn is_light(&self) -> bool {
        matches!(self.case, "resnet50" | "wide_resnet")
    }

    /// A tensor of rows: embeddings, or images with their channels last.
    fn rows(&self, key: &str) -> Tensor {
        let tensor = &self.expected[key];
        match tensor.rank() {
            4 => tensor.permute([0, 2, 3, 1]).unwrap().contiguous().unwrap(),
            _ => tensor.clone(),
        }
    }

    /// What deviates, and by how much.
    fn deviations(&self) -> Vec<(String, f64)> {
        let input = Var::from_tensor(&self.rows("input").to_dtype(self.dtype).unwrap()).unwrap();
        let evaluated = self.network.forward(&input, &Mode::Eval).unwrap();
        let trained = self.network.forward(&input, &self.training()).unwrap();
        let direction = self.rows("direction").to_dtype(self.dtype).unwrap();
        let loss = (&trained * direction).unwrap().sum_all().unwrap();
        let grads = loss.backward().unwrap();
        let mut pairs = vec![
            ("evaluation".to_owned(), evaluated, self.rows("output/eval")),
            ("training".to_owned(), trained, self.rows("output/train")),
            (
                "gradient of the input".to_owned(),
                grads.get(&input).unwrap().clone(),
                self.rows("gradient_of_input"),
            ),
        ];
        for (name, var) in self.params.vars() {
            let expected = self.known("gradient", &name, var.dims());
            if expected.is_none() && self.is_light() && var.elem_count() > 200 {
                continue;
            }
            let expected = expected.unwrap_or_else(|| panic!("no gradient of `{name}`"));
            pairs.push((format!("gradient of {name}"), grads.get(&var).unwrap().clone(), expected));
        }
        for (name, buffer) in self.params.buffers() {
            let expected = self.of("after", &name, buffer.dims());
            pairs.push((format!("{name} afterwards"), buffer.as_tensor().clone(), expected));
        }
        let compare = |(name, found, expected): (String, Tensor, Tensor)| {
            (name, deviation(&found, &expected))
        };
        pairs.into_iter().map(compare).collect()
    }

    /// Training mode; the transformer's, whose dropouts the fixture leaves out, is evaluation.
    fn training(&self) -> Mode {
        if self.case.starts_with("vit") { Mode::Eval } else { Mode::Train(Stream::new(1)) }
    }
}

fn build_case(case: &str, params: &Params) -> Box<dyn Network> {
    let image = |height, width| ImageShape { height, width, channels: 3 };
    let encoder = |name, args: &[(&str, Value)], [height, width]: [usize; 2]| {
        let encoder = build(ENCODERS, &bound(Kind::Encoder, name, args));
        encoder.build(image(height, width), &params.root())
    };
    let int = Value::Int;
    let word = |word: &str| Value::Word(word.to_owned());
    let width = ("width", int(3));
    let widths = |widths: &[i64]| Value::List(widths.iter().copied().map(int).collect());
    let small = [("dim", int(16)), ("depth", int(2)), ("heads", int(2))];
    let plain = [("widths", widths(&[4, 6])), ("out", int(5))];
    let network = match case {
        "resnet18" => encoder("resnet", &[width], [16, 16]),
        "resnet8" => encoder("resnet", &[width, ("depth", int(8))], [9, 9]),
        "resnet8_group" => {
            let group = [("norm", word("group")), ("groups", int(3)), ("depth", int(8))];
            encoder("resnet", &[&[width], &group[..]].concat(), [9, 9])
        }
        "resnet50" => {
            let args = [("width", int(2)), ("depth", int(50)), ("stem", word("imagenet"))];
            encoder("resnet", &args, [33, 33])
        }
        "wide_resnet" => encoder("wide_resnet", &[("depth", int(10)), ("widen", int(1))], [8, 8]),
        "cnn" => encoder("cnn", &plain, [9, 11]),
        "cnn_bias" => encoder("cnn", &[&plain[..], &[("norm", Value::None)]].concat(), [9, 11]),
        "mlp" => encoder("mlp", &[("widths", widths(&[7, 6])), ("out", int(5))], [4, 5]),
        "vit" => encoder("vit", &small, [8, 8]),
        "vit_standard" => {
            encoder("vit", &[&small[..], &[("form", word("standard"))]].concat(), [8, 8])
        }
        "decoder" => build(DECODERS, &bound(Kind::Decoder, "resnet18_decoder", &[width])).build(
            6,
            image(16, 16),
            &params.root(),
        ),
        other => panic!("no case `{other}`"),
    };
    network.unwrap()
}

const NETWORKS: [&str; 11] = [
    "mlp",
    "cnn",
    "cnn_bias",
    "resnet8",
    "resnet8_group",
    "resnet18",
    "resnet50",
    "wide_resnet",
    "vit",
    "vit_standard",
    "decoder",
];

#[test]
fn networks_compute_what_pytorch_computes() {
    for case in NETWORKS {
        for dtype in [DType::F64, DType::F32] {
            for (name, deviation) in Twin::new(case, dtype).deviations() {
                let is_gradient = name.starts_with("gradient of");
                let limit = match dtype {
                    // On the way back rounding passes fifty normalisations of few numbers each.
                    DType::F32 if case == "resnet50" && is_gradient => 1e-4,
                    DType::F32 => 1e-5,
                    // The fixtures have these in f32.
                    _ if is_gradient => 2e-7,
                    _ => 1e-12,
                };
                assert!(deviation < limit, "{case} in {dtype:?}: {name}: {deviation:e}");
            }
        }
    }
}
