//! Layers: names, initialisation, modes, running statistics.

use balance::kernel;
use balance::nn::{BatchNorm, Conv2d, DropPath, Dropout, LayerNorm, Linear, Mode, keep_factors};
use balance::seed::Stream;
use balance::tensor::Params;
use candle_core::{DType, Device, Tensor};

use crate::numeric::{check_gradients, difference, normal, values};

fn params() -> Params {
    Params::new(Stream::new(1), DType::F64, Device::Cpu)
}

fn train() -> Mode {
    Mode::Train(Stream::new(2))
}

fn names(params: &Params) -> Vec<String> {
    params.vars().into_iter().map(|(name, _)| name).collect()
}

#[test]
fn linear_and_conv_start_within_one_over_the_root_of_the_fan_in() {
    let params = params();
    Linear::new(&params.root().pp("fc"), 16, 100).unwrap();
    let conv = kernel::Conv2d { stride: 1, padding: 1 };
    let scope = params.root().pp("conv");
    Conv2d::new(&scope, [4, 50], 3, conv).unwrap().with_bias(&scope).unwrap();
    assert_eq!(names(&params), ["conv.bias", "conv.weight", "fc.bias", "fc.weight"]);
    for (name, var) in params.vars() {
        let bound = if name.starts_with("fc") { 0.25 } else { 1.0 / 6.0 };
        let largest = values(&var).iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        assert!(largest <= bound && largest > 0.8 * bound, "{name}: {largest}");
    }
}

#[test]
fn a_bias_is_added_to_each_filter() {
    let params = params();
    let conv = kernel::Conv2d { stride: 2, padding: 0 };
    let plain = Conv2d::new(&params.root(), [3, 4], 2, conv).unwrap();
    let biased = plain.clone().with_bias(&params.root()).unwrap();
    let x = normal("x", &[2, 4, 4, 3]);
    let bias = params.root().var("bias", 4, balance::tensor::Init::Const(0.0)).unwrap();
    let expected = plain.forward(&x).unwrap().broadcast_add(&bias).unwrap();
    assert!(difference(&biased.forward(&x).unwrap(), &expected) < 1e-14);
    let grads = biased.forward(&x).unwrap().sum_all().unwrap().backward().unwrap();
    assert!(params.without_gradient(&grads).is_empty());
}

#[test]
fn batch_norm_records_as_pytorch_does() {
    let params = params();
    let norm = BatchNorm::new(&params.root(), 2).unwrap();
    let x = Tensor::new(&[[1.0, 10.0], [3.0, 10.0], [8.0, 13.0]], &Device::Cpu).unwrap();
    norm.forward(&x, None, false, &train()).unwrap();
    let state = params.state().unwrap();
    let close = |name: &str, expected: [f64; 2]| {
        let found = values(&state[name]);
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
    };
    close("running_mean", [0.4, 1.1]);
    close("running_var", [0.9 + 0.1 * 13.0, 0.9 + 0.1 * 3.0]);
    let one = x.narrow(0, 0, 1).unwrap();
    assert!(norm.forward(&one, None, false, &train()).is_err());
}

#[test]
fn batch_norm_in_evaluation_uses_and_keeps_what_was_recorded() {
    let params = params();
    let norm = BatchNorm::new(&params.root(), 3).unwrap();
    norm.forward(&normal("a", &[9, 3]), None, false, &train()).unwrap();
    let before = params.state().unwrap();
    let (mean, var) = (values(&before["running_mean"]), values(&before["running_var"]));
    let x = normal("b", &[1, 3]);
    for mode in [Mode::Eval, Mode::Drop(Stream::new(0))] {
        let y = values(&norm.forward(&x, None, false, &mode).unwrap());
        for (c, x) in values(&x).iter().enumerate() {
            assert!((y[c] - (x - mean[c]) / (var[c] + 1e-5).sqrt()).abs() < 1e-12);
        }
    }
    assert_eq!(values(&params.state().unwrap()["running_mean"]), mean);
}

#[test]
fn pixels_are_normalised_before_they_are_repeated_as_after() {
    for mode in [train(), Mode::Eval] {
        let params = params();
        let (before, after) = (params.root().pp("before"), params.root().pp("after"));
        let x = normal("x", &[2, 3, 2, 4]);
        let larger = |x: &Tensor| kernel::upsample_nearest(x, 6, 6).unwrap();
        let first = BatchNorm::new(&before, 4).unwrap().forward_repeated(&x, 6, &mode).unwrap();
        let norm = BatchNorm::new(&after, 4).unwrap();
        let then = norm.forward(&larger(&x), None, false, &mode).unwrap();
        assert!(difference(&larger(&first), &then) < 1e-12);
        let state = params.state().unwrap();
        for name in ["running_mean", "running_var"] {
            let of = |norm: &str| &state[&format!("{norm}.{name}")];
            assert!(difference(of("before"), of("after")) < 1e-12, "{name}");
        }
    }
}

