//! Laws of every optimizer and schedule.

use balance::catalog::{Bound, Duration, DurationUnit, Entry, Kind, Port, Value};
use balance::library::optimizer::{OPTIMIZERS, Optimizer, Stepper, adamw};
use balance::library::schedule::{Horizon, SCHEDULES};
use balance::library::{Library, build};
use balance::seed::Stream;
use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};

/// Long enough to be cut into several chunks.
const LONG: usize = 40_001;

/// Those that take steps.
fn stepping() -> impl Iterator<Item = &'static Entry<dyn Optimizer>> {
    OPTIMIZERS.iter().copied().filter(|entry| !entry.spec.needs.contains(&Port::Split))
}

fn made(entry: &'static Entry<dyn Optimizer>) -> Box<dyn Optimizer> {
    (entry.build)(&Bound::defaults(&entry.spec).with("lr", Value::Real(0.1)))
}

fn drawn(purpose: &str, len: usize, dtype: DType) -> Tensor {
    let mut stream = Stream::new(1).named(purpose);
    let values: Vec<f64> = (0..len).map(|_| stream.normal()).collect();
    Tensor::from_vec(values, len, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

fn vars(dtype: DType) -> Vec<(String, Var)> {
    let var =
        |name: &str, len| (name.to_owned(), Var::from_tensor(&drawn(name, len, dtype)).unwrap());
    vec![var("long", LONG), var("short", 3)]
}

/// The gradients of step `step`; without `short` when it is to be left out.
fn grads(vars: &[(String, Var)], step: usize) -> GradStore {
    let term = |(name, var): &(String, Var)| {
        let grad = drawn(&format!("{name} {step}"), var.elem_count(), var.dtype());
        (var.as_tensor() * grad).unwrap().sum_all().unwrap()
    };
    let loss = vars.iter().map(term).reduce(|a, b| (a + b).unwrap()).unwrap();
    loss.backward().unwrap()
}

fn run(stepper: &mut dyn Stepper, vars: &[(String, Var)], steps: std::ops::Range<usize>) {
    for step in steps {
        stepper.step(&grads(vars, step), 0.1).unwrap();
    }
}

fn bits(vars: &[(String, Var)]) -> Vec<u64> {
    let values = |(_, var): &(String, Var)| {
        var.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap().into_iter().map(f64::to_bits)
    };
    vars.iter().flat_map(values).collect()
}

#[test]
fn a_stopped_run_goes_on_to_the_same_bits() {
    for entry in stepping() {
        for dtype in [DType::F32, DType::F64] {
            let whole = vars(dtype);
            run(&mut *made(entry).start(whole.clone()).unwrap(), &whole, 0..6);

            let first = vars(dtype);
            let mut stepper = made(entry).start(first.clone()).unwrap();
            run(&mut *stepper, &first, 0..3);
            let state = stepper.state().unwrap();
            let second: Vec<_> = first
                .iter()
                .map(|(name, var)| (name.clone(), Var::from_tensor(&var.copy().unwrap()).unwrap()))
                .collect();
            let mut stepper = made(entry).start(second.clone()).unwrap();
            stepper.restore(&state).unwrap();
            run(&mut *stepper, &second, 3..6);
            assert_eq!(bits(&whole), bits(&second), "{} in {dtype:?}", entry.spec.name);
        }
    }
}

#[test]
fn threads_do_not_change_the_bits() {
    for entry in stepping() {
        let [one, four] = [1, 4].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let vars = vars(DType::F32);
                run(&mut *made(entry).start(vars.clone()).unwrap(), &vars, 0..3);
                bits(&vars)
            })
        });
        assert_eq!(one, four, "{}", entry.spec.name);
    }
}

#[test]
fn a_variable_without_gradient_is_named_and_nothing_moves() {
    for entry in stepping() {
        let vars = vars(DType::F32);
        let before = bits(&vars);
        let mut stepper = made(entry).start(vars.clone()).unwrap();
        let error = stepper.step(&grads(&vars[..1], 0), 0.1).unwrap_err().to_string();
        assert!(error.contains("no gradient reaches `short`"), "{error}");
        assert_eq!(before, bits(&vars));
    }
}

#[test]
fn a_state_of_other_variables_is_refused() {
    for entry in stepping() {
        let all = vars(DType::F32);
        let state = made(entry).start(all[..1].to_vec()).unwrap().state().unwrap();
        let error = made(entry).start(all).unwrap().restore(&state).unwrap_err().to_string();
        assert!(error.contains("`short."), "{error}");
    }
}

