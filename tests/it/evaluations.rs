//! Laws over the registry of evaluations, and comparisons with naive computations.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

use balance::catalog::{Bound, Duration, Features as Named, Spec, Type, Value};
use balance::library::eval::{
    Change, Column, EVALUATIONS, EvalError, FeatureSource, Features, Labelling, Score, Site, Split,
    View,
};
use balance::library::optimizer::OPTIMIZERS;
use balance::library::{Library, build};
use balance::seed::Stream;
use candle_core::{Device, Tensor};

/// Features made up by the test; the augmented ones are those of `train`, reversed in sign when
/// `flips`.
#[derive(Clone)]
struct Source {
    splits: BTreeMap<Split, (Vec<Vec<f32>>, Vec<u32>)>,
    classes: usize,
    dim: usize,
    flips: bool,
    /// How many classes one of those makes that an evaluation looks within: all of them, if not
    /// said.
    inside: u32,
}

impl Source {
    fn new(dim: usize, classes: usize) -> Self {
        Self { splits: BTreeMap::new(), classes, dim, flips: false, inside: classes as u32 }
    }

    fn with(mut self, split: Split, rows: Vec<Vec<f32>>, labels: Vec<u32>) -> Self {
        assert_eq!(rows.len(), labels.len());
        self.splits.insert(split, (rows, labels));
        self
    }

    fn observed(&self, at: usize, label: u32) -> u32 {
        if at % 7 == 6 { (label + 1) % self.classes as u32 } else { label }
    }

    /// Each split with `counts` rows: `row(label, item)` for labels 0, 1, … in turn.
    fn cycle(mut self, counts: [usize; 3], row: impl Fn(u32, usize) -> Vec<f32>) -> Self {
        for (split, count) in Split::ALL.into_iter().zip(counts) {
            let labels: Vec<u32> = (0..count).map(|it| (it % self.classes) as u32).collect();
            let rows = labels.iter().enumerate().map(|(item, label)| row(*label, item)).collect();
            self = self.with(split, rows, labels);
        }
        self
    }
}

impl FeatureSource for Source {
    fn features(&mut self, split: Split) -> Result<Features, EvalError> {
        let (rows, labels) = self.splits.get(&split).cloned().unwrap_or_default();
        let shape = (rows.len(), self.dim);
        Ok(Features { embedding: Tensor::from_vec(rows.concat(), shape, &Device::Cpu)?, labels })
    }

