//! Our layers against candle's own, where candle's are right: an oracle by other hands.

use balance::kernel;
use balance::nn::{BatchNorm, LayerNorm, Linear, Mode};
use balance::seed::Stream;
use balance::tensor::{Params, Scope};
use candle_core::{D, DType, Device, Tensor};
use candle_nn::{Module, ModuleT};

use crate::numeric::{difference, normal};

fn scope() -> Scope {
    Params::new(Stream::new(3), DType::F64, Device::Cpu).root()
}

fn var(scope: &Scope, name: &str, shape: &[usize]) -> Tensor {
    scope.var(name, shape, balance::tensor::Init::Const(0.0)).unwrap()
}

#[test]
fn linear_agrees() {
    let (scope, x) = (scope(), normal("x", &[7, 5]));
    let ours = Linear::new(&scope, 5, 3).unwrap().forward(&x).unwrap();
    let (weight, bias) = (var(&scope, "weight", &[3, 5]), var(&scope, "bias", &[3]));
    let theirs = candle_nn::Linear::new(weight, Some(bias)).forward(&x).unwrap();
    assert!(difference(&ours, &theirs) < 1e-12);
}

#[test]
fn layer_norm_agrees() {
    let (scope, x) = (scope(), normal("x", &[4, 6, 8]));
    let ours = LayerNorm::new(&scope, 8, 1e-5).unwrap().forward(&x).unwrap();
    let (weight, bias) = (var(&scope, "weight", &[8]), var(&scope, "bias", &[8]));
    let theirs = candle_nn::ops::layer_norm_slow(&x, &weight, &bias, 1e-5).unwrap();
    assert!(difference(&ours, &theirs) < 1e-12);
}

#[test]
fn batch_norm_agrees_in_training() {
    let (scope, x) = (scope(), normal("x", &[4, 3, 3, 5]));
    let ours = BatchNorm::new(&scope, 5).unwrap();
    let mode = Mode::Train(Stream::new(1));
    let ours = ours.forward(&x, None, false, &mode).unwrap();
    let (weight, bias) = (var(&scope, "weight", &[5]), var(&scope, "bias", &[5]));
    let (zeros, ones) = (bias.zeros_like().unwrap(), weight.ones_like().unwrap());
    let theirs = candle_nn::BatchNorm::new(5, zeros, ones, weight, bias, 1e-5).unwrap();
    let channels_first = x.permute((0, 3, 1, 2)).unwrap().contiguous().unwrap();
    let theirs = theirs.forward_t(&channels_first, true).unwrap();
    let theirs = theirs.permute((0, 2, 3, 1)).unwrap();
    assert!(difference(&ours, &theirs) < 1e-10);
}

#[test]
fn cross_entropy_agrees() {
    let (logits, labels) = (normal("logits", &[6, 4]), [0u32, 3, 1, 1, 2, 0]);
    let ours = kernel::cross_entropy(&logits, &labels, 0.0).unwrap();
    let log_p = candle_nn::ops::log_softmax(&logits, D::Minus1).unwrap();
    let target = Tensor::new(&labels, &Device::Cpu).unwrap();
    let theirs = candle_nn::loss::nll(&log_p, &target).unwrap();
    assert!(difference(&ours, &theirs) < 1e-12);
}
