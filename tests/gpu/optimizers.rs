//! Steps of optimizers, and the length of gradients.

use balance::catalog::{Bound, Value};
use balance::kernel::bounded_on_card;
use balance::library::build;
use balance::library::optimizer::{OPTIMIZERS, Optimizer, Stepper};
use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Tensor, Var};

use crate::beside::{card, distance, tensor};

/// Of one share and more, of a rest, of one number, and of none.
const SHAPES: [&[usize]; 6] = [&[130, 70], &[64, 64], &[3, 1], &[1], &[7], &[0, 4]];

type Vars = Vec<(String, Var)>;

fn vars(device: &Device) -> Vars {
    let var = |(at, shape): (usize, &&[usize])| {
        let values = tensor(shape, at as u64).to_device(device).unwrap();
        (format!("v{at}"), Var::from_tensor(&values).unwrap())
    };
    SHAPES.iter().enumerate().map(var).collect()
}

fn grads(vars: &Vars, step: usize) -> Result<GradStore> {
    let mut loss = None;
    for (at, (_, var)) in vars.iter().enumerate() {
        let slope = tensor(var.dims(), (100 + 10 * step + at) as u64).to_device(var.device())?;
        let term = (var.as_tensor() * slope)?.sum_all()?;
        loss = Some(loss.map_or(Ok(term.clone()), |loss: Tensor| loss + term)?);
    }
    loss.expect("there are variables").backward()
}

fn run(stepper: &mut dyn Stepper, vars: &Vars, steps: std::ops::Range<usize>) {
    for step in steps {
        stepper.step(&grads(vars, step).unwrap(), 0.1 / (1.0 + step as f64)).unwrap();
    }
}

fn values(tensor: &Tensor) -> Vec<f32> {
    let here = tensor.to_device(&Device::Cpu).unwrap().to_dtype(DType::F32).unwrap();
    here.flatten_all().unwrap().to_vec1().unwrap()
}

fn optimizers() -> Vec<(&'static str, Box<dyn Optimizer>)> {
    let made = |name: &'static str, settings: &[(&'static str, Value)]| {
        let entry = OPTIMIZERS.iter().find(|it| it.spec.name == name).unwrap();
        let bound = Bound::defaults(&entry.spec).with("lr", Value::Real(0.1));
        let with = |bound: Bound, it: &(&'static str, Value)| bound.with(it.0, it.1.clone());
        (name, build(OPTIMIZERS, &settings.iter().fold(bound, with)))
    };
    let (decay, momentum) = (("weight_decay", Value::Real(0.05)), ("momentum", Value::Real(0.9)));
    vec![
        made("adamw", &[]),
        made("adamw", std::slice::from_ref(&decay)),
        made("sgd", &[]),
        made("sgd", &[decay.clone(), momentum.clone()]),
        made("sgd", &[momentum, ("nesterov", Value::Bool(true))]),
        made("lars", &[decay]),
    ]
}

fn assert_same(name: &str, found: &Vars, expected: &Vars) {
    for ((var, found), (_, expected)) in found.iter().zip(expected) {
        let apart = distance(&values(found), &values(expected));
        assert!(apart <= 1e-6, "{name}: {var} is {apart:.2e} apart");
    }
}

#[test]
fn steps_are_those_of_the_cpu() {
    for (name, optimizer) in optimizers() {
        let (here, there) = (vars(&Device::Cpu), vars(&card()));
        run(&mut *optimizer.start(here.clone()).unwrap(), &here, 0..10);
        run(&mut *optimizer.start(there.clone()).unwrap(), &there, 0..10);
        assert_same(name, &there, &here);
    }
}

#[test]
fn a_state_goes_on_elsewhere() {
    for (name, optimizer) in optimizers() {
        let expected = vars(&Device::Cpu);
        run(&mut *optimizer.start(expected.clone()).unwrap(), &expected, 0..6);

        let first = vars(&card());
        let mut stepper = optimizer.start(first.clone()).unwrap();
        run(&mut *stepper, &first, 0..2);
        let state = stepper.state().unwrap();
        assert!(state.values().all(|it| it.device().is_cpu()));

        let second = vars(&Device::Cpu);
        for ((_, to), (_, from)) in second.iter().zip(&first) {
            to.set(&from.to_device(&Device::Cpu).unwrap()).unwrap();
        }
        let mut stepper = optimizer.start(second.clone()).unwrap();
        stepper.restore(&state).unwrap();
        run(&mut *stepper, &second, 2..4);
        let state = stepper.state().unwrap();

        for ((_, to), (_, from)) in first.iter().zip(&second) {
            to.set(&from.to_device(&card()).unwrap()).unwrap();
        }
        let mut stepper = optimizer.start(first.clone()).unwrap();
        stepper.restore(&state).unwrap();
        run(&mut *stepper, &first, 4..6);
        assert_same(name, &first, &expected);
    }
}

#[test]
fn a_variable_without_gradient_is_named() {
    for (_, optimizer) in optimizers() {
        let there = vars(&card());
        let mut stepper = optimizer.start(there.clone()).unwrap();
        let some = grads(&there[..3].to_vec(), 0).unwrap();
        let error = stepper.step(&some, 0.1).unwrap_err().to_string();
        assert!(error.contains("`v3`") && !error.contains("`v2`"), "{error}");
    }
}

#[test]
fn gradients_are_bounded_together() {
    let grads: Vec<Tensor> =
        SHAPES.iter().enumerate().map(|(at, shape)| tensor(shape, at as u64)).collect();
    let all: Vec<f32> = grads.iter().flat_map(values).collect();
    let length = all.iter().map(|it| f64::from(*it).powi(2)).sum::<f64>().sqrt();
    let there: Vec<Tensor> = grads.iter().map(|it| it.to_device(&card()).unwrap()).collect();
    for most in [1.0, 1e6] {
        let (bounded, norm) = bounded_on_card(&there, most).unwrap();
        assert!((f64::from(values(&norm)[0]) / length - 1.0).abs() < 1e-6);
        let factor = (most / (length + 1e-6)).min(1.0);
        for (found, grad) in bounded.iter().zip(&grads) {
            assert_eq!(found.dims(), grad.dims());
            let expected = values(&(grad * factor).unwrap());
            assert!(distance(&values(found), &expected) < 1e-6);
        }
    }
}
