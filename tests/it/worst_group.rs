//! Groups: the weights that GroupDRO gives them, what classifiers are worth in them, and who has
//! read their labels; against PyTorch, scikit-learn, naive loops and counting by hand.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;

use balance::catalog::{Bound, ImageShape, Value};
use balance::library::eval::{
    Column, EVALUATIONS, EvalError, FeatureSource, Features, Labelling, Score, Site as EvalSite,
    Split, View,
};
use balance::library::loss::{Activations, LOSSES, Site, Term};
use balance::library::{Library, build};
use balance::measure::logistic::{Examples, Logistic, Penalty};
use balance::measure::roc::auroc;
use balance::nn::Mode;
use balance::run::Event;
use balance::seed::Stream;
use balance::tensor::Params;
use candle_core::{DType, Device, Tensor, Var};

use crate::lab::{Act, Lab, Watch, assert_same};
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
            mixed: None,
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
        assert_near(&logits.as_detached_tensor(), &of("logits", step), "the weights");
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

/// scikit-learn's minimum, whichever way there.
#[test]
fn regression_reaches_the_minimum() {
    let known = fixture("worst_group");
    for (classes, penalty, name) in [
        (2, Penalty::L1, "l1"),
        (2, Penalty::L2, "l2"),
        (4, Penalty::L1, "l1"),
        (4, Penalty::L2, "l2"),
    ] {
        let of = |what: &str| known[&format!("regression/{name}_{classes}/{what}")].clone();
        let rows: Vec<f32> = numbers(&of("input")).into_iter().map(|x| x as f32).collect();
        let labels = ids(&of("label"));
        let examples = Examples { rows: &rows, dim: 6, labels: &labels, classes };
        let found = Logistic::fit(&examples, penalty, 0.3);
        let mut weights = found.values.chunks(7);
        let objective: f64 = rows
            .chunks(6)
            .zip(&labels)
            .map(|(row, label)| {
                let scores = match found.scores(row)[..] {
                    [score] => vec![0.0, score],
                    ref scores => scores.to_vec(),
                };
                let all: f64 = scores.iter().map(|it| it.exp()).sum();
                0.3 * (all.ln() - scores[*label as usize])
            })
            .sum::<f64>()
            + weights
                .by_ref()
                .flat_map(|it| &it[..6])
                .map(|w| match penalty {
                    Penalty::L1 => w.abs(),
                    Penalty::L2 => 0.5 * w * w,
                })
                .sum::<f64>();
        let expected = numbers(&of("objective"))[0];
        assert!((objective - expected).abs() < 1e-8 * expected, "{name}: {objective} {expected}");
        // With a weight for each class, those of one number may be moved together: what a class scores
        // over another is determined, and under the absolute values the weights are not.
        if (classes, penalty) != (4, Penalty::L1) {
            let expected = numbers(&of("weight"));
            let weights = found.values.chunks(7).flat_map(|it| it[..6].to_vec());
            let worst = weights.zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-4, "{name} of {classes}: {worst}");
        }
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool.install(|| Logistic::fit(&examples, penalty, 0.3)), found);
        }
    }
}

#[test]
fn areas_are_those_of_scikit_learn() {
    let known = fixture("worst_group");
    let (scores, labels) = (numbers(&known["area/score"]), ids(&known["area/label"]));
    let groups = ids(&known["area/group"]);
    let expected = numbers(&known["area/expected"]);
    let positive: Vec<bool> = labels.iter().map(|label| *label == 1).collect();
    assert!((auroc(&scores, &positive).unwrap() - expected[0]).abs() < 1e-12);
    for negative in [0, 1] {
        let kept: Vec<usize> =
            (0..60).filter(|at| positive[*at] || groups[*at] == negative).collect();
        let scores: Vec<f64> = kept.iter().map(|at| scores[*at]).collect();
        let positive: Vec<bool> = kept.iter().map(|at| positive[*at]).collect();
        let found = auroc(&scores, &positive).unwrap();
        assert!((found - expected[1 + negative as usize]).abs() < 1e-12);
    }
    assert_eq!(auroc(&[1.0, 2.0], &[true, true]), None);
    assert_eq!(auroc(&[], &[]), None);
}

/// Ten test images of three groups, the third without training images and the fourth without any.
struct Small;

impl Small {
    fn rows(split: Split) -> Vec<(f32, u32, u32)> {
        match split {
            // What the second class scores over the first, the label and the group.
            Split::Train => vec![(-1.0, 0, 0), (-1.0, 0, 0), (1.0, 1, 0), (1.0, 1, 1)],
            Split::Val => Vec::new(),
            Split::Test => vec![
                (-2.0, 0, 0),
                (-1.0, 0, 0),
                (0.5, 0, 0),
                (1.5, 1, 0),
                (-0.5, 0, 1),
                (0.5, 1, 1),
                (-0.5, 1, 1),
                (3.0, 0, 2),
            ],
        }
    }
}

impl FeatureSource for Small {
    fn features(&mut self, split: Split) -> Result<Features, EvalError> {
        let rows = Self::rows(split);
        let embedding: Vec<f32> = rows.iter().map(|it| it.0).collect();
        let embedding = Tensor::from_vec(embedding, (rows.len(), 1), &Device::Cpu)?;
        Ok(Features { embedding, labels: rows.iter().map(|it| it.1).collect() })
    }

    fn augmented(&mut self, _: View) -> Result<Features, EvalError> {
        self.features(Split::Train)
    }

    fn classes(&self) -> usize {
        2
    }

