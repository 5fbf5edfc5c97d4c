//! Variables by name: seeded, ordered, saved and restored.

use std::collections::BTreeMap;

use balance::seed::Stream;
use balance::tensor::{Init, Params};
use candle_core::{DType, Device, Tensor};

fn params(seed: u64) -> Params {
    Params::new(Stream::new(seed), DType::F64, Device::Cpu)
}

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn a_draw_depends_on_the_name_and_not_on_the_order() {
    let (one, two) = (params(1), params(1));
    let a = one.root().pp("block").pp(0).var("weight", (2, 3), Init::Normal { std: 1.0 }).unwrap();
    two.root().var("other", 9, Init::Uniform { bound: 1.0 }).unwrap();
    let b = two.root().pp("block").pp(0).var("weight", (2, 3), Init::Normal { std: 1.0 }).unwrap();
    assert_eq!(values(&a), values(&b));
    let c = params(2).root().var("block.0.weight", (2, 3), Init::Normal { std: 1.0 }).unwrap();
    assert_ne!(values(&a), values(&c));
}

#[test]
fn the_same_name_is_the_same_variable_of_one_shape_and_kind() {
    let params = params(1);
    let scope = params.root().pp("layer");
    let a = scope.var("weight", 4, Init::Const(0.5)).unwrap();
    assert_eq!(a.id(), scope.var("weight", 4, Init::Const(0.5)).unwrap().id());
    let error = scope.var("weight", 5, Init::Const(0.5)).unwrap_err().to_string();
    assert!(error.contains("`layer.weight` has shape [4]"), "{error}");
    assert!(scope.buffer("weight", 4, 0.0).is_err());
    assert_eq!((params.vars().len(), params.count()), (1, 4));
}

#[test]
fn draws_stay_in_their_range() {
    let root = params(3).root();
    let clamped = values(&root.var("c", 1000, Init::ClampedNormal { scale: 0.1 }).unwrap());
    assert!(clamped.iter().all(|x| x.abs() <= 0.1) && clamped.contains(&0.1));
    let uniform = values(&root.var("u", 1000, Init::Uniform { bound: 0.5 }).unwrap());
    assert!(uniform.iter().all(|x| x.abs() <= 0.5) && uniform.iter().any(|x| *x < -0.4));
}

#[test]
fn state_is_a_copy_that_can_be_restored() {
    let params = params(1);
    let weight = params.root().var("weight", 3, Init::Normal { std: 1.0 }).unwrap();
    let mean = params.root().buffer("mean", 2, 0.0).unwrap();
    let (before, state) = (values(&weight), params.state().unwrap());
    params.vars()[0].1.set(&Tensor::zeros(3, DType::F64, &Device::Cpu).unwrap()).unwrap();
    mean.set(&Tensor::ones(2, DType::F64, &Device::Cpu).unwrap()).unwrap();
    assert_eq!(values(&weight), [0.0; 3]);
    params.restore(&state).unwrap();
    assert_eq!(values(&weight), before);
    assert_eq!(values(&mean), [0.0; 2]);
    assert_eq!(params.buffers()[0].0, "mean");
}

#[test]
fn restoring_names_what_is_missing_and_changes_nothing() {
    let params = params(1);
    let weight = params.root().var("a", 3, Init::Const(1.0)).unwrap();
    params.root().var("b", 3, Init::Const(1.0)).unwrap();
    params.root().buffer("c", 2, 1.0).unwrap();
    let zeros = |n: usize| Tensor::zeros(n, DType::F64, &Device::Cpu).unwrap();
    let state = BTreeMap::from([("a".to_owned(), zeros(3)), ("b".to_owned(), zeros(4))]);
    let error = params.restore(&state).unwrap_err().to_string();
    assert!(error.contains("`b`: expected shape [3], found [4]; `c` is missing"), "{error}");
    assert_eq!(values(&weight), [1.0; 3]);
}

#[test]
fn a_variable_that_is_cut_off_is_named() {
    let params = params(1);
    let used = params.root().var("used", 3, Init::Const(1.0)).unwrap();
    params.root().var("unused", 3, Init::Const(1.0)).unwrap();
    let grads = used.sqr().unwrap().sum_all().unwrap().backward().unwrap();
    assert_eq!(params.without_gradient(&grads), ["unused"]);
}
