//! Cross-entropy of class scores, with the softmax and its gradient fused.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType, bail};
use rayon::prelude::*;

use super::lanes::{largest, sum_of};
use super::pieces::room;
use super::real::{Real, with_real};
use super::tape::apply1;
use super::values::{Values, output, slice, tensor};
use super::wide::wide;

/// Rows of a task.
const ROWS: usize = 64;

/// The mean over rows of `-Σ_k t_k ln softmax(logits)_k` for `logits` [N,K], where the target t is
/// `1 - smoothing` at the row's label plus `smoothing / K` everywhere (Szegedy et al. 2016,
/// arXiv:1512.00567). A scalar.
///
/// # Errors
/// When a label is not below K, their number is not N, or N is 0.
pub fn cross_entropy(logits: &Tensor, labels: &[u32], smoothing: f64) -> Result<Tensor> {
    cross_entropy_weighted(logits, labels, smoothing, None)
}

/// The same with the mean over rows weighted by their classes; 0 where all weights are.
///
/// # Errors
/// As [`cross_entropy`], and when there is no weight for each class.
pub fn cross_entropy_weighted(
    logits: &Tensor,
    labels: &[u32],
    smoothing: f64,
    weights: Option<&[f64]>,
) -> Result<Tensor> {
    let (rows, classes) = logits.dims2()?;
    if rows != labels.len() || rows == 0 {
        bail!("expected a label for each of at least one row, found {} for {rows}", labels.len());
    }
    if let Some(label) = labels.iter().find(|label| **label as usize >= classes) {
        bail!("a label of {label} is not one of {classes} classes");
    }
    if weights.is_some_and(|weights| weights.len() != classes) {
        bail!("expected a weight for each of {classes} classes");
    }
    let labels: Vec<usize> = labels.iter().map(|label| *label as usize).collect();
    let weights = weights.map_or(Vec::new(), <[f64]>::to_vec);
    let mut op = CrossEntropy { labels, smoothing, weights, total: 0.0 };
    op.total = op.labels.iter().map(|label| op.weight(*label)).sum();
    apply1(&logits.contiguous()?, op)
}

struct CrossEntropy {
    labels: Vec<usize>,
    smoothing: f64,
    /// Of each class; none where all count alike.
    weights: Vec<f64>,
    /// Of all rows.
    total: f64,
}

/// The logarithm of the sum of the exponentials of a row.
#[inline(always)]
fn log_sum_exp<T: Real>(row: &[T]) -> f64 {
    let most = largest(row);
    most.to_f64() + sum_of(row, |x| (x - most).exp()).to_f64().ln()
}

impl CrossEntropy {
    #[inline(always)]
    fn weight(&self, label: usize) -> f64 {
        self.weights.get(label).copied().unwrap_or(1.0)
    }

    /// `sum` over the weight of all rows.
    fn share(&self, sum: f64) -> f64 {
        if self.total == 0.0 { 0.0 } else { sum / self.total }
    }

    #[inline(always)]
    fn value<T: Real>(&self, row: &[T], label: usize) -> f64 {
        let mean = sum_of(row, |x| x).to_f64() / row.len() as f64;
        let target = (1.0 - self.smoothing) * row[label].to_f64() + self.smoothing * mean;
        log_sum_exp(row) - target
    }

    /// `(softmax(row) - t) * scale`.
    #[inline(always)]
    fn gradient<T: Real>(&self, (row, label): (&[T], usize), scale: f64, to: &mut [T]) {
        let (most, factor) = (largest(row), T::of(scale));
        let inverse = T::ONE / sum_of(row, |x| (x - most).exp());
        let everywhere = T::of(self.smoothing / row.len() as f64);
        for (to, x) in to.iter_mut().zip(row) {
            *to = ((*x - most).exp() * inverse - everywhere) * factor;
        }
        to[label] -= T::of((1.0 - self.smoothing) * scale);
    }
}

/// Rows of scores and their labels.
type Rows<'a, T> = (&'a [T], &'a [usize]);

wide! {
    fn sum_of_values<T: Real>(op: &CrossEntropy, logits: &[T], labels: &[usize]) -> f64 {
        let classes = logits.len() / labels.len();
        let rows = logits.chunks_exact(classes).zip(labels);
        rows.fold(0.0, |sum, (row, label)| sum + op.weight(*label) * op.value(row, *label))
    }
}

wide! {
    fn gradients<T: Real>(op: &CrossEntropy, rows: Rows<T>, scale: f64, to: &mut [T]) {
        let (logits, labels) = rows;
        let classes = logits.len() / labels.len();
        let rows = logits.chunks_exact(classes).zip(labels);
        for (to, (row, label)) in to.chunks_exact_mut(classes).zip(rows) {
            op.gradient((row, *label), scale * op.weight(*label), to);
        }
    }
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, classes) = layout.shape().dims2()?;
        with_real!(logits.dtype(), T => {
            let tasks = slice::<T>(logits, layout)?.par_chunks(ROWS * classes);
            let values = tasks
                .zip(self.labels.par_chunks(ROWS))
                .map(|(logits, labels)| sum_of_values(self, logits, labels));
            let values: Vec<f64> = values.collect();
            let mean = self.share(values.into_iter().fold(0.0, |sum, value| sum + value));
            output(vec![T::of(mean)], ())
        })
    }

    fn bwd(&self, logits: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (_, classes) = logits.dims2()?;
        with_real!(logits.dtype(), T => {
            let scale = self.share(dy.to_scalar::<T>()?.to_f64());
            let values = Values::<T>::of(logits)?;
            let mut gradient = room(values.len());
            let tasks = values.par_chunks(ROWS * classes).zip(self.labels.par_chunks(ROWS));
            gradient.par_chunks_mut(ROWS * classes).zip(tasks).for_each(
                |(to, (values, labels))| gradients(self, (values, labels), scale, to),
            );
            tensor(gradient, logits.shape()).map(Some)
        })
    }
}