    fn column(&mut self, split: Split, _: Column) -> Result<Option<Labelling>, EvalError> {
        let labels = Self::rows(split).iter().map(|it| it.2).collect();
        let names = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        Ok(Some(Labelling { labels, names }))
    }

    fn class_scores(&mut self, split: Split) -> Result<Option<Tensor>, EvalError> {
        let rows = Self::rows(split);
        let scores: Vec<f32> = rows.iter().flat_map(|it| [0.0, it.0]).collect();
        Ok(Some(Tensor::from_vec(scores, (rows.len(), 2), &Device::Cpu)?))
    }
}

/// Counted by hand: groups a, b and c are right 3/4, 2/3 and 0/1 times; of the training images
/// three are of a and one of b.
#[test]
fn the_worst_group_and_both_averages_are_those_of_counting() {
    let entry = EVALUATIONS.iter().find(|it| it.spec.name == "classify").expect("registered");
    let library = Library::standard();
    let (stream, progress) = (Stream::new(0), &mut |_| ControlFlow::Continue(()));
    let site = &mut EvalSite { library: &library, stream, progress };
    let scores = build(EVALUATIONS, &Bound::defaults(&entry.spec)).evaluate(&mut Small, site);
    let scores = scores.unwrap();
    let value = |metric: &str| {
        let is_it = |it: &&Score| it.split == Split::Test && it.metric == metric;
        scores.iter().find(is_it).unwrap_or_else(|| panic!("no {metric}")).value
    };
    assert_eq!(value("worst_group_accuracy"), 0.0);
    assert_eq!(value("accuracy"), 5.0 / 8.0);
    let adjusted = (3.0 * 0.75 + 2.0 / 3.0) / 4.0;
    assert!((value("adjusted_accuracy") - adjusted).abs() < 1e-12);
    // Positive at 1.5, 0.5 and -0.5; negative at -2, -1, 0.5, -0.5 and 3.
    let area = (4.0 + 3.5 + 2.5) / 15.0;
    assert!((value("auroc") - area).abs() < 1e-12);
    // The only image of the first class in c scores above all.
    assert_eq!(value("robust_auroc"), 0.0);
}

const COLORED: &str = r#"
edition 1

experiment colors {
  data = colored(images=digits(), flipped=20%, val=20%)
  encoder = mlp(widths=[16], out=8)
  loss { class = group_dro(step=0.1, adjustment=1) }
  train { optimizer = adamw(lr=3e-3); batch = 64; for = 3 epochs; keep = best(val.class.worst_group_accuracy) }
  eval { digits = classify(); dfr = dfr(draws=3) }
}
"#;

/// Interrupted in the middle of epochs, group weights go on where they were.
#[test]
fn a_stopped_group_dro_goes_on_exactly() {
    let whole = Lab::new();
    whole.complete(COLORED);
    let broken = Lab::new();
    let plan = broken.plan(COLORED);
    for steps in [5, 13] {
        let mut left = steps;
        let mut watch = Watch::reacting(move |event| {
            left -= usize::from(matches!(event, Event::Step { .. }) && left > 0);
            if left == 0 { Act::Stop } else { Act::GoOn }
        });
        assert!(broken.run(&plan, &mut watch).stopped);
    }
    broken.complete(COLORED);
    assert_same(&whole.contents(), &broken.contents());
    let result = fs::read_to_string(whole.stage("main").join("result.json")).unwrap();
    assert!(result.contains("group_labels"), "{result}");
}

fn uses(text: &str, evaluation: &str) -> String {
    let plan = Lab::new().plan(text);
    let found = plan.evaluations.iter().find(|it| it.name == evaluation).unwrap();
    found.group_labels.as_ref().map_or("none".to_owned(), |uses| uses.to_string())
}

/// Each way to use a group label, by itself.
#[test]
fn every_use_of_a_group_label_is_in_the_ledger() {
    let plain = COLORED
        .replace("group_dro(step=0.1, adjustment=1)", "cross_entropy()")
        .replace("worst_group_accuracy", "accuracy");
    let report = "report train + val + test";
    let expect = |text: &str, evaluation: &str, expected: &str| {
        assert_eq!(uses(text, evaluation), expected, "{text}");
    };
    expect(&plain, "digits", &format!("train –, select –, {report}"));
    expect(&plain, "dfr", "train val, select –, report test");
    let from_train = plain.replace("draws=3", "draws=3, from=train");
    expect(&from_train, "dfr", "train train, select –, report test");
    let robust = plain.replace("cross_entropy()", "group_dro()");
    expect(&robust, "digits", &format!("train train, select –, {report}"));
    expect(&robust, "dfr", "train train + val, select –, report test");
    let balanced = plain.replace("batch = 64", "batch = 64; sampler = balanced(by=group)");
    expect(&balanced, "digits", &format!("train train, select –, {report}"));
    let selected = plain.replace("class.accuracy", "class.worst_group_accuracy");
    expect(&selected, "digits", &format!("train –, select val, {report}"));
    // The labels that are learned tell the groups apart.
    let both = "class = cross_entropy(); color = cross_entropy(labels=color)";
    let told = plain.replace("class = cross_entropy()", both);
    expect(&told, "digits", &format!("train train, select –, {report}"));
    let probe = plain.replace("digits = classify()", "digits = linear(labels=coarse)");
    expect(&probe, "digits", "train –, select –, report –");
    let ungrouped = plain
        .replace("val=20%)", "val=20%, groups=[])")
        .replace("digits = classify(); dfr = dfr(draws=3)", "digits = linear(labels=coarse)");
    expect(&ungrouped, "digits", "none");
}