    fn augmented(&mut self, _: View) -> Result<Features, EvalError> {
        let Features { embedding, labels } = self.features(Split::Train)?;
        let sign = if self.flips { -1.0 } else { 1.0 };
        Ok(Features { embedding: embedding.affine(sign, 0.0)?, labels })
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn column(&mut self, split: Split, column: Column) -> Result<Option<Labelling>, EvalError> {
        let (_, labels) = self.splits.get(&split).cloned().unwrap_or_default();
        Ok(match column {
            Column::Within => Some(Labelling {
                labels: labels.iter().map(|label| label / self.inside).collect(),
                names: (0..=self.classes as u32 / self.inside).map(|it| format!("c{it}")).collect(),
            }),
            // Every seventh label is another.
            Column::Observed => Some(Labelling {
                labels: labels.iter().enumerate().map(|(at, it)| self.observed(at, *it)).collect(),
                names: (0..self.classes).map(|it| format!("c{it}")).collect(),
            }),
            Column::Groups => Some(Labelling {
                labels: labels.iter().map(|label| label % 2).collect(),
                names: vec!["even".to_owned(), "odd".to_owned()],
            }),
        })
    }

    fn changed(
        &mut self,
        split: Split,
        _needs_color: bool,
        _change: &Change,
    ) -> Result<Option<Features>, EvalError> {
        self.features(split).map(Some)
    }

    fn with(&mut self, split: Split) -> Result<Features, EvalError> {
        self.features(split)
    }

    /// The first coordinates, as a classifier would that was trained to find them.
    fn class_scores(&mut self, split: Split) -> Result<Option<Tensor>, EvalError> {
        let (rows, _) = self.splits.get(&split).cloned().unwrap_or_default();
        let scores = |row: &Vec<f32>| -> Vec<f32> {
            (0..self.classes).map(|at| row.get(at).copied().unwrap_or_default()).collect()
        };
        let scores: Vec<f32> = rows.iter().flat_map(scores).collect();
        Ok(Some(Tensor::from_vec(scores, (rows.len(), self.classes), &Device::Cpu)?))
    }
}

type Outcome = Result<Vec<Score>, EvalError>;

fn measure(bound: &Bound, source: &Source) -> Outcome {
    let site = &mut Site {
        library: &Library::standard(),
        stream: Stream::new(3),
        progress: &mut |_| ControlFlow::Continue(()),
    };
    build(EVALUATIONS, bound).evaluate(&mut source.clone(), site)
}

fn defaults(name: &str) -> Bound {
    let entry = EVALUATIONS.iter().find(|it| it.spec.name == name).expect("registered");
    defaults_of(&entry.spec)
}

/// The defaults, and something to compare with where that must be given.
fn defaults_of(spec: &'static Spec) -> Bound {
    let bound = Bound::defaults(spec);
    let with = Value::Features(Named::Encoder("b".to_owned()));
    if spec.param("with").is_some() { bound.with("with", with) } else { bound }
}

/// Every evaluation with its defaults, and with each of its choices and switches.
fn variants() -> Vec<Bound> {
    let mut variants = Vec::new();
    for entry in EVALUATIONS {
        let defaults = defaults_of(&entry.spec);
        for param in entry.spec.params {
            let values = match param.ty {
                Type::Choice(words) => words.iter().map(|it| Value::Word((*it).into())).collect(),
                Type::Bool => vec![Value::Bool(true), Value::Bool(false)],
                _ => vec![],
            };
            variants.extend(values.into_iter().map(|it| defaults.clone().with(param.name, it)));
        }
        variants.push(defaults);
    }
    // No classifier was trained on embeddings that are made up.
    let is_trained = Some(&Value::Word("trained".into()));
    variants.retain(|it| it.spec.name != "corruptions" || it.value("head") != is_trained);
    variants
}

fn value(outcome: &Outcome, split: Split, metric: &str) -> f64 {
    let scores = outcome.as_ref().unwrap_or_else(|error| panic!("{error:?}"));
    let found = scores.iter().find(|it| it.split == split && it.metric == metric);
    found.unwrap_or_else(|| panic!("no {metric} in {scores:?}")).value
}

/// Whether an evaluation guesses classes from those of training images.
fn guesses(bound: &Bound) -> bool {
    ["linear", "knn"].contains(&bound.spec.name)
}

/// Corner `label` of a simplex with as many corners as there are classes.
fn corner(label: u32, classes: usize) -> Vec<f32> {
    let share = 1.0 / classes as f32;
    (0..classes).map(|it| if it == label as usize { 1.0 - share } else { -share }).collect()
}

fn noisy(dim: usize, classes: usize, counts: [usize; 3], noise: f64) -> Source {
    let stream = RefCell::new(Stream::new(7));
    Source::new(dim, classes).cycle(counts, |label, _| {
        let mean = |d: usize| if d % classes == label as usize { 1.0 } else { 0.0 };
        let mut stream = stream.borrow_mut();
        (0..dim).map(|d| (mean(d) + noise * stream.normal()) as f32).collect()
    })
}

#[test]
fn perfect_features_have_the_best_values() {
    let source = Source::new(5, 5).cycle([203, 31, 57], |label, _| corner(label, 5));
    for bound in variants() {
        let outcome = measure(&bound, &source);
        for metric in bound.spec.metrics {
            let (best, tolerance) = match *metric {
                "worst_group_accuracy" | "adjusted_accuracy" => (1.0, 0.0),
                other if other.ends_with("_accuracy") && other != "permuted_accuracy" => (1.0, 0.0),
                // There are five classes.
                "auroc" | "robust_auroc" => continue,
                "accuracy" | "nearest_mean_accuracy" | "recall_at_1" | "map_at_r" | "rarest_f1" => {
                    (1.0, 0.0)
                }
                "nmi" | "ami" | "ari" => (1.0, 1e-12),
                // A probe of so few steps is right before it is sure.
                "ece" => (0.5, 0.5),
                // A simplex has one direction less than corners.
                "effective_rank" | "rankme" => (4.0, 0.05),
                "class_rank" | "least_class_rank" | "greatest_class_rank" => (0.0, 0.0),
                "cdnv" | "nc1" | "nc2_norms" | "nc2_angles" | "nc2_simplex" => (0.0, 1e-6),
                "cka" => (1.0, 1e-9),
                "uniformity" => ((0.2 + 0.8 * (-5.0f64).exp()).ln(), 0.3),
                // Of a classifier, and of augmented views: `geometry` has them.
                "nc3" | "nc4" | "alignment" => continue,
                // All but the variance is of a training, and `geometry` has it.
                _ if bound.spec.name == "theory" => continue,
                // All classes lie in one: what trades places inside it tells nothing.
                "permuted_accuracy" => (0.2, 0.15),
                _ if bound.spec.name == "permutation" => continue,
                "within_variance" | "etf_distance" => (0.0, 1e-6),
                "within_cosine" => (1.0, 1e-6),
                "between_cosine" => (-0.25, 1e-6),
                other => panic!("say here what the best `{other}` is"),
            };
            let is_measured = |split: &Split| bound.spec.splits.contains(&split.name());
            for split in [Split::Val, Split::Test].into_iter().filter(is_measured) {
                let found = value(&outcome, split, metric);
                assert!((found - best).abs() <= tolerance, "{bound}: {metric} = {found}");
            }
        }
    }
}

#[test]
fn constant_features_are_worth_chance() {
    for row in [vec![0.3, -1.2, 0.5], vec![0.0; 3]] {
        let source = Source::new(3, 4).cycle([100, 20, 60], |_, _| row.clone());
        for bound in variants() {
            let outcome = measure(&bound, &source);
            if !bound.spec.splits.contains(&"test") {
                // All are as near, so the first rows vote on everything.
                let found = value(&outcome, Split::Train, "auroc");
                assert!((0.2..0.8).contains(&found), "{bound}: {found}");
            } else if bound.spec.metrics.contains(&"accuracy") {
                assert_eq!(value(&outcome, Split::Test, "accuracy"), 0.25, "{bound}");
            } else if bound.spec.name == "retrieval" {
                // All are as near, so the first rows are found, of a class each.
                let found = value(&outcome, Split::Test, "map_at_r");
                assert!((0.0..0.3).contains(&found), "{bound}: {found}");
            } else if bound.spec.metrics.contains(&"within_variance") {
                let variance = value(&outcome, Split::Test, "within_variance");
                assert!(variance.abs() < 1e-12, "{bound}: {variance}");
            }
        }
    }
}

#[test]
fn every_row_counts_once_at_any_size() {
    // One image of class 0 carries the features of class 1, and nothing else is wrong.
    for count in [129, 257, 64, 65, 1025] {
        let rows = |label: u32, item: usize| corner(if item == 0 { 1 } else { label }, 3);
        let clean = Source::new(3, 3).cycle([300, 0, 0], |label, _| corner(label, 3));
        let labels: Vec<u32> = (0..count).map(|it| (it % 3) as u32).collect();
        let rows = labels.iter().enumerate().map(|(item, label)| rows(*label, item)).collect();
        let source = clean.with(Split::Test, rows, labels);
        for bound in variants().into_iter().filter(guesses) {
            let found = value(&measure(&bound, &source), Split::Test, "accuracy");
            assert_eq!(found, (count - 1) as f64 / count as f64, "{bound}");
        }
    }
}

#[test]
fn scores_are_declared_finite_and_repeatable() {
    let source = noisy(8, 4, [150, 30, 70], 0.7);
    for bound in variants() {
        let [first, second] = [measure(&bound, &source), measure(&bound, &source)];
        let [first, second] = [first, second].map(|it| it.unwrap_or_else(|e| panic!("{e:?}")));
        assert_eq!(first, second, "{bound}");
        assert!(first.iter().all(|it| bound.spec.metrics.contains(&it.metric)), "{bound}");
        assert!(first.iter().all(|it| it.value.is_finite()), "{bound}");
        let mut names: Vec<_> = first.iter().map(|it| (it.split, it.metric)).collect();
        names.dedup();
        assert_eq!(names.len(), first.len(), "{bound} reports one number for each name");
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let again = pool.install(|| measure(&bound, &source)).unwrap_or_default();
            assert_eq!(first, again, "{bound} on {threads} threads");
        }
    }
}

