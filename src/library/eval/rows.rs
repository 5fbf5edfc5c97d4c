//! Features that were checked, as rows of numbers.

use candle_core::{DType, Device, Tensor};

use super::{EvalError, FeatureSource, Features, Split, View};
use crate::measure::moments::Table;
use crate::measure::sphere::inverse_norm;

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
    pub(super) fn augmented(source: &mut dyn FeatureSource, view: View) -> Result<Self, EvalError> {
        let features = source.augmented(view)?;
        Self::check(features, source.classes(), "augmented train")
    }

    /// The features of what an evaluation compares with, in the same order.
    pub(super) fn with(source: &mut dyn FeatureSource, split: Split) -> Result<Self, EvalError> {
        let features = source.with(split)?;
        Self::check(features, source.classes(), split.name())
    }

    pub(super) fn check(features: Features, classes: usize, name: &str) -> Result<Self, EvalError> {
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

    /// The embeddings as they were given.
    pub(super) fn tensor(&self) -> Result<Tensor, EvalError> {
        Ok(Tensor::from_slice(&self.values, (self.len(), self.dim), &Device::Cpu)?)
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

    /// The rows as plain numbers.
    pub(super) fn table(&self) -> Table<'_> {
        Table { values: &self.values, dim: self.dim }
    }

    /// The rows, each as long as one where `is_unit` says so; a zero vector stays.
    pub(super) fn scaled(mut self, is_unit: bool) -> Self {
        for row in self.values.chunks_exact_mut(self.dim.max(1)).filter(|_| is_unit) {
            let scale = inverse_norm(row);
            row.iter_mut().for_each(|x| *x = (f64::from(*x) * scale) as f32);
        }
        self
    }

    /// The rows of one class.
    pub(super) fn of_class(&self, class: u32) -> Self {
        self.select(|at| self.labels[at] == class)
    }

    /// At most so many rows, evenly from first to last.
    pub(super) fn at_even_steps(self, most: usize) -> Self {
        let count = self.len();
        if count <= most {
            return self;
        }
        let first_of_part = |part: usize| (part * count).div_ceil(most);
        self.select(|at| first_of_part(at * most / count) == at)
    }

    pub(super) fn select(&self, is_kept: impl Fn(usize) -> bool) -> Self {
        let kept: Vec<usize> = (0..self.len()).filter(|at| is_kept(*at)).collect();
        self.pick(&kept)
    }
}

/// The place of the largest of `scores`; of equal ones the first.
pub(super) fn first_best<T: PartialOrd>(scores: &[T]) -> u32 {
    let better = |best: usize, at: usize| if scores[at] > scores[best] { at } else { best };
    (1..scores.len()).fold(0, better) as u32
}

/// What a classifier that was trained with the encoder gives to the classes, a row an item.
///
/// # Errors
/// When no classifier was trained on these labels, or when it gives what is no number.
pub(super) fn trained_scores(scores: Option<Tensor>) -> Result<Vec<Vec<f64>>, EvalError> {
    let missing = "no classifier was trained on these labels; `head=logistic` fits one";
    let scores = scores.ok_or_else(|| EvalError::Failed(missing.to_owned()))?;
    let scores = scores.to_dtype(DType::F64)?.to_vec2::<f64>()?;
    match scores.iter().flatten().all(|score| score.is_finite()) {
        true => Ok(scores),
        false => Err(EvalError::Failed("the trained classifier has diverged".to_owned())),
    }
}

/// The share of `guesses` that are right.
pub(super) fn accuracy(guesses: &[u32], labels: &[u32]) -> f64 {
    let right = guesses.iter().zip(labels).filter(|(guess, label)| guess == label).count();
    right as f64 / labels.len() as f64
}
