//! Spectral normalisation against PyTorch and against singular values by NumPy, and the bound that
//! encoders keep by it.

use balance::catalog::{Bound, ImageShape, Kind, Place, Value};
use balance::kernel::{Conv2d, Effort, Map, bounded, singular};
use balance::library::Library;
use balance::library::encoder::{ENCODERS, Network};
use balance::nn::{Linear, Mode};
use balance::run::Trained;
use balance::seed::Stream;
use balance::tensor::Params;
use candle_core::{DType, Device, Tensor, Var};

use crate::lab::{Act, Lab, Watch, assert_same, survive};
use crate::numeric::{check_gradients, difference, normal, values, weighted};
use crate::parity::fixture;

/// Longer than any iteration of these tests goes on.
const LONG: Effort = Effort::Settled(10_000);

fn number(tensor: &Tensor) -> f64 {
    values(tensor)[0]
}

#[test]
fn a_linear_layer_follows_pytorch_step_by_step() {
    let expected = fixture("spectral");
    let of = |name: &str| &expected[&format!("linear/{name}")];
    let weight = Var::from_tensor(of("start")).unwrap();
    let mut right = of("right").clone();
    for step in 0..of("output").dim(0).unwrap() {
        let found = singular(&weight, Map::Matrix, &right, Effort::Times(1)).unwrap();
        right = found.right;
        let scaled = bounded(&weight, &found.slope, 1.0).unwrap();
        let output = of("input").matmul(&scaled.t().unwrap()).unwrap();
        let loss = (&output * of("direction")).unwrap().sum_all().unwrap();
        let gradient = loss.backward().unwrap().remove(&weight).unwrap();
        for (found, name) in [(&output, "output"), (&gradient, "gradient"), (&right, "rights")] {
            let deviation = difference(found, &of(name).get(step).unwrap());
            assert!(deviation < 1e-12, "{name} of step {step}: {deviation:e}");
        }
        weight.set(&(weight.as_tensor() - (gradient * 0.1).unwrap()).unwrap().detach()).unwrap();
    }
}

#[test]
fn the_norm_of_a_convolution_is_that_of_its_matrix() {
    let expected = fixture("spectral");
    for case in 0..5 {
        let of = |name: &str| &expected[&format!("conv{case}/{name}")];
        let sizes: Vec<usize> = values(of("sizes")).iter().map(|size| *size as usize).collect();
        let [_, channels, _, height, width, stride, padding] = sizes[..] else { unreachable!() };
        let map = Map::Convolution { conv: Conv2d { stride, padding }, size: [height, width] };
        let start = normal("start", &[height, width, channels]);
        let found = singular(of("weight"), map, &start, LONG).unwrap().value;
        let norm = number(of("norm"));
        assert!((found / norm - 1.0).abs() < 1e-9, "case {case}: {found}, {norm} by NumPy");
        // A kernel as one matrix, which is often taken instead, says something else.
        let flat = of("weight").flatten(0, 2).unwrap();
        let start = normal("flat", &[flat.dim(1).unwrap()]);
        let flat = singular(&flat, Map::Matrix, &start, LONG).unwrap().value;
        assert!(sizes[0] == 1 || (flat / norm - 1.0).abs() > 0.05, "case {case}: {flat}, {norm}");
    }
}

#[test]
fn an_estimate_grows_towards_the_norm_and_never_beyond() {
    let weight = normal("weight", &[40, 30]);
    let norm = singular(&weight, Map::Matrix, &normal("v", &[30]), LONG).unwrap().value;
    let mut last = 0.0;
    for times in 1..30 {
        let right = normal("other", &[30]);
        let found = singular(&weight, Map::Matrix, &right, Effort::Times(times)).unwrap().value;
        assert!(found >= last && found <= norm * (1.0 + 1e-12), "{times}: {found}, {norm}");
        last = found;
    }
    assert!(last > 0.99 * norm);
}

#[test]
fn the_gradient_is_that_of_the_weight_over_its_norm() {
    let (matrix, right) = (normal("w", &[4, 6]), normal("v", &[6]));
    check_gradients(&[matrix], |t| {
        let found = singular(&t[0], Map::Matrix, &right, LONG)?;
        bounded(&t[0], &found.slope, 0.7)
    });
    let (kernel, right) = (normal("k", &[3, 3, 2, 3]), normal("x", &[5, 4, 2]));
    for conv in [Conv2d { stride: 1, padding: 1 }, Conv2d { stride: 2, padding: 1 }] {
        check_gradients(std::slice::from_ref(&kernel), |t| {
            let map = Map::Convolution { conv, size: [5, 4] };
            let found = singular(&t[0], map, &right, LONG)?;
            bounded(&t[0], &found.slope, 1.3)
        });
    }
}

