//! The loss of logistic regression and its slope, by matrix products.

use rayon::prelude::*;

use super::lbfgs::Lbfgs;
use super::logistic::{Examples, Logistic, outputs};
use crate::kernel::matrix::{Matrix, Product};
use crate::kernel::real::Real;

/// Rows whose scores are computed at once, and rows whose slopes one task adds up; fixed, so that
/// sums do not depend on the number of threads.
const ROWS: usize = 256;
const TASK: usize = 2048;

impl Logistic {
    /// The minimum of `c Σ_i −ln p(label_i) + ½ Σ w²` as scikit-learn's solver `lbfgs` finds it:
    /// products in single precision, sums of them in double. `watch` is called at every look at
    /// the examples, and may end the search.
    ///
    /// # Errors
    /// Those of `watch`.
    pub fn by_lbfgs<E>(
        examples: &Examples,
        c: f64,
        search: &Lbfgs,
        mut watch: impl FnMut() -> Result<(), E>,
    ) -> Result<Self, E> {
        let strength = 1.0 / (c * examples.labels.len().max(1) as f64);
        let start = vec![0.0; outputs(examples.classes) * (examples.dim + 1)];
        let found = search.minimum(start, |values| {
            watch()?;
            Ok(objective(examples, strength, values))
        })?;
        Ok(Self { values: found.at, dim: examples.dim })
    }
}

/// The mean loss with its penalty, and the slope along each value.
fn objective(examples: &Examples, strength: f64, values: &[f64]) -> (f64, Vec<f64>) {
    let Examples { rows, dim, labels, .. } = *examples;
    let rounded: Vec<f32> = values.iter().map(|it| *it as f32).collect();
    let tasks = rows.par_chunks(TASK * dim.max(1)).zip(labels.par_chunks(TASK));
    let found: Vec<Sum> =
        tasks.map(|(rows, labels)| Sum::of(&rounded, rows, dim, labels)).collect();
    let share = 1.0 / labels.len().max(1) as f64;
    let mut sum = Sum::new(values.len());
    found.iter().for_each(|it| sum.add(it.loss * share, &it.slope, share));
    for (values, slope) in values.chunks_exact(dim + 1).zip(sum.slope.chunks_exact_mut(dim + 1)) {
        for (w, slope) in values[..dim].iter().zip(slope) {
            sum.loss += 0.5 * strength * w * w;
            *slope += strength * w;
        }
    }
    (sum.loss, sum.slope)
}

/// A loss and its slopes, over some rows.
struct Sum {
    loss: f64,
    slope: Vec<f64>,
}

impl Sum {
    fn new(values: usize) -> Self {
        Self { loss: 0.0, slope: vec![0.0; values] }
    }

    fn add<T: Copy + Into<f64>>(&mut self, loss: f64, slope: &[T], share: f64) {
        self.loss += loss;
        self.slope.iter_mut().zip(slope).for_each(|(sum, it)| *sum += share * (*it).into());
    }

    fn of(values: &[f32], rows: &[f32], dim: usize, labels: &[u32]) -> Self {
        let mut sum = Self::new(values.len());
        for (rows, labels) in rows.chunks(ROWS * dim.max(1)).zip(labels.chunks(ROWS)) {
            let (loss, slope) = piece(values, Matrix::new(rows, labels.len(), dim), labels);
            sum.add(loss, &slope, 1.0);
        }
        sum
    }
}

/// The loss of some rows and its slopes.
fn piece(values: &[f32], rows: Matrix<f32>, labels: &[u32]) -> (f64, Vec<f32>) {
    let (count, dim) = rows.size();
    let outputs = values.len() / (dim + 1);
    let weights = Matrix::strided(values, (outputs, dim), dim + 1);
    let mut scores = vec![0.0; count * outputs];
    Product::into(&mut scores, outputs).of(rows, weights.t());
    let (mut loss, mut slope) = (0.0, vec![0.0; values.len()]);
    for (scores, label) in scores.chunks_exact_mut(outputs).zip(labels) {
        let biases = values.chunks_exact(dim + 1).map(|row| row[dim]);
        scores.iter_mut().zip(biases).for_each(|(score, bias)| *score += bias);
        loss += to_slopes(scores, *label as usize);
        let biases = slope.chunks_exact_mut(dim + 1).map(|row| &mut row[dim]);
        biases.zip(&*scores).for_each(|(bias, slope)| *bias += slope);
    }
    let slopes = Matrix::new(&scores, count, outputs);
    Product::onto(&mut slope, dim + 1).of(slopes.t(), rows);
    (loss, slope)
}

/// Puts the slope of `−ln p(label)` along each score in its place, and gives the loss.
fn to_slopes(scores: &mut [f32], label: usize) -> f64 {
    if let [score] = scores {
        let is_second = label == 1;
        let signed = f64::from(if is_second { -*score } else { *score });
        let chance = 1.0 / (1.0 + (-signed).exp());
        *score = if is_second { -chance } else { chance } as f32;
        return signed.max(0.0) + (-signed.abs()).exp().ln_1p();
    }
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let own = f64::from(scores[label]) - f64::from(most);
    let mut all = 0.0;
    for score in scores.iter_mut() {
        *score = Real::exp(*score - most);
        all += *score;
    }
    scores.iter_mut().for_each(|it| *it /= all);
    scores[label] -= 1.0;
    f64::from(all).ln() - own
}
