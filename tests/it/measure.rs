//! What evaluations compute of embeddings, against scikit-learn, SciPy and naive searches.

use std::ops::ControlFlow;

use balance::measure::Points;
use balance::measure::agreement::{Contingency, f1};
use balance::measure::assignment::assign;
use balance::measure::calibration::expected_calibration_error;
use balance::measure::kmeans::KMeans;
use balance::measure::mixture::{Covariance, Fit};
use balance::measure::nearest::nearest;
use balance::measure::retrieval::{Items, retrieve};
use balance::measure::roc::auroc;
use balance::measure::silhouette::{mean_of_clusters, silhouettes};
use balance::measure::subclasses::Search;
use balance::seed::Stream;
use safetensors::{Dtype, SafeTensors};

/// Numbers made by `tests/parity/clustering.py`.
struct Fixture(Vec<u8>);

impl Fixture {
    fn open() -> Self {
        let file = "tests/parity/fixtures/clustering.safetensors";
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        Self(std::fs::read(path).unwrap())
    }

    fn bytes<const N: usize>(&self, name: &str, dtype: Dtype) -> (Vec<usize>, Vec<[u8; N]>) {
        let all = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = all.tensor(name).unwrap_or_else(|_| panic!("{name}"));
        assert_eq!(tensor.dtype(), dtype, "{name}");
        let bytes = tensor.data().chunks_exact(N).map(|it| it.try_into().unwrap()).collect();
        (tensor.shape().to_vec(), bytes)
    }

    fn reals(&self, name: &str) -> Vec<f64> {
        let (_, bytes) = self.bytes(name, Dtype::F64);
        bytes.into_iter().map(f64::from_le_bytes).collect()
    }

    /// Rows of numbers, and the width of a row.
    fn points(&self, name: &str) -> (Vec<f32>, usize) {
        let (shape, bytes) = self.bytes(name, Dtype::F32);
        (bytes.into_iter().map(f32::from_le_bytes).collect(), shape[1])
    }

    fn whole(&self, name: &str) -> Vec<i32> {
        let (_, bytes) = self.bytes(name, Dtype::I32);
        bytes.into_iter().map(i32::from_le_bytes).collect()
    }

    fn labels(&self, name: &str) -> Vec<u32> {
        self.whole(name).into_iter().map(|it| it as u32).collect()
    }
}

fn assert_near(found: &[f64], expected: &[f64], tolerance: f64, name: &str) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (found, expected) in found.iter().zip(expected) {
        let scale = expected.abs().max(1.0);
        assert!((found - expected).abs() <= tolerance * scale, "{name}: {found}, not {expected}");
    }
}

/// Points around `clusters` corners.
fn blobs(count: usize, dim: usize, clusters: usize, noise: f64) -> (Vec<f32>, Vec<u32>) {
    let mut stream = Stream::new(11);
    let corners: Vec<f64> = (0..clusters * dim).map(|_| stream.normal()).collect();
    let labels: Vec<u32> = (0..count).map(|_| stream.below(clusters) as u32).collect();
    let corner = |label: u32, at: usize| corners[label as usize * dim + at];
    let mut values = Vec::new();
    for label in &labels {
        values.extend((0..dim).map(|at| (corner(*label, at) + noise * stream.normal()) as f32));
    }
    (values, labels)
}

#[test]
fn k_means_takes_the_steps_of_scikit_learn() {
    let fixture = Fixture::open();
    let cases = ["overlapping", "far_from_zero", "empty_cluster", "fewer_points_than_dimensions"];
    for case in cases {
        let name = |what: &str| format!("kmeans.{case}.{what}");
        // The empty cluster is one of the overlapping points, seen from another start.
        let points =
            if case == "empty_cluster" { "kmeans.overlapping.points" } else { &name("points") };
        let (values, dim) = fixture.points(points);
        let (start, _) = fixture.points(&name("start"));
        let points = Points::new(&values, dim);
        let found = KMeans::new(start.len() / dim, 1).from(points, &start);
        assert_eq!(found.labels, fixture.labels(&name("labels")), "{case}");
        assert_eq!(found.steps, fixture.whole(&name("steps"))[0] as usize, "{case}");
        assert_near(&[found.inertia], &fixture.reals(&name("inertia"))[..1], 1e-5, case);
        let centres: Vec<f64> = found.centres().iter().map(|x| f64::from(*x)).collect();
        let (expected, _) = fixture.points(&name("centres"));
        let expected: Vec<f64> = expected.iter().map(|x| f64::from(*x)).collect();
        assert_near(&centres, &expected, 2e-6, case);
        assert_eq!(found.predict(points), found.labels, "{case}");
    }
}

