//! A linear classifier, and the embeddings that it learns from.

use candle_core::{D, DType, Device, Tensor, Var};

use super::rows::{Rows, accuracy};
use super::scale::Scale;
use super::{EvalError, Score, Split, regression};
use crate::kernel;
use crate::measure::calibration::expected_calibration_error;
use crate::measure::logistic::Logistic;

/// The bins of confidence that calibration is measured in.
const BINS: usize = 15;

/// Embeddings `[n, dim]` as the probe sees them, and the class of each.
#[derive(Clone)]
pub(super) struct Examples {
    pub(super) embedding: Tensor,
    pub(super) labels: Vec<u32>,
}

impl Examples {
    pub(super) fn new(mut rows: Rows, scale: Option<&Scale>) -> Result<Self, EvalError> {
        if let Some(scale) = scale {
            scale.apply(&mut rows);
        }
        let shape = (rows.len(), rows.dim);
        let embedding = Tensor::from_vec(rows.values, shape, &Device::Cpu)?;
        Ok(Self { embedding, labels: rows.labels })
    }

    pub(super) fn dim(&self) -> Result<usize, EvalError> {
        Ok(self.embedding.dim(1)?)
    }

    pub(super) fn select(&self, items: &[u32]) -> Result<Self, EvalError> {
        let labels = items.iter().map(|item| self.labels[*item as usize]).collect();
        let index = Tensor::new(items, &Device::Cpu)?;
        Ok(Self { embedding: self.embedding.index_select(&index, 0)?, labels })
    }
}

/// A linear classifier.
pub(super) struct Probe {
    weight: Var,
    bias: Var,
}

impl Probe {
    pub(super) fn new(dim: usize, classes: usize) -> Result<Self, EvalError> {
        let weight = Var::zeros((classes, dim), DType::F32, &Device::Cpu)?;
        let bias = Var::zeros(classes, DType::F32, &Device::Cpu)?;
        Ok(Self { weight, bias })
    }

    pub(super) fn of(model: &Logistic, classes: usize) -> Result<Self, EvalError> {
        let probe = Self::new(model.dim, classes)?;
        let (weight, bias) = regression::by_class(model, classes);
        probe.weight.set(&Tensor::from_vec(weight, (classes, model.dim), &Device::Cpu)?)?;
        probe.bias.set(&Tensor::from_vec(bias, classes, &Device::Cpu)?)?;
        Ok(probe)
    }

    pub(super) fn vars(&self) -> Vec<(String, Var)> {
        vec![("bias".to_owned(), self.bias.clone()), ("weight".to_owned(), self.weight.clone())]
    }

    pub(super) fn logits(&self, embedding: &Tensor) -> Result<Tensor, EvalError> {
        Ok(kernel::linear(embedding, &self.weight, Some(&self.bias), false)?)
    }

    pub(super) fn loss(&self, examples: &Examples) -> Result<Tensor, EvalError> {
        Ok(kernel::cross_entropy(&self.logits(&examples.embedding)?, &examples.labels, 0.0)?)
    }

    pub(super) fn scores(
        &self,
        split: Split,
        examples: &Examples,
    ) -> Result<Vec<Score>, EvalError> {
        let logits = self.logits(&examples.embedding)?;
        let guesses = logits.argmax(D::Minus1)?.to_vec1::<u32>()?;
        let pairs = guesses.iter().zip(&examples.labels);
        let is_right: Vec<bool> = pairs.map(|(guess, label)| guess == label).collect();
        let confidences: Vec<f64> =
            logits.to_vec2::<f32>()?.iter().map(|row| confidence(row)).collect();
        let ece = expected_calibration_error(&confidences, &is_right, BINS);
        let value = accuracy(&guesses, &examples.labels);
        let accuracy = Score { split, metric: "accuracy", value };
        let ece = ece.map(|value| Score { split, metric: "ece", value });
        Ok([accuracy].into_iter().chain(ece).collect())
    }

    pub(super) fn check(&self) -> Result<(), EvalError> {
        let sum = (self.weight.sum_all()? + self.bias.sum_all()?)?.to_scalar::<f32>()?;
        if sum.is_finite() {
            return Ok(());
        }
        Err(EvalError::Failed(
            "the linear probe diverged; give it a lower learning rate or `standardize=true`".into(),
        ))
    }
}

/// How likely the likeliest class is.
fn confidence(logits: &[f32]) -> f64 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    1.0 / logits.iter().map(|it| (f64::from(*it) - f64::from(most)).exp()).sum::<f64>()
}