#[test]
fn the_gradient_need_not_be_contiguous() {
    for entry in stepping() {
        let start = drawn("matrix", 6, DType::F64).reshape((2, 3)).unwrap();
        let ways: [fn(&Tensor) -> Tensor; 2] =
            [|x| x.t().unwrap(), |x| x.t().unwrap().contiguous().unwrap()];
        let [a, b] = ways.map(|transposed| {
            let var = Var::from_tensor(&start).unwrap();
            let factor = drawn("factor", 6, DType::F64).reshape((3, 2)).unwrap();
            let loss = (transposed(&var) * factor).unwrap().sum_all().unwrap();
            let named = vec![("matrix".to_owned(), var.clone())];
            made(entry).start(named).unwrap().step(&loss.backward().unwrap(), 0.1).unwrap();
            var.to_vec2::<f64>().unwrap()
        });
        assert_eq!(a, b);
        assert_ne!(a, start.to_vec2::<f64>().unwrap());
    }
}

/// LARS of You et al., 2017, variable by variable in plain loops.
#[test]
fn lars_is_the_loop_of_its_paper() {
    let (trust, decay, momentum, rate) = (0.02, 0.3, 0.9, 0.5);
    let lars = OPTIMIZERS.iter().find(|it| it.spec.name == "lars").unwrap();
    let bound = Bound::defaults(&lars.spec)
        .with("lr", Value::Real(rate))
        .with("trust", Value::Real(trust))
        .with("weight_decay", Value::Real(decay))
        .with("momentum", Value::Real(momentum));
    let shapes: [(&str, &[usize]); 3] = [("bias", &[5]), ("matrix", &[4, 3]), ("zero", &[2, 2])];
    let start = |name: &str, shape: &[usize]| {
        let count = shape.iter().product();
        let values = drawn(name, count, DType::F64).reshape(shape).unwrap();
        if name == "zero" { values.zeros_like().unwrap() } else { values }
    };
    let vars: Vec<(String, Var)> = shapes
        .iter()
        .map(|(name, shape)| ((*name).to_owned(), Var::from_tensor(&start(name, shape)).unwrap()))
        .collect();
    let grad = |name: &str, step: usize, count| {
        drawn(&format!("{name} {step}"), count, DType::F64).to_vec1::<f64>().unwrap()
    };
    let mut stepper = build(OPTIMIZERS, &bound).start(vars.clone()).unwrap();
    for step in 0..4 {
        let term = |(name, var): &(String, Var)| {
            let slope = grad(name, step, var.elem_count());
            let slope = Tensor::from_vec(slope, var.shape(), &Device::Cpu).unwrap();
            (var.as_tensor() * slope).unwrap().sum_all().unwrap()
        };
        let loss = vars.iter().map(term).reduce(|a, b| (a + b).unwrap()).unwrap();
        stepper.step(&loss.backward().unwrap(), rate).unwrap();
    }
    let length = |values: &[f64]| values.iter().map(|it| it * it).sum::<f64>().sqrt();
    for ((name, shape), (_, var)) in shapes.iter().zip(&vars) {
        let mut values = start(name, shape).flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let mut velocity = vec![0.0; values.len()];
        for step in 0..4 {
            let slope = grad(name, step, values.len());
            let whole = length(&slope) + decay * length(&values);
            let is_vector = shape.len() == 1;
            let local = match length(&values) {
                _ if is_vector => 1.0,
                0.0 => 1.0,
                size => trust * size / whole,
            };
            let decay = if is_vector { 0.0 } else { decay };
            for ((value, velocity), slope) in values.iter_mut().zip(&mut velocity).zip(slope) {
                *velocity = momentum * *velocity + local * (slope + decay * *value);
                *value -= rate * *velocity;
            }
        }
        let found = var.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        for (found, expected) in found.iter().zip(values) {
            assert!((found - expected).abs() < 1e-12, "{name}: {found} is not {expected}");
        }
    }
}

#[test]
fn the_default_of_other_components_is_an_optimizer() {
    assert_eq!(build(OPTIMIZERS, &adamw(3e-4)).learning_rate(), 3e-4);
}

fn cosine(args: &[(&str, Value)]) -> impl Fn(usize) -> f64 + use<> {
    let spec = Library::standard().catalog().find(Kind::Schedule, "cosine").unwrap();
    let bound = args
        .iter()
        .fold(Bound::defaults(spec), |bound, (name, value)| bound.with(name, value.clone()));
    let schedule = build(SCHEDULES, &bound);
    let horizon = Horizon { steps: 100, steps_per_epoch: 10, batch: 8 };
    move |step| schedule.factor(step, &horizon)
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-12
}

