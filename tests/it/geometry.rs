//! Spectra, collapse, uniformity and alignment of encoders against NumPy, and at their edges.

use std::ops::ControlFlow;

use balance::catalog::{Bound, Features as Named, Value};
use balance::library::eval::{
    Column, EVALUATIONS, EvalError, FeatureSource, Features, Labelling, Score, Site, Split, View,
};
use balance::library::{Library, build};
use balance::measure::eigen::{eigen, eigenvalues};
use balance::seed::Stream;
use candle_core::{Device, Tensor};
use serde_json::Value as Json;

/// One split of embeddings, with another encoder's and a classifier's weights.
#[derive(Clone)]
struct Case {
    rows: Vec<Vec<f32>>,
    labels: Vec<u32>,
    classes: usize,
    weights: Option<Vec<Vec<f32>>>,
    other: Vec<Vec<f32>>,
    /// How far the second augmented view is from the first, in every dimension.
    moved: f32,
}

impl Case {
    fn new(rows: Vec<Vec<f32>>, labels: Vec<u32>, classes: usize) -> Self {
        let other = rows.clone();
        Self { rows, labels, classes, weights: None, other, moved: 0.0 }
    }

    fn features(&self, rows: &[Vec<f32>]) -> Result<Features, EvalError> {
        let width = rows.first().map_or(1, Vec::len);
        let shape = (rows.len(), width);
        let embedding = Tensor::from_vec(rows.concat(), shape, &Device::Cpu)?;
        Ok(Features { embedding, labels: self.labels.clone() })
    }
}

impl FeatureSource for Case {
    fn features(&mut self, split: Split) -> Result<Features, EvalError> {
        match split {
            Split::Val => Case::new(Vec::new(), Vec::new(), 0).features(&[]),
            _ => Case::features(self, &self.rows),
        }
    }