#[test]
fn k_means_finds_clusters_that_are_far_apart() {
    let (values, labels) = blobs(3000, 24, 12, 0.1);
    let found = KMeans::new(12, 3).fit(Points::new(&values, 24), &Stream::new(0));
    let agreement = Contingency::of(&found.labels, &labels);
    assert_eq!(agreement.ari(), 1.0);
    let expected = 3000.0 * 24.0 * 0.01;
    assert!((found.inertia / expected - 1.0).abs() < 0.05, "{}", found.inertia);
}

#[test]
fn k_means_is_the_same_at_any_number_of_threads() {
    let (values, _) = blobs(9001, 17, 9, 1.0);
    let points = Points::new(&values, 17);
    let fit = || KMeans::new(9, 2).fit(points, &Stream::new(5));
    let expected = fit();
    for threads in [1, 3, 8] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let found = pool.install(fit);
        assert_eq!(found.labels, expected.labels);
        assert_eq!(found.inertia.to_bits(), expected.inertia.to_bits());
        assert_eq!(found.centres(), expected.centres());
    }
}

#[test]
fn k_means_bears_equal_points_and_too_many_clusters() {
    let equal = vec![0.3; 40 * 7];
    let found = KMeans::new(4, 2).fit(Points::new(&equal, 7), &Stream::new(1));
    assert!(found.labels.iter().all(|label| *label == found.labels[0]));
    assert!(found.inertia < 1e-10 && found.centres().iter().all(|x| (x - 0.3).abs() < 1e-6));
    let (few, _) = blobs(5, 3, 2, 0.5);
    let found = KMeans::new(9, 1).fit(Points::new(&few, 3), &Stream::new(1));
    assert_eq!(found.count(), 5);
    assert!(found.inertia < 1e-9, "each point is a cluster");
    let two = [[1.0, 2.0], [3.0, 4.0]].concat().repeat(20);
    let found = KMeans::new(3, 1).fit(Points::new(&two, 2), &Stream::new(2));
    assert!(found.inertia < 1e-9, "two places have no third cluster: {}", found.inertia);
}

#[test]
fn mixtures_are_those_of_scikit_learn() {
    let fixture = Fixture::open();
    for (case, points) in
        [("mixture", "mixture"), ("mixture_few", "kmeans.fewer_points_than_dimensions")]
    {
        let (values, dim) = fixture.points(&format!("{points}.points"));
        let points = Points::new(&values, dim);
        let start = fixture.labels(&format!("{case}.start"));
        for (kind, covariance) in [
            ("full", Covariance::Full),
            ("diag", Covariance::Diagonal),
            ("spherical", Covariance::Spherical),
        ] {
            let name = |what: &str| format!("{case}.{kind}.{what}");
            let found = Fit::new(covariance).from(points, &start, 3).unwrap();
            assert_eq!(found.predict(points), fixture.labels(&name("labels")), "{case} {kind}");
            for (what, found) in [
                ("log_likelihood", &[found.log_likelihood(points)][..]),
                ("weights", &found.weights()),
                ("means", found.means()),
            ] {
                assert_near(found, &fixture.reals(&name(what)), 1e-7, &name(what));
            }
        }
    }
}

#[test]
fn mixtures_bear_equal_points_and_say_when_they_cannot() {
    let equal = vec![0.25; 30 * 4];
    let points = Points::new(&equal, 4);
    for covariance in [Covariance::Full, Covariance::Diagonal, Covariance::Spherical] {
        let found = Fit::new(covariance).from(points, &[0; 30], 2).unwrap();
        assert_eq!(found.predict(points), [0; 30]);
        assert!(found.log_likelihood(points).is_finite());
        let bare = Fit { regularisation: 0.0, ..Fit::new(covariance) };
        assert!(bare.from(points, &[0; 30], 2).is_none(), "{covariance:?}");
    }
}

#[test]
fn agreement_is_that_of_scikit_learn() {
    let fixture = Fixture::open();
    let cases = [
        "chance",
        "near",
        "renamed",
        "one_cluster",
        "one_each",
        "both_one",
        "gaps",
        "opposed",
        "many",
    ];
    for case in cases {
        let labels = |which: &str| fixture.labels(&format!("agreement.{case}.{which}"));
        let (first, second) = (labels("first"), labels("second"));
        let expected = fixture.reals(&format!("agreement.{case}.scores"));
        for found in [Contingency::of(&first, &second), Contingency::of(&second, &first)] {
            assert_near(&[found.nmi(), found.ami(), found.ari()], &expected, 1e-9, case);
        }
    }
}

