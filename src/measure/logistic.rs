//! Logistic regression with a penalty, to its minimum.

use rayon::prelude::*;

/// Rows that one task looks at; fixed, so that sums do not depend on the number of threads.
const ROWS: usize = 256;
/// How small the steps of the search become at the minimum, for each weight.
const TOLERANCE: f64 = 1e-7;
/// Steps after which the search ends where it is.
const STEPS: usize = 20_000;
/// How often a step is halved before there is none.
const DOUBLINGS: usize = 100;

/// What keeps weights small; biases are free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Penalty {
    /// `Σ |w|`
    L1,
    /// `½ Σ w²`
    L2,
}

/// Rows of `dim` numbers, and the class of each.
#[derive(Debug, Clone, Copy)]
pub struct Examples<'a> {
    pub rows: &'a [f32],
    pub dim: usize,
    pub labels: &'a [u32],
    pub classes: usize,
}

/// A linear classifier. For two classes it has one row of weights, whose score is that of the second
/// class over the first; for others one for each class.
#[derive(Debug, Clone, PartialEq)]
pub struct Logistic {
    /// For each row its weights, then its bias.
    pub values: Vec<f64>,
    pub dim: usize,
}

impl Logistic {
    /// The minimum of `c Σ_i −ln p(label_i) + penalty(w)`, as scikit-learn writes it.
    ///
    /// Accelerated proximal gradient steps (Beck and Teboulle, 2009, FISTA with backtracking) that
    /// begin anew where the last step was against the gradient (O'Donoghue and Candès, 2015).
    pub fn fit(examples: &Examples, penalty: Penalty, c: f64) -> Self {
        let strength = 1.0 / (c * examples.labels.len().max(1) as f64);
        let mut search = Search { examples, penalty, strength, curvature: 0.5 };
        let start = vec![0.0; outputs(examples.classes) * (examples.dim + 1)];
        Self { values: search.minimum(start), dim: examples.dim }
    }

    /// The mean of several classifiers of the same shape.
    pub fn mean(all: &[Self]) -> Option<Self> {
        let first = all.first()?;
        let mean = |at: usize| all.iter().map(|it| it.values[at]).sum::<f64>() / all.len() as f64;
        Some(Self { values: (0..first.values.len()).map(mean).collect(), dim: first.dim })
    }

    /// The scores of one row: of the second class over the first, or of each class.
    pub fn scores(&self, row: &[f32]) -> Vec<f64> {
        self.values.chunks_exact(self.dim + 1).map(|weights| score(weights, row)).collect()
    }
}

/// Rows of weights for so many classes.
pub(super) fn outputs(classes: usize) -> usize {
    if classes <= 2 { 1 } else { classes }
}

fn score(weights: &[f64], row: &[f32]) -> f64 {
    let (bias, weights) = weights.split_last().expect("a row of weights has a bias");
    weights.iter().zip(row).map(|(w, x)| w * f64::from(*x)).sum::<f64>() + bias
}

struct Search<'a> {
    examples: &'a Examples<'a>,
    penalty: Penalty,
    /// Of the penalty, beside the mean loss.
    strength: f64,
    /// How fast the gradient is taken to change at most; grows where it changes faster.
    curvature: f64,
}

