//! CPU time of what evaluations compute, on rows of numbers that another program wrote: once for
//! each call, so that `tests/bench/versus/evaluate.py` can take turns with scikit-learn.
//!
//! `evaluate knn FILE DIM QUERIES K`, `evaluate kmeans FILE DIM K STEPS`, `evaluate retrieval
//! FILE DIM QUERIES CLASSES` and `evaluate linear FILE DIM CLASSES STEPS`, each with a file of f32.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "its output is for people")]

use std::convert::Infallible;

use balance::measure::Points;
use balance::measure::kmeans::KMeans;
use balance::measure::lbfgs::Lbfgs;
use balance::measure::logistic::{Examples, Logistic};
use balance::measure::nearest::nearest;
use balance::measure::retrieval::{Items, retrieve};

/// Rows that a linear probe is scored on; the search for it is what takes the time.
const SCORED: usize = 1000;

/// Seconds all threads of this process have computed.
fn cpu() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock writes to a structure that is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn rows(path: &str) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    bytes.chunks_exact(4).map(|it| f32::from_le_bytes(it.try_into().unwrap())).collect()
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let [case, path, numbers @ ..] = &args[..] else {
        println!("usage: evaluate knn|kmeans|retrieval|linear FILE DIM …");
        return;
    };
    let numbers: Vec<usize> = numbers.iter().map(|it| it.parse().unwrap()).collect();
    let (values, dim) = (rows(path), numbers[0]);
    let before = cpu();
    let found = match (case.as_str(), &numbers[1..]) {
        ("knn", [queries, k]) => {
            let (queries, memory) = values.split_at(queries * dim);
            let found = nearest(queries, memory, dim, *k);
            found.iter().map(|near| near[0].index as f64).sum()
        }
        ("kmeans", [k, steps]) => {
            let search = KMeans { steps: *steps, ..KMeans::new(*k, 1) };
            search.from(Points::new(&values, dim), &values[..k * dim]).inertia
        }
        ("retrieval", [queries, classes]) => {
            let labels: Vec<u32> =
                (0..values.len() / dim).map(|it| (it % classes) as u32).collect();
            let items = Items { unit: &values, labels: &labels };
            let some = Items { unit: &values[..queries * dim], labels: &labels[..*queries] };
            let found = retrieve(some, items, dim, Some(0));
            found.iter().flatten().map(|it| it.precision).sum()
        }
        ("linear", [classes, iterations]) => {
            let labels: Vec<u32> =
                (0..values.len() / dim).map(|it| (it % classes) as u32).collect();
            let examples = Examples { rows: &values, dim, labels: &labels, classes: *classes };
            let search = Lbfgs { memory: 10, tolerance: 1e-4, iterations: *iterations };
            let Ok(model) =
                Logistic::by_lbfgs(&examples, 1.0, &search, || Ok::<(), Infallible>(()));
            let best = |scores: Vec<f64>| {
                (0..scores.len())
                    .fold(0, |best, it| if scores[it] > scores[best] { it } else { best })
            };
            let rows = values.chunks_exact(dim).zip(&labels).take(SCORED);
            let right = rows.filter(|(row, label)| best(model.scores(row)) == **label as usize);
            right.count() as f64 / SCORED as f64
        }
        _ => panic!("not a case: {args:?}"),
    };
    println!("{} {found}", cpu() - before);
}
