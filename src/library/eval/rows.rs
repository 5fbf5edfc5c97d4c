//! Features that were checked, as rows of numbers.

use candle_core::DType;

use super::{EvalError, FeatureSource, Features, Split};

/// Finite embeddings, `dim` numbers a row, and the class of each.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    pub(super) values: Vec<f32>,
    pub(super) dim: usize,
    pub(super) labels: Vec<u32>,
}

impl Rows {
    /// The features of a split.
    pub(super) fn of(source: &mut dyn FeatureSource, split: Split) -> Result<Self, EvalError> {
        let features = source.features(split)?;
        Self::check(features, source.classes(), split.name())
    }

    /// The features of one augmented view of each training image.
    pub(super) fn augmented(
        source: &mut dyn FeatureSource,
        epoch: usize,
    ) -> Result<Self, EvalError> {
        let features = source.augmented(epoch)?;
        Self::check(features, source.classes(), "augmented train")
    }

    fn check(features: Features, classes: usize, name: &str) -> Result<Self, EvalError> {
        let Features { embedding, labels } = features;
        let (rows, dim) = embedding.dims2()?;
        let values = embedding.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        assert_eq!(rows, labels.len(), "each row of features has a label");
        assert!(labels.iter().all(|it| (*it as usize) < classes), "labels are below their number");
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(Self { values, dim, labels }),
            Some(at) => Err(EvalError::Failed(format!(
                "the embedding of {name} image {} is not finite; the encoder has diverged",
                at / dim
            ))),
        }
    }

    /// The number of rows.
    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    /// Some of the rows, in the order of `places`.
    pub(super) fn pick(&self, places: &[usize]) -> Self {
        let row = |at: &usize| &self.values[at * self.dim..(at + 1) * self.dim];
        Self {
            values: places.iter().flat_map(row).copied().collect(),
            dim: self.dim,
            labels: places.iter().map(|at| self.labels[*at]).collect(),
        }
    }

    /// The embeddings, one after another.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.dim.max(1))
    }

    /// The factor that makes an embedding as long as one; zero for a zero vector, which stays.
    pub(super) fn inverse_norm(row: &[f32]) -> f64 {
        let square: f64 = row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        if square > 0.0 { 1.0 / square.sqrt() } else { 0.0 }
    }
}

/// The share of `guesses` that are right.
pub(super) fn accuracy(guesses: &[u32], labels: &[u32]) -> f64 {
    let right = guesses.iter().zip(labels).filter(|(guess, label)| guess == label).count();
    right as f64 / labels.len() as f64
}
