//! Groups: the weights that GroupDRO gives them, against PyTorch and a naive loop.

use std::collections::BTreeMap;

use balance::catalog::{Bound, ImageShape, Value};
use balance::library::loss::{Activations, LOSSES, Site, Term};
use balance::library::{Library, build};
use balance::nn::Mode;
use balance::seed::Stream;
use balance::tensor::Params;
use candle_core::{DType, Device, Tensor, Var};

use crate::parity::fixture;

const IMAGE: ImageShape = ImageShape { height: 1, width: 1, channels: 1 };

/// GroupDRO over some groups, with its variables.
struct Robust {
    params: Params,
    term: Term,
    sizes: Vec<usize>,
}

impl Robust {
    fn new(
        (step, adjustment): (f64, f64),
        (dim, classes): (usize, usize),
        sizes: &[usize],
    ) -> Self {
        let entry = LOSSES.iter().find(|it| it.spec.name == "group_dro").expect("registered");
        let bound = Bound::defaults(&entry.spec)
            .with("step", Value::Real(step))
            .with("adjustment", Value::Real(adjustment));
        let params = Params::new(Stream::new(5), DType::F64, Device::Cpu);
        let library = Library::standard();
        let site = Site { library: &library, dim, image: IMAGE, classes, groups: sizes.len() };
        let term = build(LOSSES, &bound).build(&site, &params.root()).unwrap();
        Self { params, term, sizes: sizes.to_vec() }
    }

    fn var(&self, name: &str) -> Var {
        let all = self.params.vars().into_iter().chain(self.params.buffers());
        all.into_iter().find(|(it, _)| it == name).unwrap_or_else(|| panic!("no {name}")).1
    }

    fn value(&self, embedding: &Tensor, labels: &[u32], groups: &[u32], mode: &Mode) -> Tensor {
        let Term::Single(term) = &self.term else { panic!("a term of its own") };
        let activations = Activations {
            embedding: embedding.clone(),
            input: Tensor::zeros(1, DType::F64, &Device::Cpu).unwrap(),
            clean: None,
            labels: labels.to_vec(),
            class_weights: None,
            groups: groups.to_vec(),
            group_sizes: self.sizes.clone(),
            views: embedding.dim(0).unwrap() / labels.len(),
        };
        term.value(&activations, mode).unwrap()
    }
}

fn train() -> Mode {
    Mode::Train(Stream::new(0))
}

fn ids(tensor: &Tensor) -> Vec<u32> {
    tensor.to_vec1::<f64>().unwrap().into_iter().map(|id| id as u32).collect()
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

#[track_caller]
fn assert_near(found: &Tensor, expected: &Tensor, what: &str) {
    let pairs = numbers(found).into_iter().zip(numbers(expected));
    let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-12, "{what}: {worst}");
}

/// Six steps of the released code; in the last there is no image of the second group.
#[test]
fn group_dro_is_that_of_the_released_code() {
    let known: BTreeMap<String, Tensor> = fixture("worst_group");
    let of = |name: &str, step: usize| known[&format!("dro/{name}")].get(step).unwrap();
    let robust = Robust::new((0.05, 2.0), (5, 3), &[100, 4, 30]);
    robust.var("head.weight").set(&known["dro/weight"]).unwrap();
    robust.var("head.bias").set(&known["dro/bias"]).unwrap();
    for step in 0..6 {
        let input = Var::from_tensor(&of("input", step)).unwrap();
        let (labels, groups) = (ids(&of("label", step)), ids(&of("group", step)));
        let value = robust.value(input.as_tensor(), &labels, &groups, &train());
        let grads = value.backward().unwrap();
        assert_near(&value.detach(), &of("loss", step), "the loss");
        assert_near(grads.get(&input).unwrap(), &of("input_gradient", step), "at the input");
        let weight = grads.get(&robust.var("head.weight")).unwrap();
        assert_near(weight, &of("weight_gradient", step), "at the weight");
        let logits = robust.var("group_logits");
        assert_near(logits.as_detached_tensor().as_ref(), &of("logits", step), "the weights");
    }
    assert!(!ids(&of("group", 5)).contains(&1), "the last step was to have none of the second");
}

/// Group losses 1.0 and 0.5 of groups of 100 and 4 images, C = 2 and η = 0.01, become 1.2 and 1.5,
/// weighted by 0.49925 and 0.50075 after the first step.
#[test]
fn a_first_step_is_that_of_hand_computation() {
    let robust = Robust::new((0.01, 2.0), (1, 2), &[100, 4]);
    robust.var("head.weight").set(&Tensor::new(&[[0.0], [-1.0]], &Device::Cpu).unwrap()).unwrap();
    robust.var("head.bias").set(&Tensor::zeros(2, DType::F64, &Device::Cpu).unwrap()).unwrap();
    // ln(1 + e^-x) is the loss of an image at x.
    let at = |loss: f64| -(loss.exp() - 1.0).ln();
    let x = Tensor::new(&[[at(1.0)], [at(0.5)]], &Device::Cpu).unwrap();
    let value = robust.value(&x, &[0, 0], &[0, 1], &train()).to_scalar::<f64>().unwrap();
    assert!((value - 1.3502250).abs() < 1e-6, "{value}");
}

/// The definition, image by image: two views, and steps that remember those before.
#[test]
fn group_dro_is_its_definition() {
    let (classes, dim, sizes) = (4, 3, [50usize, 2, 7]);
    let robust = Robust::new((0.3, 1.5), (dim, classes), &sizes);
    let (weight, bias) = (numbers(&robust.var("head.weight")), numbers(&robust.var("head.bias")));
    let (labels, groups) = ([0, 3, 1, 1, 2], [0, 2, 2, 1, 0]);
    let mut logits = [0.0; 3];
    for step in 0..4 {
        let mut stream = Stream::new(9).at(step);
        let rows: Vec<f64> = (0..10 * dim).map(|_| stream.normal()).collect();
        let mut sums = [(0.0, 0.0); 3];
        for (row, x) in rows.chunks(dim).enumerate() {
            let score =
                |k: usize| bias[k] + (0..dim).map(|d| weight[k * dim + d] * x[d]).sum::<f64>();
            let all: f64 = (0..classes).map(|k| score(k).exp()).sum();
            let item = row % 5;
            let sum = &mut sums[groups[item] as usize];
            *sum = (sum.0 + all.ln() - score(labels[item] as usize), sum.1 + 1.0);
        }
        let loss: Vec<f64> =
            (0..3).map(|g| sums[g].0 / sums[g].1 + 1.5 / (sizes[g] as f64).sqrt()).collect();
        (0..3).for_each(|g| logits[g] += 0.3 * loss[g]);
        let all: f64 = logits.iter().map(|it| it.exp()).sum();
        let expected: f64 = (0..3).map(|g| logits[g].exp() / all * loss[g]).sum();
        let x = Tensor::from_vec(rows, (10, dim), &Device::Cpu).unwrap();
        let found = robust.value(&x, &labels, &groups, &train()).to_scalar::<f64>().unwrap();
        assert!((found - expected).abs() < 1e-12, "step {step}: {found} {expected}");
    }
}