#[test]
fn a_weight_of_zeros_stays_one() {
    let weight = Var::zeros((3, 4), DType::F64, &Device::Cpu).unwrap();
    let found = singular(&weight, Map::Matrix, &normal("v", &[4]), LONG).unwrap();
    assert_eq!(found.value, 0.0);
    let scaled = bounded(&weight, &found.slope, 2.0).unwrap();
    assert_eq!(values(&scaled), [0.0; 12]);
    let grads = weighted(&scaled).unwrap().backward().unwrap();
    assert!(values(grads.get(&weight).unwrap()).iter().all(|it| it.is_finite()));
    let mismatch = singular(&weight, Map::Matrix, &normal("v", &[5]), LONG).unwrap_err();
    assert!(mismatch.to_string().contains("a vector of 5 elements"), "{mismatch}");
}

#[test]
fn training_moves_the_vector_by_one_iteration_and_evaluation_does_not() {
    let params = Params::new(Stream::new(3), DType::F64, Device::Cpu);
    let scope = params.root().pp("layer");
    let layer = Linear::new(&scope, 9, 7).unwrap();
    let spectral = layer.spectral(&scope, 1.0).unwrap();
    let vector = || values(&params.state().unwrap()["layer.right"]);
    let (x, start) = (normal("x", &[2, 9]), vector());
    let run = |mode: &Mode| layer.constrained(&spectral, mode).unwrap().forward(&x).unwrap();
    let (one, other) = (run(&Mode::Eval), run(&Mode::Eval));
    assert_eq!((values(&one), vector()), (values(&other), start.clone()));
    run(&Mode::Train(Stream::new(0)));
    assert_ne!(vector(), start);
    // Drawn from its address, whatever else there is.
    let again = Params::new(Stream::new(3), DType::F64, Device::Cpu);
    Linear::new(&again.root().pp("other"), 5, 5).unwrap();
    let scope = again.root().pp("layer");
    Linear::new(&scope, 9, 7).unwrap().spectral(&scope, 1.0).unwrap();
    assert_eq!(values(&again.state().unwrap()["layer.right"]), start);
}

const IMAGE: ImageShape = ImageShape { height: 8, width: 8, channels: 1 };

/// A constrained encoder, its bound as declared, and its network.
fn encoder(name: &str, args: &[(&str, Value)]) -> (f64, Params, Box<dyn Network>) {
    let spec = Library::standard().catalog().find(Kind::Encoder, name).unwrap();
    let bound = args
        .iter()
        .fold(Bound::defaults(spec), |bound, (name, value)| bound.with(name, value.clone()));
    let declared = bound.network(&Place::of_encoder(IMAGE)).unwrap().lipschitz().unwrap();
    let params = Params::new(Stream::new(1), DType::F64, Device::Cpu);
    let entry = ENCODERS.iter().find(|entry| entry.spec.name == name).unwrap();
    let network = (entry.build)(&bound).build(IMAGE, &params.root()).unwrap();
    (declared, params, network)
}

/// Every encoder that keeps a bound, with arguments that make it deep and small.
fn constrained() -> Vec<(&'static str, Vec<(&'static str, Value)>)> {
    let widths = |widths: &[i64]| Value::List(widths.iter().map(|it| Value::Int(*it)).collect());
    let mlp = |list: &[i64]| vec![("widths", widths(list)), ("out", Value::Int(5))];
    let cnn = |list: &[i64]| [&mlp(list)[..], &[("norm", Value::None)]].concat();
    vec![
        ("mlp", mlp(&[])),
        ("mlp", mlp(&[20, 11])),
        ("mlp", mlp(&[40, 40, 40])),
        ("cnn", cnn(&[6])),
        ("cnn", cnn(&[4, 8, 4, 3])),
    ]
}

/// The length of each row.
fn lengths(rows: &Tensor) -> Vec<f64> {
    let squares = rows.flatten_from(1).unwrap().sqr().unwrap().sum(1).unwrap();
    values(&squares.sqrt().unwrap())
}

