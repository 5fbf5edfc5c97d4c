//! Products in bf16, asked for by `precision = bf16`.

use balance::kernel::{gradients, has_bf16, in_halves, linear};
use candle_core::{DType, Tensor, Var};

use crate::lab::{Lab, folders};
use crate::numeric::{difference, normal, values, weighted};

/// Output of a linear layer, and the gradients of its inputs.
fn layer(halves: bool, dtype: DType) -> Vec<Tensor> {
    let shapes: [&[usize]; 3] = [&[300, 257], &[290, 257], &[290]];
    let vars: Vec<Var> = shapes
        .iter()
        .map(|shape| normal(&format!("{shape:?}"), shape).to_dtype(dtype).unwrap())
        .map(|tensor| Var::from_tensor(&tensor).unwrap())
        .collect();
    let mut output = None;
    let (_, grads) = in_halves(halves, || {
        gradients(|| {
            let y = linear(&vars[0], &vars[1], Some(&vars[2]), false)?;
            output = Some(y.detach());
            weighted(&y)
        })
    })
    .unwrap();
    let gradient = |var: &Var| grads.get(var).unwrap().clone();
    output.into_iter().chain(vars.iter().map(gradient)).collect()
}

/// The length of a difference over the length of what it is from.
fn relative(a: &Tensor, b: &Tensor) -> f64 {
    let (a, b) = (values(a), values(b));
    let norm = |values: Vec<f64>| values.iter().map(|x| x * x).sum::<f64>().sqrt();
    norm(a.iter().zip(&b).map(|(a, b)| a - b).collect()) / norm(b)
}

#[test]
fn rounding_stays_where_it_belongs() {
    let (half, exact) = (layer(true, DType::F32), layer(false, DType::F64));
    // Each factor is off by up to 2^-9 of itself; over a sum of many products that is 2e-3 of it.
    for (name, (half, exact)) in ["y", "dx", "dw"].into_iter().zip(half.iter().zip(&exact)) {
        let error = relative(half, exact);
        assert!(error > 5e-4 && error < 5e-3, "{name}: {error}");
    }
    assert!(relative(&half[3], &exact[3]) < 1e-6, "a bias is added up in full precision");
    assert_eq!(half[0].dtype(), DType::F32);
}

#[test]
fn f64_is_never_rounded() {
    for (half, full) in layer(true, DType::F64).iter().zip(layer(false, DType::F64)) {
        assert_eq!(difference(half, &full), 0.0);
    }
}

#[test]
fn what_is_asked_ends_with_the_work() {
    let full = layer(false, DType::F32);
    let between = in_halves(true, || in_halves(false, || layer(false, DType::F32)));
    assert_eq!(values(&full[0]), values(&between[0]));
    assert_eq!(values(&full[0]), values(&layer(false, DType::F32)[0]));
}

const TEXT: &str = "edition 1

experiment half {
  data = digits(labels=coarse)
  encoder = mlp(widths=[64], out=32)
  loss { class = cross_entropy() }
  train { optimizer = adamw(lr=1e-2); batch = 64; for = 2 epochs }
  eval { fine = linear(labels=fine) }
  run { precision = bf16 }
}
";

#[test]
fn a_training_in_bf16_is_one_of_its_own() {
    let lab = Lab::new();
    let file = lab.file("half.exp", TEXT);
    let first = lab.say(&["run", &file]).ended(0);
    assert!(first.out.contains("1 training, 1 evaluation"), "{first:?}");
    assert_eq!(first.err.contains("does not multiply bf16"), !has_bf16(), "{first:?}");
    let again = lab.say(&["run", &file]).ended(0);
    assert!(again.out.contains("1 training (1 from the store)"), "{again:?}");
    let full = lab.say(&["run", &file, "--set", "run.precision=f32"]).ended(0);
    assert!(full.out.contains("1 training, 1 evaluation"), "{full:?}");
    assert!(!full.err.contains("bf16"), "{full:?}");
    let states: Vec<_> = folders(&lab.store().join("stages"))
        .iter()
        .map(|it| std::fs::read(it.join("checkpoint.safetensors")).unwrap())
        .collect();
    assert_eq!(states.len(), 2);
    assert_ne!(states[0], states[1]);
}