#[test]
fn f1_counts_what_is_guessed_and_what_is_there() {
    let (guesses, labels) = ([0, 0, 1, 1, 1, 2], [0, 1, 1, 1, 2, 2]);
    assert_eq!(f1(&guesses, &labels, 1), 2.0 * 2.0 / 6.0);
    assert_eq!(f1(&guesses, &labels, 0), 2.0 / 3.0);
    assert_eq!(f1(&guesses, &labels, 7), 0.0);
}

#[test]
fn assignments_are_those_of_scipy() {
    let fixture = Fixture::open();
    for case in ["square", "wide", "tall", "counts", "ties"] {
        let name = |what: &str| format!("assignment.{case}.{what}");
        let worth = fixture.reals(&name("worth"));
        let given = fixture.whole(&name("given"));
        let (rows, columns) = (given.len(), worth.len() / given.len());
        let found = assign(&worth, rows, columns);
        let pairs = || found.iter().enumerate().filter_map(|(row, it)| it.map(|it| (row, it)));
        let mut used: Vec<usize> = pairs().map(|(_, column)| column).collect();
        used.sort_unstable();
        used.dedup();
        assert_eq!(
            used.len(),
            rows.min(columns),
            "{case}: each column once, and as many as can be"
        );
        let sum: f64 = pairs().map(|(row, column)| worth[row * columns + column]).sum();
        assert_near(&[sum], &fixture.reals(&name("sum")), 1e-12, case);
        // Where worths are equal, there are other assignments as good.
        if !["counts", "ties"].contains(&case) {
            let given: Vec<_> = given.iter().map(|it| usize::try_from(*it).ok()).collect();
            assert_eq!(found, given, "{case}");
        }
    }
}

#[test]
fn assignments_are_the_best_of_all() {
    let mut stream = Stream::new(4);
    for (rows, columns) in [(1, 1), (3, 3), (2, 5), (5, 2), (4, 4), (5, 5), (3, 1)] {
        for _ in 0..20 {
            let worth: Vec<f64> = (0..rows * columns).map(|_| stream.below(9) as f64).collect();
            let found = assign(&worth, rows, columns);
            let sum: f64 = found
                .iter()
                .enumerate()
                .filter_map(|(row, column)| column.map(|column| worth[row * columns + column]))
                .sum();
            assert_eq!(sum, best(&worth, columns, 0, rows, &mut vec![false; columns]));
        }
    }
    assert!(assign(&[], 0, 0).is_empty());
}

/// The largest sum of worths from row `row` on, by trying everything.
fn best(worth: &[f64], columns: usize, row: usize, rows: usize, used: &mut Vec<bool>) -> f64 {
    if row == rows {
        return 0.0;
    }
    let mut most = best(worth, columns, row + 1, rows, used);
    for column in 0..columns {
        if !used[column] {
            used[column] = true;
            let rest = best(worth, columns, row + 1, rows, used);
            most = most.max(worth[row * columns + column] + rest);
            used[column] = false;
        }
    }
    most
}

#[test]
fn silhouettes_are_those_of_scikit_learn() {
    let fixture = Fixture::open();
    let (values, dim) = fixture.points("kmeans.overlapping.points");
    let cases = ["truth", "halves", "single"];
    let labellings: Vec<Vec<u32>> =
        cases.iter().map(|it| fixture.labels(&format!("silhouette.{it}.labels"))).collect();
    let found = silhouettes(Points::new(&values, dim), &labellings);
    for (case, found) in cases.iter().zip(&found) {
        assert_near(found, &fixture.reals(&format!("silhouette.{case}.values")), 1e-9, case);
    }
}

#[test]
fn silhouettes_of_one_cluster_and_of_equal_points_are_zero() {
    let (values, labels) = blobs(70, 5, 2, 0.5);
    let found = silhouettes(Points::new(&values, 5), &[vec![0; 70], labels.clone()]);
    assert_eq!(found[0], [0.0; 70]);
    assert!(mean_of_clusters(&found[1], &labels) > 0.0);
    assert_eq!(mean_of_clusters(&[], &[]), 0.0);
    let equal = vec![1.0; 70 * 5];
    assert_eq!(silhouettes(Points::new(&equal, 5), &[labels])[0], [0.0; 70]);
}