#[test]
fn batch_norm_trains_in_both_modes() {
    for mode in [train(), Mode::Eval] {
        let x = [normal("x", &[5, 3]), normal("residual", &[5, 3])];
        let params = params();
        let norm = BatchNorm::new(&params.root(), 3).unwrap();
        let y = norm.forward(&x[0], Some(&x[1]), true, &mode).unwrap();
        let grads = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        assert!(params.without_gradient(&grads).is_empty());
        check_gradients(&x, |t| norm.forward(&t[0], Some(&t[1]), true, &mode));
        if matches!(mode, Mode::Eval) {
            check_scale_gradient(&x[0]);
        }
    }
}

/// The gradient of the scale through known statistics is `Σ dy x̂`.
fn check_scale_gradient(x: &Tensor) {
    let params = params();
    let norm = BatchNorm::new(&params.root(), 3).unwrap();
    let y = norm.forward(x, None, false, &Mode::Eval).unwrap();
    let grads = y.sum_all().unwrap().backward().unwrap();
    let (_, weight) = &params.vars()[1];
    let expected = (x.sum(0).unwrap() / (1.0f64 + 1e-5).sqrt()).unwrap();
    assert!(difference(grads.get(weight).unwrap(), &expected) < 1e-12);
}

#[test]
fn layer_norm_standardizes_rows() {
    let norm = LayerNorm::new(&params().root(), 50, 1e-5).unwrap();
    let y = norm.forward(&normal("x", &[3, 50]).affine(4.0, 9.0).unwrap()).unwrap();
    for row in values(&y).chunks(50) {
        assert!((row.iter().sum::<f64>() / 50.0).abs() < 1e-12);
        assert!((row.iter().map(|x| x * x).sum::<f64>() / 50.0 - 1.0).abs() < 1e-5);
    }
}

#[test]
fn dropout_drops_by_path_and_step_and_not_in_evaluation() {
    let (x, root) = (normal("x", &[100, 400]), params().root());
    let (one, two) = (Dropout::new(&root.pp("a"), 0.25), Dropout::new(&root.pp("b"), 0.25));
    let y = one.forward(&x, &train()).unwrap();
    let dropped = values(&y).iter().filter(|y| **y == 0.0).count() as f64 / 40_000.0;
    assert!((dropped - 0.25).abs() < 0.01, "{dropped}");
    for (x, y) in values(&x).iter().zip(values(&y)) {
        assert!(y == 0.0 || (y - x / 0.75).abs() < 1e-6);
    }
    assert_eq!(values(&y), values(&one.forward(&x, &train()).unwrap()));
    assert_ne!(values(&y), values(&two.forward(&x, &train()).unwrap()));
    assert_ne!(values(&y), values(&one.forward(&x, &Mode::Train(Stream::new(3))).unwrap()));
    assert_eq!(values(&x), values(&one.forward(&x, &Mode::Eval).unwrap()));
    check_gradients(&[normal("x", &[4, 5])], |t| one.forward(&t[0], &train()));
}

#[test]
fn drop_path_drops_whole_samples() {
    let x = normal("x", &[200, 2, 3]);
    let y = DropPath::new(&params().root(), 0.5).forward(&x, &train()).unwrap();
    let mut dropped = 0;
    for (x, y) in values(&x).chunks(6).zip(values(&y).chunks(6)) {
        let zeros = y.iter().filter(|y| **y == 0.0).count();
        assert!(zeros == 6 || x.iter().zip(y).all(|(x, y)| *y == 2.0 * x));
        dropped += zeros / 6;
    }
    assert!((70..130).contains(&dropped), "{dropped}");
}

#[test]
fn factors_are_absent_where_nothing_is_dropped() {
    let factors =
        |mode: &Mode, p| keep_factors((mode, "a"), p, (&[4], DType::F32), &Device::Cpu).unwrap();
    assert!(factors(&train(), 0.0).is_none() && factors(&Mode::Eval, 0.5).is_none());
    assert_eq!(values(&factors(&train(), 1.0).unwrap()), [0.0; 4]);
}