impl Search<'_> {
    fn minimum(&mut self, start: Vec<f64>) -> Vec<f64> {
        let (mut at, mut ahead, mut pace) = (start.clone(), start, 1.0f64);
        for _ in 0..STEPS {
            let next = self.step(&ahead);
            let moved = zip(&next, &at, |a, b| a - b);
            let jump = zip(&next, &ahead, |a, b| a - b);
            if jump.iter().all(|it| self.curvature * it.abs() < TOLERANCE) {
                return next;
            }
            let is_back = moved.iter().zip(&jump).map(|(a, b)| a * b).sum::<f64>() < 0.0;
            let further =
                if is_back { 1.0 } else { (1.0 + (1.0 + 4.0 * pace * pace).sqrt()) / 2.0 };
            let share = if is_back { 0.0 } else { (pace - 1.0) / further };
            ahead = zip(&next, &moved, |a, b| a + share * b);
            (at, pace) = (next, further);
        }
        at
    }

    /// One step downhill from `from`, as long as the curvature allows.
    fn step(&mut self, from: &[f64]) -> Vec<f64> {
        let (value, gradient) = self.loss(from);
        for _ in 0..DOUBLINGS {
            let next = self.shrunk(zip(from, &gradient, |x, g| x - g / self.curvature));
            let jump = zip(&next, from, |a, b| a - b);
            let square: f64 = jump.iter().map(|it| it * it).sum();
            let along: f64 = jump.iter().zip(&gradient).map(|(a, b)| a * b).sum();
            let bound = value + along + 0.5 * self.curvature * square;
            // Rounding alone is no reason for a shorter step.
            if self.loss(&next).0 <= bound + 1e-13 * value.abs() {
                return next;
            }
            self.curvature *= 2.0;
        }
        from.to_vec()
    }

    /// The weights that a penalty leaves of those a step came to.
    fn shrunk(&self, mut values: Vec<f64>) -> Vec<f64> {
        let by = self.strength / self.curvature;
        for weights in values.chunks_exact_mut(self.examples.dim + 1) {
            let (_, weights) = weights.split_last_mut().expect("a row of weights has a bias");
            for w in weights {
                *w = match self.penalty {
                    Penalty::L1 => w.signum() * (w.abs() - by).max(0.0),
                    Penalty::L2 => *w / (1.0 + by),
                };
            }
        }
        values
    }

    /// The mean loss and its gradient.
    fn loss(&self, values: &[f64]) -> (f64, Vec<f64>) {
        let Examples { rows, dim, labels, .. } = *self.examples;
        let tasks = rows.par_chunks(ROWS * dim.max(1)).zip(labels.par_chunks(ROWS));
        let found: Vec<(f64, Vec<f64>)> =
            tasks.map(|(rows, labels)| piece(values, (rows, dim), labels)).collect();
        let share = 1.0 / labels.len().max(1) as f64;
        let mut sum = (0.0, vec![0.0; values.len()]);
        for (value, gradient) in found {
            sum.0 += value * share;
            sum.1.iter_mut().zip(gradient).for_each(|(sum, it)| *sum += it * share);
        }
        sum
    }
}

/// The loss of some rows and its gradient, as sums.
fn piece(values: &[f64], (rows, dim): (&[f32], usize), labels: &[u32]) -> (f64, Vec<f64>) {
    let (mut sum, mut gradient) = (0.0, vec![0.0; values.len()]);
    for (row, label) in rows.chunks_exact(dim.max(1)).zip(labels) {
        let scores: Vec<f64> = values.chunks_exact(dim + 1).map(|it| score(it, row)).collect();
        let (value, slopes) = of_scores(&scores, *label as usize);
        sum += value;
        for (gradient, slope) in gradient.chunks_exact_mut(dim + 1).zip(slopes) {
            gradient.iter_mut().zip(row).for_each(|(to, x)| *to += slope * f64::from(*x));
            gradient[dim] += slope;
        }
    }
    (sum, gradient)
}

/// `−ln p(label)` at scores, and its slope along each.
fn of_scores(scores: &[f64], label: usize) -> (f64, Vec<f64>) {
    if let [score] = scores {
        let signed = if label == 1 { -score } else { *score };
        let chance = 1.0 / (1.0 + (-signed).exp());
        let loss = signed.max(0.0) + (-signed.abs()).exp().ln_1p();
        return (loss, vec![if label == 1 { -chance } else { chance }]);
    }
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let all: f64 = scores.iter().map(|it| (it - most).exp()).sum();
    let slope = |(class, it): (usize, &f64)| {
        (it - most).exp() / all - if class == label { 1.0 } else { 0.0 }
    };
    (most + all.ln() - scores[label], scores.iter().enumerate().map(slope).collect())
}

fn zip(a: &[f64], b: &[f64], f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| f(*a, *b)).collect()
}
