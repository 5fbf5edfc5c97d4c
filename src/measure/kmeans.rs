//! K-means: Lloyd's steps from starts by k-means++ (Arthur and Vassilvitskii, 2007).
//!
//! Products are in `f32` on points that were moved to mean zero; sums and distances that are
//! reported are in `f64`.

use rayon::prelude::*;

use super::points::{BLOCK, Points};
use super::spread::{Moved, distances};
use crate::kernel::matrix::{Matrix, Product};
use crate::seed::Stream;

/// Rows whose changes are collected by one task.
const PART: usize = 16 * BLOCK;

/// How k-means is run.
#[derive(Debug, Clone, Copy)]
pub struct KMeans {
    /// How many clusters; fewer when there are fewer points.
    pub k: usize,
    /// How often it is begun anew; the result of least inertia counts.
    pub starts: usize,
    /// The most steps of one run.
    pub steps: usize,
    /// It ends when the centres move by no more than this share of the variance.
    pub tolerance: f64,
}

impl KMeans {
    /// With scikit-learn's limits.
    pub fn new(k: usize, starts: usize) -> Self {
        Self { k, starts, steps: 300, tolerance: 1e-4 }
    }

    /// Clusters `points`; equal results go to the first start.
    pub fn fit(&self, points: Points, stream: &Stream) -> Clusters {
        let moved = Moved::new(points);
        let k = self.k.min(points.len());
        let runs = (0..self.starts.max(1)).map(|start| {
            let centres = plus_plus(&moved, k, &mut stream.at(start as u64));
            self.lloyd(&moved, centres)
        });
        let best = runs.reduce(|best, it| if it.inertia < best.inertia { it } else { best });
        best.expect("it is begun at least once")
    }

    /// Clusters `points` from the given `centres`.
    pub fn from(&self, points: Points, centres: &[f32]) -> Clusters {
        let moved = Moved::new(points);
        let centres = moved.move_along(Points::new(centres, points.dim));
        self.lloyd(&moved, centres)
    }

    fn lloyd(&self, moved: &Moved, centres: Vec<f32>) -> Clusters {
        let least = self.tolerance * moved.variance();
        let mut state = State::new(moved, centres);
        let mut steps = 0;
        let mut settled = false;
        while steps < self.steps && !settled {
            let changed = state.assign();
            steps += 1;
            settled = steps > 1 && changed == 0;
            if !settled && state.average() <= least {
                break;
            }
        }
        if !settled {
            state.assign();
        }
        state.finish(steps)
    }
}

/// What k-means found.
#[derive(Debug, Clone)]
pub struct Clusters {
    /// The cluster of each point.
    pub labels: Vec<u32>,
    /// The sum of the squared distances of the points from their centres.
    pub inertia: f64,
    pub steps: usize,
    /// Seen from the mean of the points.
    centres: Vec<f32>,
    origin: Vec<f64>,
}

impl Clusters {
    /// How many clusters there are, those without points included.
    pub fn count(&self) -> usize {
        self.centres.len() / self.origin.len()
    }

    /// The centre of each cluster.
    pub fn centres(&self) -> Vec<f32> {
        let rows = self.centres.chunks_exact(self.origin.len());
        let back = |row: &[f32]| -> Vec<f32> {
            row.iter()
                .zip(&self.origin)
                .map(|(x, origin)| (f64::from(*x) + origin) as f32)
                .collect()
        };
        rows.flat_map(back).collect()
    }

    /// The cluster whose centre is nearest to each of `points`; of equal ones the first.
    pub fn predict(&self, points: Points) -> Vec<u32> {
        let centres = Centres::new(&self.centres, points.dim);
        let labels = points.blocks(BLOCK).map(|block| {
            let moved = block.less(&self.origin);
            let mut labels = vec![0; block.len()];
            centres.nearest(Points::new(&moved, points.dim), &mut labels);
            labels
        });
        labels.collect::<Vec<_>>().concat()
    }
}

/// Centres as the assignment wants them.
struct Centres<'a> {
    values: &'a [f32],
    dim: usize,
    half_squares: Vec<f32>,
}