/// The largest stretch of `network` around `images`, by ascent along the derivative.
fn steepest(network: &dyn Network, images: &Tensor) -> f64 {
    let embed = |x: &Tensor| network.forward(x, &Mode::Eval).unwrap();
    let mut direction = normal("direction", images.dims());
    let mut most: f64 = 0.0;
    for _ in 0..30 {
        let lengths_of = Tensor::new(lengths(&direction), &Device::Cpu).unwrap();
        let lengths_of = lengths_of.reshape(((), 1, 1, 1)).unwrap();
        let step = (direction.broadcast_div(&lengths_of).unwrap() * 1e-4).unwrap();
        let change = (embed(&(images + &step).unwrap()) - embed(images)).unwrap().detach();
        let ratios = lengths(&change).into_iter().zip(lengths(&step));
        most = ratios.map(|(out, to)| out / to).fold(most, f64::max);
        let at = Var::from_tensor(images).unwrap();
        let along = (embed(at.as_tensor()) * change).unwrap().sum_all().unwrap();
        direction = along.backward().unwrap().remove(&at).unwrap();
    }
    most
}

#[test]
fn no_pair_of_images_is_carried_further_apart_than_the_bound() {
    for (name, args) in constrained() {
        for limit in [0.5, 1.0, 3.0] {
            let args = [&args[..], &[("lipschitz", Value::Real(limit))]].concat();
            let (declared, params, network) = encoder(name, &args);
            assert!((declared / limit - 1.0).abs() < 1e-12, "{name}: {declared}");
            // Weights far from those of the start, as training might leave them.
            for (at, (_, var)) in params.vars().iter().enumerate() {
                var.set(&normal(&format!("{name} {at}"), var.dims())).unwrap();
            }
            let images = normal("images", &[16, 8, 8, 1]);
            let found = steepest(&*network, &images);
            assert!(found <= limit * (1.0 + 1e-6), "{name} {args:?}: {found} of {limit}");
            let is_linear = args[0].1 == Value::List(Vec::new());
            assert!(!is_linear || found > 0.999 * limit, "{name}: only {found} of {limit}");
        }
    }
}

/// Two trainings that keep a bound, stopped at will.
const TEXT: &str = r#"
edition 1

experiment constrained {
  data = digits(labels=coarse, val=10%, test=25%, train=160 samples)
  views = 2
  augment { turn = rotation(degrees=15); norm = normalize() }
  train { optimizer = adamw(lr=3e-3); batch = 48; for = 6 epochs; keep = best(val.class.accuracy) }
  encoder = mlp(widths=[32, 16], out=8, lipschitz=0.8)
  loss {
    cnce = class_infonce()
    class = cross_entropy()
    mse = class_autoencoder(decoder=mlp_decoder(widths=[16]), condition=per_class)
  }
  eval { near = knn(labels=fine) }
}
"#;

#[test]
fn a_trained_encoder_says_how_far_it_stretches() {
    let lab = Lab::new();
    lab.complete(TEXT);
    let result = std::fs::read(lab.stage("main").join("result.json")).unwrap();
    let stretch = serde_json::from_slice::<Trained>(&result).unwrap().stretch.unwrap();
    assert!((stretch.bound - 0.8).abs() < 1e-12, "{stretch:?}");
    assert!(stretch.observed > 0.05 && stretch.observed <= 0.8 * 1.001, "{stretch:?}");
}

#[test]
fn a_constrained_training_that_was_interrupted_ends_with_the_same_bytes() {
    let whole = Lab::new();
    whole.complete(TEXT);
    for act in [Act::Stop, Act::Die] {
        let lab = Lab::new();
        let plan = lab.plan(TEXT);
        for step in [3, 11] {
            survive(|| lab.run(&plan, &mut Watch::at_step(step, act)));
        }
        lab.complete(TEXT);
        assert_same(&whole.contents(), &lab.contents());
    }
}

#[test]
fn what_has_no_bound_declares_none() {
    for name in ["vit", "resnet", "wide_resnet"] {
        let spec = Library::standard().catalog().find(Kind::Encoder, name).unwrap();
        let network = Bound::defaults(spec).network(&Place::of_encoder(IMAGE)).unwrap();
        assert_eq!(network.lipschitz(), None, "{name}");
        assert!(spec.unbounded.is_some() && spec.param("lipschitz").is_none(), "{name}");
    }
}
