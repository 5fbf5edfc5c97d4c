//! Logistic regression by L-BFGS and what is built on it, against scikit-learn and plain loops.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::ControlFlow;

use balance::catalog::{Bound, Value};
use balance::library::eval::{
    Column, EVALUATIONS, EvalError, FeatureSource, Features, Labelling, Score, Site, Split, View,
};
use balance::library::optimizer::OPTIMIZERS;
use balance::library::{Library, build};
use balance::measure::lbfgs::Lbfgs;
use balance::measure::logistic::{Examples, Logistic, Penalty};
use balance::seed::Stream;
use balance::statistics::interval;
use candle_core::{DType, Device, Tensor};

use crate::parity::fixture;

/// Embeddings of a training and a test split.
struct Given {
    splits: BTreeMap<Split, (Tensor, Vec<u32>)>,
    classes: usize,
}

impl FeatureSource for Given {
    fn features(&mut self, split: Split) -> Result<Features, EvalError> {
        let none = (Tensor::zeros((0, 1), DType::F32, &Device::Cpu)?, Vec::new());
        let (embedding, labels) = self.splits.get(&split).cloned().unwrap_or(none);
        Ok(Features { embedding, labels })
    }

    fn augmented(&mut self, _: View) -> Result<Features, EvalError> {
        self.features(Split::Train)
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn column(&mut self, _: Split, _: Column) -> Result<Option<Labelling>, EvalError> {
        Ok(None)
    }
}

fn labels(tensor: &Tensor) -> Vec<u32> {
    tensor.to_vec1::<f64>().unwrap().iter().map(|it| *it as u32).collect()
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn rows(tensor: &Tensor) -> Vec<f32> {
    numbers(tensor).into_iter().map(|it| it as f32).collect()
}

fn given(all: &BTreeMap<String, Tensor>, case: &str, classes: usize) -> Given {
    let split = |name: &str, label: &str| {
        let embedding = all[&format!("{case}/{name}")].to_dtype(DType::F32).unwrap();
        (embedding, labels(&all[&format!("{case}/{label}")]))
    };
    let splits =
        [(Split::Train, split("input", "label")), (Split::Test, split("test", "test_label"))];
    Given { splits: BTreeMap::from(splits), classes }
}

fn measure(bound: &Bound, source: &mut Given) -> Result<Vec<Score>, EvalError> {
    let site = &mut Site {
        library: &Library::standard(),
        stream: Stream::new(3),
        progress: &mut |_| ControlFlow::Continue(()),
    };
    build(EVALUATIONS, bound).evaluate(source, site)
}

fn test_score(bound: &Bound, source: &mut Given, metric: &str) -> f64 {
    let scores = measure(bound, source).unwrap();
    scores.iter().find(|it| it.split == Split::Test && it.metric == metric).unwrap().value
}

fn defaults(name: &str) -> Bound {
    let entry = EVALUATIONS.iter().find(|it| it.spec.name == name).unwrap();
    Bound::defaults(&entry.spec)
}

fn by_lbfgs(c: f64) -> Bound {
    let lbfgs = OPTIMIZERS.iter().find(|it| it.spec.name == "lbfgs").unwrap();
    let lbfgs = Bound::defaults(&lbfgs.spec).with("c", Value::Real(c));
    defaults("linear").with("optimizer", Value::Component(Box::new(lbfgs)))
}

/// `c Σ −ln p + ½ Σ w²` in plain loops.
fn objective(model: &Logistic, examples: &Examples, c: f64) -> f64 {
    let mut loss = 0.0;
    for (row, label) in examples.rows.chunks(examples.dim).zip(examples.labels) {
        let mut scores = model.scores(row);
        if let [score] = scores[..] {
            scores = vec![0.0, score];
        }
        let all: f64 = scores.iter().map(|it| it.exp()).sum();
        loss += all.ln() - scores[*label as usize];
    }
    let weights = model.values.chunks(model.dim + 1).flat_map(|row| &row[..model.dim]);
    c * loss + 0.5 * weights.map(|w| w * w).sum::<f64>()
}

#[test]
fn the_minimum_is_that_of_scikit_learn() {
    let all = fixture("regression");
    for (classes, c) in [(2, 0.3), (5, 10.0)] {
        let of = |name: &str| &all[&format!("{classes}/{name}")];
        let (x, label) = (rows(of("input")), labels(of("label")));
        let examples = Examples { rows: &x, dim: 12, labels: &label, classes };
        for (tolerance, name, near) in [(1e-6, "least", 1e-6), (1e-4, "released", 1e-4)] {
            let search = Lbfgs { memory: 10, tolerance, iterations: 1000 };
            let never = || Ok::<_, Infallible>(());
            let Ok(model) = Logistic::by_lbfgs(&examples, c, &search, never);
            let found = objective(&model, &examples, c);
            let expected = numbers(of(&format!("{name}/objective")))[0];
            assert!((found / expected - 1.0).abs() < near, "{classes} {name}: {found}, {expected}");
        }
        let search = Lbfgs { memory: 10, tolerance: 1e-6, iterations: 1000 };
        let Ok(model) = Logistic::by_lbfgs(&examples, c, &search, || Ok::<_, Infallible>(()));
        let (weight, bias) = (numbers(of("least/weight")), numbers(of("least/bias")));
        for (row, (weight, bias)) in model.values.chunks(13).zip(weight.chunks(12).zip(&bias)) {
            for (found, expected) in row.iter().zip(weight) {
                assert!((found - expected).abs() < 1e-3, "{classes}: {found}, not {expected}");
            }
            // Of several classes only differences of biases matter, and both begin at zero.
            assert!((row[12] - bias).abs() < 1e-3, "{classes}: {}, not {bias}", row[12]);
        }
    }
}

#[test]
fn a_probe_by_lbfgs_is_right_as_often_as_that_of_scikit_learn() {
    let all = fixture("regression");
    for (classes, c) in [(2, 0.3), (5, 10.0)] {
        let found =
            test_score(&by_lbfgs(c), &mut given(&all, &classes.to_string(), classes), "accuracy");
        let expected = numbers(&all[&format!("{classes}/released/accuracy")])[0];
        // One image of 300 at most, where two classes are as likely.
        assert!((found - expected).abs() < 1.01 / 300.0, "{classes}: {found}, not {expected}");
    }
}

#[test]
fn two_solvers_come_to_one_minimum() {
    let mut stream = Stream::new(5);
    let x: Vec<f32> = (0..600 * 7).map(|_| stream.normal() as f32).collect();
    let label: Vec<u32> = (0..600)
        .map(|at| if x[at * 7] + stream.normal() as f32 > 0.5 { 2 } else { (at % 2) as u32 })
        .collect();
    let examples = Examples { rows: &x, dim: 7, labels: &label, classes: 3 };
    let search = Lbfgs { memory: 10, tolerance: 1e-7, iterations: 1000 };
    let Ok(one) = Logistic::by_lbfgs(&examples, 0.5, &search, || Ok::<_, Infallible>(()));
    let other = Logistic::fit(&examples, Penalty::L2, 0.5);
    for (a, b) in one.values.iter().zip(&other.values) {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
}

#[test]
fn few_shots_of_whole_classes_are_those_of_scikit_learn() {
    let all = fixture("regression");
    // As many are drawn as there are, so that every draw is the same.
    for by in ["logistic", "mean"] {
        let bound = defaults("few_shot")
            .with("k", Value::Int(4))
            .with("draws", Value::Int(2))
            .with("by", Value::Word(by.into()));
        let mut source = given(&all, "few", 6);
        let expected = numbers(&all[&format!("few/{by}")])[0];
        for metric in ["accuracy", "low_accuracy", "high_accuracy"] {
            let found = test_score(&bound, &mut source, metric);
            assert!((found - expected).abs() < 0.51 / 200.0, "{by}: {metric} {found}, {expected}");
        }
    }
}

/// Nearest class means of the images that the seed draws, in plain loops.
#[test]
fn draws_are_by_address_and_their_mean_is_reported() {
    let all = fixture("regression");
    let (k, draws, classes) = (2, 7, 6);
    let (x, label) = (numbers(&all["few/input"]), labels(&all["few/label"]));
    let (test, test_label) = (numbers(&all["few/test"]), labels(&all["few/test_label"]));
    let mut found = Vec::new();
    for draw in 0..draws {
        let mut means = vec![vec![0.0; 12]; classes];
        for (class, mean) in means.iter_mut().enumerate() {
            let own: Vec<usize> =
                (0..label.len()).filter(|at| label[*at] == class as u32).collect();
            let mut stream = Stream::new(3).named("draw").at(draw).at(class as u64);
            for at in stream.permutation(own.len()).into_iter().take(k) {
                let row = &x[own[at as usize] * 12..][..12];
                mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += x / k as f64);
            }
        }
        let far = |mean: &Vec<f64>, row: &[f64]| -> f64 {
            mean.iter().zip(row).map(|(a, b)| (a - b) * (a - b)).sum()
        };
        let nearest = |row: &[f64]| {
            (0..classes).min_by(|a, b| far(&means[*a], row).total_cmp(&far(&means[*b], row)))
        };
        let right = test.chunks(12).zip(&test_label);
        let right = right.filter(|(row, label)| nearest(row) == Some(**label as usize)).count();
        found.push(right as f64 / test_label.len() as f64);
    }
    let bound = defaults("few_shot")
        .with("k", Value::Int(k as i64))
        .with("draws", Value::Int(draws as i64))
        .with("by", Value::Word("mean".into()))
        .with("unit", Value::Bool(false));
    let mut source = given(&all, "few", classes);
    let (low, high) = interval(&found).unwrap();
    let mean = found.iter().sum::<f64>() / found.len() as f64;
    assert!(low < mean && mean < high);
    for (metric, expected) in [("accuracy", mean), ("low_accuracy", low), ("high_accuracy", high)] {
        let value = test_score(&bound, &mut source, metric);
        assert!((value - expected).abs() < 1e-12, "{metric}: {value}, not {expected}");
    }
    let once = bound.with("draws", Value::Int(1));
    let scores = measure(&once, &mut source).unwrap();
    assert!(scores.iter().all(|it| it.metric == "accuracy"), "{scores:?}");
}

#[test]
fn a_class_with_too_few_images_is_named() {
    let all = fixture("regression");
    let bound = defaults("few_shot").with("k", Value::Int(5));
    let Err(EvalError::Failed(message)) = measure(&bound, &mut given(&all, "few", 6)) else {
        panic!("drawn of four");
    };
    assert!(message.contains("class 0 of `labels` has 4 of the 5"), "{message}");
}