#[test]
fn every_schedule_is_finite_for_every_horizon() {
    for entry in SCHEDULES {
        let mut bound = Bound::defaults(&entry.spec);
        if entry.spec.name == "step" {
            bound = bound.with("at", Value::List(vec![Value::Duration(Duration::epochs(2.0))]));
        }
        let schedule = (entry.build)(&bound);
        for steps in 1..20 {
            let horizon = Horizon { steps, steps_per_epoch: 3, batch: 8 };
            for step in 0..steps {
                let factor = schedule.factor(step, &horizon);
                assert!((0.0..=1.0).contains(&factor), "{}: {factor}", entry.spec.name);
            }
        }
    }
}

#[test]
fn a_warm_up_rises_evenly_to_the_cosine() {
    for (amount, unit) in
        [(1.0, DurationUnit::Epochs), (10.0, DurationUnit::Steps), (80.0, DurationUnit::Samples)]
    {
        let factor = cosine(&[("warmup", Value::Duration(Duration { amount, unit }))]);
        assert!(near(factor(0), 1.0 / 11.0) && near(factor(9), 10.0 / 11.0));
        assert!(near(factor(10), 1.0) && near(factor(55), 0.5));
    }
    let all = cosine(&[("warmup", Value::Duration(Duration::epochs(20.0)))]);
    assert!(near(all(99), 100.0 / 201.0));
}

#[test]
fn a_cosine_ends_at_its_floor() {
    let factor = cosine(&[("to", Value::Real(0.2))]);
    assert!(near(factor(0), 1.0) && near(factor(50), 0.6) && factor(99) < 0.2003);
}

#[test]
fn restarts_divide_the_horizon_and_a_period_repeats() {
    let restarted = cosine(&[("restarts", Value::Int(3))]);
    let periodic = cosine(&[("period", Value::Duration(Duration::epochs(2.5)))]);
    for step in 0..100 {
        let expected = (1.0 + (std::f64::consts::PI * (step % 25) as f64 / 25.0).cos()) / 2.0;
        assert!(near(restarted(step), expected) && near(periodic(step), expected), "{step}");
    }
    let wave = cosine(&[("wave", Value::Bool(true)), ("restarts", Value::Int(1))]);
    assert!(near(wave(25), 0.0) && near(wave(50), 1.0) && near(wave(75), 0.0));
    let nothing = cosine(&[("period", Value::Duration(Duration::epochs(0.0)))]);
    assert!(near(nothing(7), 1.0));
}

/// The closed form of PyTorch's `CosineAnnealingLR`, as a factor on the base rate.
fn annealed(epoch: f64, t_max: f64, to: f64) -> f64 {
    to + (1.0 - to) * (1.0 + (std::f64::consts::PI * epoch / t_max).cos()) / 2.0
}

/// Steps per epoch are 10, so that each tenth step is one at which PyTorch sets the rate.
#[test]
fn at_epochs_a_cosine_is_cosine_annealing() {
    let to = ("to", Value::Real(0.1));
    let whole = cosine(std::slice::from_ref(&to));
    let early = cosine(&[to.clone(), ("until", Value::Duration(Duration::epochs(4.0)))]);
    for epoch in 0..10 {
        let at = f64::from(epoch as u32);
        assert!(near(whole(10 * epoch), annealed(at, 10.0, 0.1)), "{epoch}");
        assert!(near(early(10 * epoch), annealed(at, 4.0, 0.1)), "{epoch}");
    }
    assert!(near(early(80), 1.0), "with T_max 4 it is up again in epoch 8");
}

/// `CosineAnnealingWarmRestarts(T_0=5)`, whose rate depends on the epochs since the last restart.
#[test]
fn at_epochs_restarts_are_warm_restarts() {
    let until = ("until", Value::Duration(Duration::epochs(5.0)));
    let by_count = cosine(&[("restarts", Value::Int(1))]);
    let by_period = cosine(&[("period", Value::Duration(Duration::epochs(5.0)))]);
    let repeated = cosine(&[("restarts", Value::Int(1)), until]);
    for epoch in 0..10 {
        let since = f64::from((epoch % 5) as u32);
        assert!(near(by_count(10 * epoch), annealed(since, 5.0, 0.0)), "{epoch}");
        assert!(near(by_period(10 * epoch), annealed(since, 5.0, 0.0)), "{epoch}");
        let since = f64::from((10 * epoch % 25) as u32) / 10.0;
        assert!(near(repeated(10 * epoch), annealed(since, 2.5, 0.0)), "{epoch}");
    }
}

/// The released curve: `T_max` 100 of 600 epochs (here 1/60 of it), down and up three times.
#[test]
fn a_wave_is_the_released_curve() {
    let wave = ("wave", Value::Bool(true));
    let released = cosine(&[wave, ("period", Value::Duration(Duration::epochs(10.0 / 3.0)))]);
    // One third of 100 steps is rounded up to 34.
    for step in 0..100 {
        assert!(near(released(step), annealed((step % 34) as f64, 17.0, 0.0)), "{step}");
    }
}