impl<'a> Centres<'a> {
    fn new(values: &'a [f32], dim: usize) -> Self {
        let half =
            |row: &[f32]| (0.5 * row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>()) as f32;
        Self { values, dim, half_squares: values.chunks_exact(dim).map(half).collect() }
    }

    /// The nearest centre of each row of a block: where `x c - |c|^2 / 2` is largest.
    fn nearest(&self, block: Points, labels: &mut [u32]) {
        let (rows, k) = (block.len(), self.half_squares.len());
        let mut products = vec![0.0; rows * k];
        Product::into(&mut products, k).of(
            Matrix::new(block.values, rows, self.dim),
            Matrix::new(self.values, k, self.dim).t(),
        );
        for (label, row) in labels.iter_mut().zip(products.chunks_exact(k)) {
            let (mut best, mut most) = (0, f32::NEG_INFINITY);
            for (at, (product, half)) in row.iter().zip(&self.half_squares).enumerate() {
                if product - half > most {
                    (best, most) = (at as u32, product - half);
                }
            }
            *label = best;
        }
    }
}

/// A run between two steps. Sums follow the labels that change, so that late steps are cheap.
struct State<'a> {
    moved: &'a Moved,
    centres: Vec<f32>,
    labels: Vec<u32>,
    sums: Vec<f64>,
    counts: Vec<i64>,
}

/// What a part of the points changes.
struct Change {
    sums: Vec<f64>,
    counts: Vec<i64>,
    changed: usize,
}

/// The label of a point that has none yet.
const NONE: u32 = u32::MAX;

impl<'a> State<'a> {
    fn new(moved: &'a Moved, centres: Vec<f32>) -> Self {
        let k = centres.len() / moved.dim;
        let (sums, counts) = (vec![0.0; centres.len()], vec![0; k]);
        Self { moved, centres, labels: vec![NONE; moved.len()], sums, counts }
    }

    /// Gives each point its nearest centre; the number of those that changed.
    fn assign(&mut self) -> usize {
        let dim = self.moved.dim;
        let centres = Centres::new(&self.centres, dim);
        let parts = self.labels.par_chunks_mut(PART).zip(self.moved.points().blocks(PART));
        let changes: Vec<Change> =
            parts.map(|(labels, part)| change(&centres, labels, part)).collect();
        let mut changed = 0;
        for change in changes.iter().filter(|it| it.changed > 0) {
            self.sums.iter_mut().zip(&change.sums).for_each(|(sum, x)| *sum += x);
            self.counts.iter_mut().zip(&change.counts).for_each(|(count, n)| *count += n);
            changed += change.changed;
        }
        changed
    }

    /// Moves each centre to the mean of its points; the sum of the squared ways.
    fn average(&mut self) -> f64 {
        self.fill_empty();
        let dim = self.moved.dim;
        let mut way = 0.0;
        for (at, centre) in self.centres.iter_mut().enumerate() {
            // A centre that nothing can be given to stays where it is.
            let count = self.counts[at / dim];
            if count > 0 {
                let mean = (self.sums[at] / count as f64) as f32;
                way += f64::from(mean - *centre).powi(2);
                *centre = mean;
            }
        }
        way
    }

    /// Gives each cluster without points the point farthest from its centre, the farthest first.
    fn fill_empty(&mut self) {
        let empty: Vec<usize> = (0..self.counts.len()).filter(|it| self.counts[*it] == 0).collect();
        if empty.is_empty() {
            return;
        }
        let distances = self.distances();
        let mut order: Vec<usize> = (0..distances.len()).collect();
        order.sort_by(|a, b| distances[*b].total_cmp(&distances[*a]).then(a.cmp(b)));
        for (cluster, point) in empty.into_iter().zip(order) {
            let old = self.labels[point] as usize;
            if distances[point] > 0.0 && self.counts[old] > 1 {
                self.give(point, old, cluster);
            }
        }
    }

