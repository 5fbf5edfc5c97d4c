//! The recorded backward pass against candle's.

use balance::kernel::*;
use balance::nn::{BatchNorm, Conv2d as ConvLayer, Linear, Mode};
use balance::seed::Stream;
use balance::tensor::Params;
use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Tensor};

use crate::numeric::{difference, normal, values};

fn params() -> Params {
    Params::new(Stream::new(1), DType::F64, Device::Cpu)
}

/// A net that mixes kernels with candle's operations and uses results more than once.
fn loss(params: &Params) -> Result<Tensor> {
    let root = params.root();
    let conv = |name: &str, size| {
        ConvLayer::new(&root.pp(name), size, 3, Conv2d { stride: 1, padding: 1 })
    };
    let norm = |name: &str, x: &Tensor, residual: Option<&Tensor>, relu| {
        let mode = Mode::Train(Stream::new(2));
        BatchNorm::new(&root.pp(name), 4)?.forward(x, residual, relu, &mode)
    };
    let x = conv("a", [2, 4])?.forward(&normal("x", &[3, 5, 5, 2]))?;
    let x = norm("b", &x, None, true)?;
    let doubled = (&x * 2.0)?;
    let y = norm("c", &conv("d", [4, 4])?.forward(&doubled)?, Some(&x), false)?;
    let z = norm("e", &conv("f", [4, 4])?.forward(&doubled)?, Some(&y), true)?;
    let z = ((z + &doubled)? + gelu(&y)?)?.flatten(1, 2)?.mean(1)?;
    let logits = Linear::new(&root.pp("g"), 4, 3)?.forward(&z)?;
    cross_entropy(&logits, &[0, 1, 2], 0.0)? + (y.sqr()?.mean_all()? * 0.1)?
}

fn same(params: &Params, ours: &GradStore, candles: &GradStore) {
    assert!(params.without_gradient(ours).is_empty());
    for (name, var) in params.vars() {
        let error = difference(ours.get(&var).unwrap(), candles.get(&var).unwrap());
        assert!(error < 1e-12, "{name}: {error}");
    }
}

#[test]
fn gradients_are_those_of_candle() {
    let params = params();
    let candles = loss(&params).unwrap().backward().unwrap();
    let (value, ours) = gradients(|| loss(&params)).unwrap();
    assert_eq!(values(&value), values(&loss(&params).unwrap()));
    same(&params, &ours, &candles);
}

#[test]
fn recordings_nest_and_end() {
    let params = params();
    let candles = loss(&params).unwrap().backward().unwrap();
    let (_, ours) = gradients(|| {
        gradients(|| loss(&params))?;
        loss(&params)
    })
    .unwrap();
    same(&params, &ours, &candles);
    assert!(gradients(|| candle_core::bail!("no")).is_err());
    let y = relu(&params.vars()[0].1).unwrap();
    assert!(!y.is_variable());
}

#[test]
fn a_scalar_may_depend_on_no_variable() {
    let (x, params) = (normal("x", &[3]), params());
    params.root().var("unused", 3, balance::tensor::Init::Const(0.0)).unwrap();
    let (value, grads) = gradients(|| relu(&x)?.sum_all()).unwrap();
    assert!(values(&value)[0] > 0.0 && grads.get(&x).is_none());
    assert_eq!(params.without_gradient(&grads), ["unused"]);
}

#[test]
fn a_large_tensor_used_twice_gets_both_gradients() {
    let params = params();
    let x = params.root().var("x", 40_000, balance::tensor::Init::Normal { std: 1.0 }).unwrap();
    let work = || {
        let y = relu(&x)?;
        gelu(&y)?.sum_all()? + relu(&y)?.sqr()?.sum_all()?
    };
    let candles = work().unwrap().backward().unwrap();
    same(&params, &gradients(work).unwrap().1, &candles);
}

#[test]
fn nothing_is_kept_without_gradients() {
    let params = params();
    let value = loss(&params).unwrap();
    let x = params.root().pp("g").var("bias", 3, balance::tensor::Init::Const(0.0)).unwrap();
    without_gradients(|| {
        assert!(!relu(&x).unwrap().track_op());
        assert_eq!(values(&loss(&params).unwrap()), values(&value));
        let (_, grads) = gradients(|| loss(&params)).unwrap();
        assert!(params.without_gradient(&grads).is_empty());
        assert!(!relu(&x).unwrap().track_op());
    });
    assert!(relu(&x).unwrap().track_op());
}
