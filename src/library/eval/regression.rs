//! Logistic regression on rows of features, to its minimum.

use super::rows::Rows;
use super::{EvalError, Site};
use crate::library::optimizer::AtOnce;
use crate::measure::logistic::{Examples, Logistic};

/// Looks at the images after which half of the progress is shown; how many there will be, only the
/// images know.
const HALF_WAY: f64 = 50.0;

/// The classifier of `rows`, in the part `(from, length)` of the progress.
pub(super) fn fit(
    rows: &Rows,
    classes: usize,
    how: &AtOnce,
    site: &mut Site,
    (from, length): (f64, f64),
) -> Result<Logistic, EvalError> {
    let examples = Examples { rows: &rows.values, dim: rows.dim, labels: &rows.labels, classes };
    let mut looks = 0.0;
    let model = Logistic::by_lbfgs(&examples, how.c, &how.search, || {
        looks += 1.0;
        site.done(from + length * looks / (looks + HALF_WAY))
    })?;
    match model.values.iter().all(|it| it.is_finite()) {
        true => Ok(model),
        false => Err(EvalError::Failed(
            "the embeddings are too large for logistic regression; write `standardize=true`".into(),
        )),
    }
}

/// The class that the classifier holds likeliest.
pub(super) fn guess(model: &Logistic, row: &[f32]) -> u32 {
    match model.scores(row)[..] {
        [score] => u32::from(score > 0.0),
        ref scores => super::rows::first_best(scores),
    }
}

/// The weights and the bias of every class; of two the first has none.
pub(super) fn by_class(model: &Logistic, classes: usize) -> (Vec<f32>, Vec<f32>) {
    let rows = model.values.chunks_exact(model.dim + 1);
    let without = classes - rows.len();
    let (mut weight, mut bias) = (vec![0.0; without * model.dim], vec![0.0; without]);
    for row in rows {
        weight.extend(row[..model.dim].iter().map(|it| *it as f32));
        bias.push(row[model.dim] as f32);
    }
    (weight, bias)
}
