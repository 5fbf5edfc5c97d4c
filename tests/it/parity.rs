//! The same numbers as PyTorch, from the fixtures of `tests/parity`.

use std::collections::HashMap;

use balance::catalog::{Bound, Duration, Kind, Value};
use balance::library::optimizer::OPTIMIZERS;
use balance::library::schedule::{Horizon, SCHEDULES, Schedule};
use balance::library::{Library, build};
use candle_core::{DType, Device, Tensor, Var};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parity/fixtures");

/// The tensors of a fixture, in f64.
fn fixture(name: &str) -> HashMap<String, Tensor> {
    let path = format!("{FIXTURES}/{name}.safetensors");
    let tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    let widen = |(name, tensor): (String, Tensor)| (name, tensor.to_dtype(DType::F64).unwrap());
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