    fn give(&mut self, point: usize, from: usize, to: usize) {
        let dim = self.moved.dim;
        for (at, x) in self.moved.points().row(point).iter().enumerate() {
            self.sums[from * dim + at] -= f64::from(*x);
            self.sums[to * dim + at] += f64::from(*x);
        }
        self.counts[from] -= 1;
        self.counts[to] += 1;
        self.labels[point] = to as u32;
    }

    /// The squared distance of each point from its centre.
    fn distances(&self) -> Vec<f64> {
        let (dim, points) = (self.moved.dim, self.moved.points());
        let of = |(at, label): (usize, &u32)| {
            let centre = &self.centres[*label as usize * dim..][..dim];
            squared_distance(points.row(at), centre)
        };
        self.labels.par_iter().enumerate().with_min_len(BLOCK).map(of).collect()
    }

    fn finish(self, steps: usize) -> Clusters {
        let inertia = self.distances().iter().sum();
        let origin = self.moved.origin.clone();
        Clusters { labels: self.labels, inertia, steps, centres: self.centres, origin }
    }
}

fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    let mut lanes = [0.0; 8];
    for (a, b) in a.chunks(8).zip(b.chunks(8)) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += (f64::from(*a) - f64::from(*b)).powi(2);
        }
    }
    lanes.iter().sum()
}

/// Labels a part of the points anew.
fn change(centres: &Centres, labels: &mut [u32], part: Points) -> Change {
    let mut change = Change { sums: Vec::new(), counts: Vec::new(), changed: 0 };
    let mut nearest = [0; BLOCK];
    for (block, labels) in labels.chunks_mut(BLOCK).enumerate() {
        let rows = part.part(block * BLOCK..block * BLOCK + labels.len());
        centres.nearest(rows, &mut nearest[..labels.len()]);
        for (at, (old, new)) in labels.iter_mut().zip(nearest).enumerate() {
            if *old != new {
                if change.changed == 0 {
                    change.sums = vec![0.0; centres.values.len()];
                    change.counts = vec![0; centres.half_squares.len()];
                }
                change.changed += 1;
                change.add(rows.row(at), new as usize, 1);
                if *old != NONE {
                    change.add(rows.row(at), *old as usize, -1);
                }
                *old = new;
            }
        }
    }
    change
}

impl Change {
    fn add(&mut self, row: &[f32], cluster: usize, sign: i64) {
        let sums = &mut self.sums[cluster * row.len()..][..row.len()];
        for (sum, x) in sums.iter_mut().zip(row) {
            *sum += sign as f64 * f64::from(*x);
        }
        self.counts[cluster] += sign;
    }
}

/// Starting centres that are far from each other: each the best of several points that are drawn
/// by their squared distance from those before it.
fn plus_plus(moved: &Moved, k: usize, stream: &mut Stream) -> Vec<f32> {
    let points = moved.points();
    let trials = 2 + (k as f64).ln() as usize;
    let first = stream.below(points.len());
    let mut centres = points.row(first).to_vec();
    let mut nearest = distances(moved, &[first]);
    for _ in 1..k {
        let candidates: Vec<usize> = (0..trials).map(|_| draw(&nearest, stream)).collect();
        let each = distances(moved, &candidates);
        let closer = |at: usize, trial: usize| nearest[at].min(each[at * trials + trial]);
        let potential =
            |trial: usize| -> f64 { (0..points.len()).map(|at| closer(at, trial)).sum() };
        let potentials: Vec<f64> = (0..trials).map(potential).collect();
        let best = (1..trials).fold(0, |best, it| match potentials[it] < potentials[best] {
            true => it,
            false => best,
        });
        nearest = (0..points.len()).map(|at| closer(at, best)).collect();
        centres.extend_from_slice(points.row(candidates[best]));
    }
    centres
}

/// A point, each as likely as its share of `distances`; any when all are zero.
fn draw(distances: &[f64], stream: &mut Stream) -> usize {
    let total: f64 = distances.iter().sum();
    if total <= 0.0 {
        return stream.below(distances.len());
    }
    let aim = stream.uniform() * total;
    let mut sum = 0.0;
    let reaches = |distance: &f64| {
        sum += distance;
        sum > aim
    };
    distances.iter().position(reaches).unwrap_or(distances.len() - 1)
}