#[test]
fn features_that_are_not_finite_are_an_error() {
    for bad in [f32::NAN, f32::INFINITY] {
        for split in [Split::Train, Split::Test] {
            let mut source = noisy(4, 2, [40, 10, 20], 0.5);
            source.splits.get_mut(&split).unwrap().0[7][1] = bad;
            let reads = |it: &Bound| match it.spec.name {
                "retrieval" => split == Split::Test,
                "noisy_labels" => split == Split::Train,
                _ => true,
            };
            for bound in variants().into_iter().filter(reads) {
                match measure(&bound, &source) {
                    Err(EvalError::Failed(message)) => {
                        assert!(
                            message.contains(&format!("{} image 7", split.name())),
                            "{message}"
                        );
                    }
                    other => panic!("{bound}: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn odd_splits_are_measured_or_refused() {
    let one = |label: u32| (vec![corner(label, 3)], vec![label]);
    let (row, label) = one(2);
    let small = Source::new(3, 3).with(Split::Train, row.clone(), label.clone());
    let small = small.with(Split::Test, row, label);
    // Fewer training images than neighbours or than a batch, and classes without images.
    for bound in variants() {
        let outcome = measure(&bound, &small);
        if bound.spec.name == "subclasses" {
            let Err(EvalError::Failed(message)) = outcome else { panic!("{outcome:?}") };
            assert!(message.contains("nothing to find"), "{message}");
            continue;
        }
        if bound.spec.name == "few_shot" {
            let Err(EvalError::Failed(message)) = outcome else { panic!("{outcome:?}") };
            assert!(message.contains("class 0 of `labels` has 0 of the 5"), "{message}");
            continue;
        }
        if bound.value("from") == Some(&Value::Word("val".into())) {
            assert!(
                matches!(outcome, Err(EvalError::Failed(message)) if message.contains("no validation"))
            );
            continue;
        }
        let scores = outcome.unwrap_or_else(|error| panic!("{bound}: {error:?}"));
        assert!(scores.iter().all(|it| it.split != Split::Val && it.value.is_finite()), "{bound}");
        // Of pairs, and an image alone has nothing to find.
        let is_of_pairs = ["alignment", "cka", "retrieval"].contains(&bound.spec.name);
        let is_of_pairs = is_of_pairs || !bound.spec.splits.contains(&"test");
        assert!(is_of_pairs || scores.iter().any(|it| it.split == Split::Test), "{bound}");
        if guesses(&bound) {
            let mut guessed = scores.iter().filter(|it| it.metric == "accuracy");
            assert!(guessed.all(|it| it.value == 1.0), "{bound}: {scores:?}");
        }
        match measure(&bound, &Source::new(3, 3)) {
            Ok(scores) => assert!(scores.is_empty(), "{bound}"),
            Err(EvalError::Failed(message)) => assert!(message.contains("no training images")),
            Err(EvalError::Stopped) => panic!("{bound}"),
        }
    }
}

#[test]
fn the_user_can_stop_every_evaluation() {
    let source = noisy(4, 2, [40, 10, 20], 0.5);
    for bound in variants() {
        let mut shares = Vec::new();
        let mut progress = |share| {
            shares.push(share);
            if shares.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let library = Library::standard();
        let site = &mut Site { library: &library, stream: Stream::new(0), progress: &mut progress };
        let outcome = build(EVALUATIONS, &bound).evaluate(&mut source.clone(), site);
        assert!(matches!(outcome, Err(EvalError::Stopped)), "{bound}: {outcome:?}");
        assert!(shares[0] < shares[1] && shares[1] <= 1.0, "{bound}: {shares:?}");
    }
}

#[test]
fn neighbours_vote_as_in_a_naive_search() {
    let source = noisy(6, 3, [157, 41, 83], 1.0);
    for (k, vote) in [(1, "majority"), (7, "majority"), (7, "weighted"), (500, "weighted")] {
        let bound = defaults("knn").with("k", Value::Int(k)).with("vote", Value::Word(vote.into()));
        let outcome = measure(&bound, &source);
        for split in [Split::Val, Split::Test] {
            let expected = naive_knn(&source, split, k as usize, vote == "weighted");
            assert_eq!(value(&outcome, split, "accuracy"), expected, "{bound}");
        }
    }
}

fn naive_knn(source: &Source, split: Split, k: usize, weighted: bool) -> f64 {
    let (train, labels) = &source.splits[&Split::Train];
    let (rows, truth) = &source.splits[&split];
    let right = rows.iter().zip(truth).filter(|(row, truth)| {
        let mut near: Vec<(f64, usize)> =
            train.iter().enumerate().map(|(item, other)| (-cosine(row, other), item)).collect();
        near.sort_by(|a, b| a.partial_cmp(b).unwrap());
        let mut votes = vec![0.0; source.classes];
        for (distance, item) in near.iter().take(k) {
            votes[labels[*item] as usize] += if weighted { (-distance / 0.07).exp() } else { 1.0 };
        }
        let most = votes.iter().cloned().fold(f64::MIN, f64::max);
        votes.iter().position(|it| *it == most) == Some(**truth as usize)
    });
    right.count() as f64 / rows.len() as f64
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn equal_neighbours_come_in_order_and_equal_votes_go_to_the_first_class() {
    let rows = |n| vec![vec![1.0, 0.5]; n];
    let source = Source::new(2, 3).with(Split::Train, rows(3000), {
        let mut labels = vec![0; 3000];
        labels[..4].copy_from_slice(&[2, 1, 2, 1]);
        labels
    });
    let source = source.with(Split::Test, rows(2), vec![1, 2]);
    for (k, expected) in [(1, 2), (2, 1), (3, 2), (4, 1), (9, 0)] {
        let bound = defaults("knn").with("k", Value::Int(k));
        let found = value(&measure(&bound, &source), Split::Test, "accuracy");
        assert_eq!(found, if expected == 0 { 0.0 } else { 0.5 }, "{k}");
        let labels = vec![expected, expected];
        let sure = source.clone().with(Split::Test, rows(2), labels);
        assert_eq!(value(&measure(&bound, &sure), Split::Test, "accuracy"), 1.0, "{k}");
    }
}

#[test]
fn geometry_is_that_of_naive_pairs() {
    let source = noisy(5, 3, [40, 0, 31], 0.4);
    let outcome = measure(&defaults("geometry"), &source);
    for split in [Split::Train, Split::Test] {
        let (rows, labels) = &source.splits[&split];
        let members = |class: u32| -> Vec<&Vec<f32>> {
            rows.iter().zip(labels).filter(|(_, it)| **it == class).map(|(row, _)| row).collect()
        };
        let (mut variance, mut within) = (0.0, 0.0);
        let means: Vec<Vec<f64>> = (0..3).map(|class| mean_direction(&members(class))).collect();
        for class in 0..3 {
            let members = members(class);
            let n = members.len() as f64;
            variance += 1.0 - means[class as usize].iter().map(|it| it * it).sum::<f64>();
            let pairs = members.iter().enumerate().flat_map(|(i, a)| {
                let others = members.iter().enumerate().filter(move |(j, _)| *j != i);
                others.map(move |(_, b)| cosine(a, b))
            });
            within += pairs.sum::<f64>() / (n * (n - 1.0));
        }
        let dot = |a: usize, b: usize| -> f64 {
            means[a].iter().zip(&means[b]).map(|(a, b)| a * b).sum()
        };
        let pairs = [(0, 1), (0, 2), (1, 2)]
            .map(|(a, b)| dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt()));
        let expected = [
            ("within_variance", variance / 3.0),
            ("within_cosine", within / 3.0),
            ("between_cosine", pairs.iter().sum::<f64>() / 3.0),
            ("etf_distance", pairs.iter().map(|it| (it + 0.5).abs()).sum::<f64>() / 3.0),
        ];
        for (metric, expected) in expected {
            let found = value(&outcome, split, metric);
            assert!((found - expected).abs() < 1e-9, "{metric}: {found}, {expected}");
        }
    }
}

fn mean_direction(rows: &[&Vec<f32>]) -> Vec<f64> {
    let mut mean = vec![0.0; rows[0].len()];
    for row in rows {
        let norm = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        for (mean, x) in mean.iter_mut().zip(*row) {
            *mean += f64::from(*x) / norm / rows.len() as f64;
        }
    }
    mean
}

#[test]
fn augmented_features_train_the_probe_and_untouched_ones_test_it() {
    let mut source = Source::new(3, 3).cycle([90, 0, 30], |label, _| corner(label, 3));
    source.flips = true;
    let augmented = defaults("linear").with("features", Value::Word("augmented".into()));
    assert_eq!(value(&measure(&augmented, &source), Split::Test, "accuracy"), 0.0);
    assert_eq!(value(&measure(&defaults("linear"), &source), Split::Test, "accuracy"), 1.0);
}

#[test]
fn standardizing_ignores_scale_and_offset_of_each_dimension() {
    let plain = noisy(4, 3, [200, 0, 100], 0.3);
    let mut moved = plain.clone();
    for (rows, _) in moved.splits.values_mut() {
        for row in rows {
            row[0] = 1000.0 * row[0] + 5.0;
            row[1] = 0.001 * row[1] - 3.0;
            row.push(7.0);
        }
    }
    moved.dim = 5;
    let bound = defaults("linear").with("standardize", Value::Bool(true));
    let [plain, moved] =
        [plain, moved].map(|it| value(&measure(&bound, &it), Split::Test, "accuracy"));
    assert!(plain > 0.9 && (plain - moved).abs() < 0.011, "{plain} {moved}");
}

#[test]
fn a_probe_that_diverges_is_an_error() {
    let mut source = noisy(4, 2, [40, 0, 20], 0.5);
    for (rows, _) in source.splits.values_mut() {
        rows.iter_mut().flatten().for_each(|x| *x *= 1e30);
    }
    let sgd = OPTIMIZERS.iter().find(|it| it.spec.name == "sgd").unwrap();
    let sgd = Bound::defaults(&sgd.spec).with("lr", Value::Real(1e30));
    let bound = defaults("linear").with("optimizer", Value::Component(Box::new(sgd)));
    let outcome = measure(&bound, &source);
    let Err(EvalError::Failed(message)) = outcome else { panic!("{outcome:?}") };
    assert!(message.contains("diverged"), "{message}");
}

#[test]
fn a_probe_of_no_length_guesses_the_first_class() {
    let source = Source::new(3, 3).cycle([90, 0, 30], |label, _| corner(label, 3));
    let bound = defaults("linear").with("for", Value::Duration(Duration::epochs(0.0)));
    assert_eq!(value(&measure(&bound, &source), Split::Test, "accuracy"), 1.0 / 3.0);
}

#[test]
fn subclasses_are_found_inside_their_classes() {
    // Six subclasses in three classes of two; the last class is one point in the embedding.
    let stream = RefCell::new(Stream::new(2));
    let mut source = Source::new(6, 6).cycle([240, 60, 120], |label, _| {
        let mut stream = stream.borrow_mut();
        let mut row = corner(if label == 5 { 4 } else { label }, 6);
        row.iter_mut().for_each(|x| *x += 0.01 * stream.normal() as f32);
        row
    });
    source.inside = 2;
    for method in ["kmeans", "gmm"] {
        let bound = defaults("subclasses").with("method", Value::Word(method.into()));
        let inside = |name: &str| bound.clone().with("inside", Value::Text(name.into()));
        let of = |bound: &Bound, metric: &str| value(&measure(bound, &source), Split::Test, metric);
        assert_eq!(of(&inside("c0"), "accuracy"), 1.0, "{method}");
        assert_eq!(of(&inside("c1"), "rarest_f1"), 1.0, "{method}");
        let blurred = of(&inside("c2"), "accuracy");
        assert!((0.3..0.7).contains(&blurred), "{method}: {blurred}");
        let all = of(&bound, "accuracy");
        assert!((all - (2.0 + blurred) / 3.0).abs() < 1e-12, "{method}: {all}");
        let nmi = (2.0 + of(&inside("c2"), "nmi")) / 3.0;
        assert!((of(&bound, "nmi") - nmi).abs() < 1e-12, "{method}");
        let Err(EvalError::Failed(message)) = measure(&inside("c9"), &source) else { panic!() };
        assert!(message.contains("no class `c9`"), "{message}");
    }
}

#[test]
fn more_clusters_than_images_are_as_many_as_images() {
    let mut source = noisy(8, 4, [12, 0, 8], 0.3);
    source.inside = 2;
    for method in ["kmeans", "gmm"] {
        for covariance in ["full", "diagonal", "spherical"] {
            let bound = defaults("subclasses")
                .with("method", Value::Word(method.into()))
                .with("covariance", Value::Word(covariance.into()))
                .with("k", Value::Int(50));
            let found = value(&measure(&bound, &source), Split::Train, "accuracy");
            assert!((0.0..=1.0).contains(&found), "{bound}: {found}");
        }
    }
}

#[test]
fn a_mixture_without_regularisation_may_have_no_inverse() {
    let source = Source::new(3, 4).cycle([40, 0, 20], |_, _| vec![0.5, 0.5, 0.5]);
    let bound = defaults("subclasses")
        .with("method", Value::Word("gmm".into()))
        .with("regularisation", Value::Real(0.0));
    let Err(EvalError::Failed(message)) = measure(&bound, &source) else { panic!() };
    assert!(message.contains("regularisation"), "{message}");
}

#[test]
fn a_class_without_test_images_is_left_out_of_the_test_split() {
    let mut source = noisy(6, 4, [80, 0, 40], 0.05);
    source.inside = 2;
    let (rows, labels) = source.splits[&Split::Test].clone();
    let first = rows.into_iter().zip(labels).filter(|(_, label)| *label == 0);
    let (rows, labels) = first.unzip();
    let source = source.with(Split::Test, rows, labels);
    let outcome = measure(&defaults("subclasses"), &source);
    assert_eq!(value(&outcome, Split::Test, "accuracy"), 1.0);
    assert_eq!(value(&outcome, Split::Test, "rarest_f1"), 1.0);
}

#[test]
fn retrieval_leaves_out_what_is_alone() {
    let rows =
        vec![vec![1.0, 0.0], vec![0.9, 0.1], vec![0.0, 1.0], vec![0.1, 0.9], vec![-1.0, 0.0]];
    let source = Source::new(2, 3).with(Split::Train, rows.clone(), vec![0, 1, 1, 2, 2]).with(
        Split::Test,
        rows,
        vec![0, 0, 1, 0, 2],
    );
    let outcome = measure(&defaults("retrieval"), &source);
    // Classes 1 and 2 are of one image each; the last image of class 0 sees class 1 first.
    assert_eq!(value(&outcome, Split::Test, "recall_at_1"), 2.0 / 3.0);
    let expected = (1.0 + 1.0 + (0.0 + 1.0 / 2.0) / 2.0) / 3.0;
    assert!((value(&outcome, Split::Test, "map_at_r") - expected).abs() < 1e-12);
    let bound = defaults("retrieval").with("among", Value::Word("train".into()));
    let outcome = measure(&bound, &source);
    // Image 0 finds itself, 1 finds 1 of class 1, 2 and 4 themselves, 3 finds class 2.
    assert_eq!(value(&outcome, Split::Test, "recall_at_1"), 3.0 / 5.0);
}

/// Neighbours by a full sort, in plain loops.
#[test]
fn votes_on_changed_labels_are_those_of_a_full_ranking() {
    let (source, k) = (noisy(8, 4, [150, 0, 0], 0.7), 5);
    let (rows, labels) = source.splits[&Split::Train].clone();
    let observed: Vec<u32> =
        labels.iter().enumerate().map(|(at, label)| source.observed(at, *label)).collect();
    let product = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let cosine = |a: &[f32], b: &[f32]| product(a, b) / (product(a, a) * product(b, b)).sqrt();
    let (mut against, mut right) = (Vec::new(), 0);
    for (at, row) in rows.iter().enumerate() {
        let mut others: Vec<usize> = (0..rows.len()).filter(|it| *it != at).collect();
        others.sort_by(|a, b| cosine(row, &rows[*b]).total_cmp(&cosine(row, &rows[*a])));
        let count = |label: u32| others[..k].iter().filter(|it| observed[**it] == label).count();
        let most = (0..4).map(count).max().unwrap();
        let first = (0..4).find(|it| count(*it) == most).unwrap();
        let own = observed[at];
        against.push((k - count(own)) as f64);
        right += usize::from(labels[at] == if count(own) == most { own } else { first });
    }
    // How often a flipped label has more against it than another, of all pairs.
    let (mut wins, mut pairs) = (0.0, 0.0);
    let flipped: Vec<usize> = (0..rows.len()).filter(|at| observed[*at] != labels[*at]).collect();
    for a in &flipped {
        for b in (0..rows.len()).filter(|at| observed[*at] == labels[*at]) {
            pairs += 1.0;
            wins += match against[*a].total_cmp(&against[b]) {
                Ordering::Greater => 1.0,
                Ordering::Equal => 0.5,
                Ordering::Less => 0.0,
            };
        }
    }
    let outcome = measure(&defaults("noisy_labels").with("k", Value::Int(k as i64)), &source);
    for (metric, expected) in [
        ("auroc", wins / pairs),
        ("accuracy", right as f64 / rows.len() as f64),
        ("observed_accuracy", 1.0 - flipped.len() as f64 / rows.len() as f64),
    ] {
        let found = value(&outcome, Split::Train, metric);
        assert!((found - expected).abs() < 1e-12, "{metric}: {found}, not {expected}");
    }
}