#[test]
fn the_number_of_clusters_is_found() {
    let (values, labels) = blobs(900, 10, 4, 0.15);
    for covariance in [None, Some(Covariance::Diagonal)] {
        let points = Points::new(&values, 10);
        let search = Search::new(covariance, 3);
        let told = &mut |_| ControlFlow::Continue(());
        let found = search.choose(points, 10, &Stream::new(3), told).unwrap();
        assert_eq!(Contingency::of(&found.predict(points), &labels).ari(), 1.0, "{covariance:?}");
    }
}

#[test]
fn calibration_is_that_of_the_reference() {
    let fixture = Fixture::open();
    let confidences = fixture.reals("calibration.confidences");
    let right: Vec<bool> = fixture.whole("calibration.right").iter().map(|it| *it == 1).collect();
    let bins = [1, 5, 10, 15, 100];
    let found = bins.map(|bins| expected_calibration_error(&confidences, &right, bins).unwrap());
    assert_near(&found, &fixture.reals("calibration.ece"), 1e-12, "ece");
    assert_eq!(expected_calibration_error(&[], &[], 15), None);
    let tied = fixture.reals("calibration.tied");
    let found = [&confidences, &tied].map(|scores| auroc(scores, &right).unwrap());
    assert_near(&found, &fixture.reals("calibration.auroc"), 1e-12, "auroc");
    assert_eq!(auroc(&[0.1, 0.2], &[true, true]), None);
    assert_eq!(auroc(&[0.5, 0.5], &[true, false]), Some(0.5));
}

#[test]
fn retrieval_is_that_of_a_full_ranking() {
    let fixture = Fixture::open();
    let (queries, dim) = fixture.points("retrieval.queries");
    let (gallery, _) = fixture.points("retrieval.gallery");
    let labels = fixture.labels("retrieval.labels");
    let gallery_labels = fixture.labels("retrieval.gallery_labels");
    let queries = Items { unit: &queries, labels: &labels };
    let gallery = Items { unit: &gallery, labels: &gallery_labels };
    for (case, found) in [
        ("split", retrieve(queries, queries, dim, Some(0))),
        ("train", retrieve(queries, gallery, dim, None)),
    ] {
        let expected = fixture.reals(&format!("retrieval.{case}.precision"));
        let found_precision: Vec<f64> =
            found.iter().map(|it| it.map_or(-1.0, |it| it.precision)).collect();
        assert_near(&found_precision, &expected, 1e-12, case);
        let first: Vec<i32> =
            found.iter().map(|it| it.map_or(-1, |it| i32::from(it.first))).collect();
        assert_eq!(first, fixture.whole(&format!("retrieval.{case}.first")), "{case}");
    }
}

#[test]
fn equal_items_are_found_in_their_order() {
    let unit = [1.0, 0.0].repeat(6);
    let labels = [0, 1, 1, 0, 1, 0];
    let items = Items { unit: &unit, labels: &labels };
    let found = retrieve(items, items, 2, Some(0));
    // The first sees 1 1 0 1 0, the second 0 1 0 1 0.
    assert_eq!((found[0].unwrap().first, found[0].unwrap().precision), (false, 0.0));
    assert_eq!((found[1].unwrap().first, found[1].unwrap().precision), (false, 0.25));
    let near = nearest(&[1.0, 0.0], &unit, 2, 3);
    assert_eq!(near[0].iter().map(|it| it.index).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn clusters_are_cut_where_silhouettes_grow() {
    // One cluster is five heaps, the other is one.
    let mut stream = Stream::new(8);
    let mut values = Vec::new();
    for item in 0..800 {
        let mut row = [4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        if item % 2 == 0 {
            row[0] = -4.0;
            row[1 + item / 2 % 5] = 3.0;
        }
        values.extend(row.map(|x| (x + 0.2 * stream.normal()) as f32));
    }
    let points = Points::new(&values, 7);
    let search = Search::new(None, 3);
    let found = search.fit(points, 2, &Stream::new(0)).unwrap();
    let heaps: Vec<u32> =
        (0..800).map(|item| if item % 2 == 0 { 1 + item / 2 % 5 } else { 0 }).collect();
    let cut = |val: Option<&[f32]>| {
        let val = val.map(|val| Points::new(val, 7));
        let cut = search.cut((points, None), val, found.clone(), &Stream::new(1));
        Contingency::of(&cut.predict(points), &heaps)
    };
    assert_eq!(cut(None).ari(), 1.0);
    assert_eq!(cut(Some(&values)).ari(), 1.0);
    // Ten images of validation are too few for any part.
    let few = cut(Some(&values[..10 * 7]));
    assert_eq!(few.counts.len(), 2);
    assert!(few.ari() < 0.8);
}
