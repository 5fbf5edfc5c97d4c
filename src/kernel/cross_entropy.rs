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
    cross_entropy_mixed(logits, &[Portion { labels, share: 1.0 }], smoothing, weights)
}

/// One class of each row, and how much of the row is of it.
#[derive(Debug, Clone, Copy)]
pub struct Portion<'a> {
    pub labels: &'a [u32],
    pub share: f64,
}

/// The same for rows that are of several classes in parts, whose shares come to 1: the target is the
/// mean of theirs, and a row counts in the mean for what its parts do.
///
/// # Errors
/// As [`cross_entropy_weighted`], for each part.
pub fn cross_entropy_mixed(
    logits: &Tensor,
    parts: &[Portion],
    smoothing: f64,
    weights: Option<&[f64]>,
) -> Result<Tensor> {
    let (rows, classes) = logits.dims2()?;
    for Portion { labels, .. } in parts {
        if rows != labels.len() || rows == 0 {
            let found = labels.len();
            bail!("expected a label for each of at least one row, found {found} for {rows}");
        }
        if let Some(label) = labels.iter().find(|label| **label as usize >= classes) {
            bail!("a label of {label} is not one of {classes} classes");
        }
    }
    if weights.is_some_and(|weights| weights.len() != classes) {
        bail!("expected a weight for each of {classes} classes");
    }
    let owned = |part: &Portion| {
        (part.labels.iter().map(|label| *label as usize).collect::<Vec<_>>(), part.share)
    };
    let parts = parts.iter().map(owned).collect();
    let weights = weights.map_or(Vec::new(), <[f64]>::to_vec);
    let mut op = CrossEntropy {
        parts,
        classes,
        smoothing,
        weights,
        total: 0.0,
        #[cfg(feature = "cuda")]
        uploaded: super::card::losses::Uploaded::new(),
    };
    op.total = (0..rows).map(|row| op.weight_of_row(row)).sum();
    apply1(&logits.contiguous()?, op)
}

struct CrossEntropy {
    /// A class of each row, and the share of it.
    parts: Vec<(Vec<usize>, f64)>,
    classes: usize,
    smoothing: f64,
    /// Of each class; none where all count alike.
    weights: Vec<f64>,
    /// Of all rows.
    total: f64,
    #[cfg(feature = "cuda")]
    uploaded: super::card::losses::Uploaded,
}

#[cfg(feature = "cuda")]
impl CrossEntropy {
    /// What rows are scored by, as the kernels of a card read it.
    fn targets(&self) -> super::card::losses::Targets<'_> {
        let labels = self.parts.iter().flat_map(|(labels, _)| labels);
        super::card::losses::Targets {
            labels: labels.map(|label| *label as u32).collect(),
            shares: self.parts.iter().map(|(_, share)| *share).collect(),
            weights: &self.weights,
            smoothing: self.smoothing,
            factor: self.share(1.0),
        }
    }
}

/// The logarithm of the sum of the exponentials of a row.
#[inline(always)]
fn log_sum_exp<T: Real>(row: &[T]) -> f64 {
    let most = largest(row);
    most.to_f64() + sum_of(row, |x| (x - most).exp()).to_f64().ln()
}

impl CrossEntropy {
    /// The classes of a row, each with how much it counts.
    #[inline(always)]
    fn parts(&self, row: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.parts.iter().map(move |(labels, share)| {
            let label = labels[row];
            (label, share * self.weights.get(label).copied().unwrap_or(1.0))
        })
    }

    #[inline(always)]
    fn weight_of_row(&self, row: usize) -> f64 {
        self.parts(row).map(|(_, weight)| weight).sum()
    }

    /// `sum` over the weight of all rows.
    fn share(&self, sum: f64) -> f64 {
        if self.total == 0.0 { 0.0 } else { sum / self.total }
    }

    /// What a row adds to the weighted sum.
    #[inline(always)]
    fn value<T: Real>(&self, row: &[T], at: usize) -> f64 {
        let mean = sum_of(row, |x| x).to_f64() / row.len() as f64;
        let all = log_sum_exp(row);
        let of_part = |(label, weight): (usize, f64)| {
            let own: f64 = row[label].to_f64();
            weight * (all - ((1.0 - self.smoothing) * own + self.smoothing * mean))
        };
        self.parts(at).map(of_part).sum()
    }

    /// `(softmax(row) - t) * scale`, times what the row counts.
    #[inline(always)]
    fn gradient<T: Real>(&self, (row, at): (&[T], usize), scale: f64, to: &mut [T]) {
        let (most, factor) = (largest(row), T::of(scale * self.weight_of_row(at)));
        let inverse = T::ONE / sum_of(row, |x| (x - most).exp());
        let everywhere = T::of(self.smoothing / row.len() as f64);
        for (to, x) in to.iter_mut().zip(row) {
            *to = ((*x - most).exp() * inverse - everywhere) * factor;
        }
        for (label, weight) in self.parts(at) {
            to[label] -= T::of((1.0 - self.smoothing) * (scale * weight));
        }
    }
}

/// Rows of scores, and the place of the first.
type Rows<'a, T> = (&'a [T], usize);

wide! {
    fn sum_of_values<T: Real>(op: &CrossEntropy, rows: Rows<T>) -> f64 {
        let (logits, first) = rows;
        let rows = logits.chunks_exact(op.classes).zip(first..);
        rows.fold(0.0, |sum, (row, at)| sum + op.value(row, at))
    }
}

wide! {
    fn gradients<T: Real>(op: &CrossEntropy, rows: Rows<T>, scale: f64, to: &mut [T]) {
        let (logits, first) = rows;
        let rows = logits.chunks_exact(op.classes).zip(first..);
        for (to, (row, at)) in to.chunks_exact_mut(op.classes).zip(rows) {
            op.gradient((row, at), scale, to);
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
            let tasks = slice::<T>(logits, layout)?.par_chunks(ROWS * classes).enumerate();
            let values = tasks.map(|(task, logits)| sum_of_values(self, (logits, task * ROWS)));
            let values: Vec<f64> = values.collect();
            let mean = self.share(values.into_iter().fold(0.0, |sum, value| sum + value));
            output(vec![T::of(mean)], ())
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        logits: &candle_core::CudaStorage,
        layout: &Layout,
    ) -> Result<super::card::Made> {
        let logits = super::card::Operand::new(logits, layout)?;
        super::card::losses::cross_entropy(logits, &self.targets(), &self.uploaded)
    }

    fn bwd(&self, logits: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        #[cfg(feature = "cuda")]
        if logits.device().is_cuda() {
            let targets = self.targets();
            let back = super::card::losses::cross_entropy_back;
            return back(logits, dy, &targets, &self.uploaded).map(Some);
        }
        let (_, classes) = logits.dims2()?;
        with_real!(logits.dtype(), T => {
            let scale = self.share(dy.to_scalar::<T>()?.to_f64());
            let values = Values::<T>::of(logits)?;
            let mut gradient = room(values.len());
            let tasks = values.par_chunks(ROWS * classes).enumerate();
            gradient.par_chunks_mut(ROWS * classes).zip(tasks).for_each(
                |(to, (task, values))| gradients(self, (values, task * ROWS), scale, to),
            );
            tensor(gradient, logits.shape()).map(Some)
        })
    }
}