    fn augmented(&mut self, view: View) -> Result<Features, EvalError> {
        let Features { embedding, labels } = Case::features(self, &self.rows)?;
        let embedding = embedding.affine(1.0, f64::from(self.moved) * view.epoch as f64)?;
        Ok(Features { embedding, labels })
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn column(&mut self, _: Split, _: Column) -> Result<Option<Labelling>, EvalError> {
        Ok(None)
    }

    fn with(&mut self, split: Split) -> Result<Features, EvalError> {
        match split {
            Split::Val => FeatureSource::features(self, split),
            _ => Case::features(self, &self.other),
        }
    }

    fn scores(&mut self, embedding: &Tensor) -> Result<Option<Tensor>, EvalError> {
        let Some(weights) = &self.weights else { return Ok(None) };
        let shape = (weights.len(), weights[0].len());
        let weights = Tensor::from_vec(weights.concat(), shape, &Device::Cpu)?;
        Ok(Some((embedding.matmul(&weights.t()?)? + 0.25)?))
    }
}

fn bound(name: &str) -> Bound {
    let entry = EVALUATIONS.iter().find(|it| it.spec.name == name).expect("registered");
    let with = ("with", Value::Features(Named::Encoder("b".to_owned())));
    let bound = Bound::defaults(&entry.spec);
    if bound.spec.param(with.0).is_some() { bound.with(with.0, with.1) } else { bound }
}

const NAMES: [&str; 4] = ["spectrum", "collapse", "alignment", "cka"];

fn measure(bound: &Bound, case: &Case) -> Result<Vec<Score>, EvalError> {
    let site = &mut Site {
        library: &Library::standard(),
        stream: Stream::new(3),
        progress: &mut |_| ControlFlow::Continue(()),
    };
    build(EVALUATIONS, bound).evaluate(&mut case.clone(), site)
}

fn find(scores: &[Score], metric: &str) -> Option<f64> {
    let is_it = |it: &&Score| it.split == Split::Test && it.metric == metric;
    scores.iter().find(is_it).map(|it| it.value)
}

fn cases() -> Vec<(Case, Json)> {
    let all: Json = serde_json::from_str(include_str!("../parity/fixtures/geometry.json")).unwrap();
    let rows = |json: &Json| serde_json::from_value(json.clone()).unwrap();
    let case = |json: &Json| Case {
        weights: Some(rows(&json["weights"])),
        other: rows(&json["other"]),
        ..Case::new(
            rows(&json["rows"]),
            serde_json::from_value(json["labels"].clone()).unwrap(),
            json["classes"].as_u64().unwrap() as usize,
        )
    };
    all["cases"].as_array().unwrap().iter().map(|json| (case(json), json.clone())).collect()
}

/// Shares and ranks within 1e-6; the tiles of `uniformity` are products in single precision.
#[test]
fn every_number_is_numpys() {
    let cases = cases();
    assert_eq!(cases.len(), 5);
    for (case, json) in cases {
        let mut left = json["expected"].as_object().unwrap().clone();
        for name in NAMES {
            let scores = measure(&bound(name), &case).unwrap();
            for Score { metric, value, .. } in scores.iter().filter(|it| it.split == Split::Test) {
                let expected = left.remove(*metric).unwrap().as_f64().unwrap();
                let size = expected.abs().max(1.0);
                let error = (value - expected).abs() / size;
                assert!(error < 1e-6, "{} {metric}: {value}, {expected}", json["name"]);
            }
        }
        assert!(left.is_empty(), "{} lacks {left:?}", json["name"]);
    }
}

#[test]
fn eigenvectors_are_turned_by_their_matrix() {
    let mut stream = Stream::new(4);
    for size in [1, 2, 3, 7, 40] {
        let half: Vec<f64> = (0..size * size).map(|_| stream.normal()).collect();
        let at = |i: usize, j: usize| half[i * size + j] + half[j * size + i];
        let matrix: Vec<f64> = (0..size * size).map(|n| at(n / size, n % size)).collect();
        let found = eigen(matrix.clone(), size);
        for (value, alone) in found.values.iter().zip(eigenvalues(matrix.clone(), size)) {
            assert!((value - alone).abs() < 1e-12 * size as f64, "{value} {alone}");
        }
        assert!(found.values.is_sorted_by(|a, b| a >= b));
        for (value, vector) in found.values.iter().zip(&found.vectors) {
            assert!((vector.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-12);
            for (row, x) in matrix.chunks(size).zip(vector) {
                let turned: f64 = row.iter().zip(vector).map(|(a, b)| a * b).sum();
                assert!((turned - value * x).abs() < 1e-11 * size as f64, "{size}");
            }
        }
    }
    let split = vec![2.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0];
    assert_eq!(eigenvalues(split, 3), [2.0, 2.0, 0.0]);
}

/// What is defined of embeddings without any difference is said in the documentation.
#[test]
fn equal_embeddings_have_no_rank_and_no_distances() {
    for row in [vec![0.1, -7.3, 2.2], vec![0.0; 3]] {
        let labels = (0..30).map(|it| it % 3).collect();
        let case =
            Case { weights: Some(vec![vec![1.0; 3]; 3]), ..Case::new(vec![row; 30], labels, 3) };
        let scores = measure(&bound("spectrum"), &case).unwrap();
        for metric in ["effective_rank", "class_rank", "least_class_rank", "greatest_class_rank"] {
            assert_eq!(find(&scores, metric), Some(0.0), "{metric}");
        }
        let names = |name: &str| -> Vec<&str> {
            let scores = measure(&bound(name), &case).unwrap();
            scores.iter().filter(|it| it.split == Split::Test).map(|it| it.metric).collect()
        };
        assert_eq!(names("collapse"), ["nc4", "nearest_mean_accuracy"]);
        assert_eq!(names("alignment"), ["uniformity"]);
        assert_eq!(names("cka"), [""; 0]);
    }
}

#[test]
fn one_image_and_one_class_are_measured_as_far_as_they_go() {
    let one = Case::new(vec![vec![3.0, 4.0]], vec![1], 3);
    for (name, expected) in [
        ("spectrum", &[("effective_rank", 0.0), ("rankme", 1.0), ("class_rank", 0.0)][..]),
        ("collapse", &[("nearest_mean_accuracy", 1.0)]),
        ("alignment", &[]),
        ("cka", &[]),
    ] {
        let scores = measure(&bound(name), &one).unwrap();
        for (metric, value) in expected {
            assert!((find(&scores, metric).unwrap() - value).abs() < 1e-5, "{name} {metric}");
        }
        let of_test = scores.iter().filter(|it| it.split == Split::Test).count();
        assert!(of_test <= expected.len() + 2, "{name}: {scores:?}");
    }
    let class = Case::new(vec![vec![1.0, 0.0], vec![0.0, 1.0], vec![-1.0, 0.0]], vec![2; 3], 3);
    let scores = measure(&bound("collapse"), &class).unwrap();
    assert_eq!(find(&scores, "cdnv"), None);
    assert_eq!(find(&scores, "nc1"), None);
    assert_eq!(find(&scores, "nc2_simplex"), None);
}

/// The classes at the corners of a simplex, and a classifier that points there.
#[test]
fn collapse_is_zero_at_the_simplex() {
    let corner = |class: u32| (0..4).map(move |at| if at == class { 3.0 } else { -1.0 }).collect();
    let labels: Vec<u32> = (0..24).map(|it| it % 4).collect();
    let rows: Vec<Vec<f32>> = labels.iter().map(|class| corner(*class)).collect();
    let weights = Some((0..4).map(corner).collect());
    let case = Case { weights, ..Case::new(rows, labels, 4) };
    let scores = measure(&bound("collapse"), &case).unwrap();
    for metric in ["cdnv", "nc1", "nc2_norms", "nc2_angles", "nc2_simplex", "nc3"] {
        assert!(find(&scores, metric).unwrap().abs() < 1e-6, "{metric}");
    }
    assert_eq!(find(&scores, "nc4"), Some(1.0));
    let spectrum = measure(&bound("spectrum"), &case).unwrap();
    assert!((find(&spectrum, "effective_rank").unwrap() - 3.0).abs() < 1e-9);
    assert_eq!(find(&spectrum, "greatest_class_rank"), Some(0.0));
}

/// Views moved by 2 in each of two dimensions, from (3, 4) to (5, 6).
#[test]
fn alignment_is_of_two_views() {
    let case = Case { moved: 2.0, ..Case::new(vec![vec![3.0, 4.0]; 5], vec![0; 5], 1) };
    let scores = measure(&bound("alignment"), &case).unwrap();
    let found = scores.iter().find(|it| it.metric == "alignment").unwrap();
    let cosine = (3.0 * 5.0 + 4.0 * 6.0) / (5.0 * 61.0f64.sqrt());
    assert_eq!(found.split, Split::Train);
    assert!((found.value - (2.0 - 2.0 * cosine)).abs() < 1e-6);
}

/// At even steps: of ten images, at most four are compared.
#[test]
fn the_most_images_are_taken_at_even_steps() {
    let angle = |at: usize| vec![(at as f32).cos(), (at as f32).sin()];
    let all = Case::new((0..10).map(angle).collect(), vec![0; 10], 1);
    let some = Case::new([0, 3, 5, 8].map(angle).into(), vec![0; 4], 1);
    let four = bound("alignment").with("most", Value::Int(4));
    let [found, expected] =
        [&all, &some].map(|case| find(&measure(&four, case).unwrap(), "uniformity").unwrap());
    assert_eq!(found, expected);
}

#[test]
fn an_encoder_is_most_like_itself_turned() {
    let (mut case, _) = cases().swap_remove(0);
    let turned = |row: &Vec<f32>| row.iter().rev().map(|x| -3.0 * x + 1.0).collect();
    case.other = case.rows.iter().map(turned).collect();
    let cka = find(&measure(&bound("cka"), &case).unwrap(), "cka").unwrap();
    assert!((cka - 1.0).abs() < 1e-6 && cka <= 1.0, "{cka}");
    case.other[7][1] = f32::NAN;
    let Err(EvalError::Failed(message)) = measure(&bound("cka"), &case) else { panic!() };
    assert!(message.contains("train image 7"), "{message}");
}

#[test]
fn scaling_to_length_one_forgets_lengths() {
    let (case, _) = cases().swap_remove(0);
    let mut longer = case.clone();
    longer.rows.iter_mut().enumerate().for_each(|(at, row)| {
        row.iter_mut().for_each(|x| *x *= [1.0, 4.0, 0.5][at % 3]);
    });
    for name in ["spectrum", "collapse"] {
        let unit = bound(name).with("normalize", Value::Bool(true));
        let [one, other] = [&case, &longer].map(|it| Case { weights: None, ..it.clone() });
        let [one, other] = [one, other].map(|it| measure(&unit, &it).unwrap());
        for (one, other) in one.iter().zip(&other) {
            assert!((one.value - other.value).abs() < 1e-5, "{one:?} {other:?}");
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for (case, _) in cases() {
        for name in NAMES {
            let [one, three] = [1, 3].map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| measure(&bound(name), &case)).unwrap()
            });
            assert_eq!(one, three, "{name}");
        }
    }
}
