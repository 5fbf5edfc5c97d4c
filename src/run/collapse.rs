//! Whether a training's embeddings have become one point, or one for each class.

use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

use super::event::RunError;
use super::pool::Pool;
use super::train::EVAL_BATCH;
use crate::graph::Model;
use crate::library::eval::Split;
use crate::measure::moments::Table;
use crate::measure::sphere::{UnitClass, mean};
use crate::plan::Stage;

/// Before so many steps a network has hardly left its beginning, where embeddings are often alike.
const BEGINNING: usize = 100;
/// The mean cosine from which embeddings count as one point.
const ALIKE: f64 = 0.999;

/// What has collapsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Collapse {
    /// All embeddings are one point.
    All,
    /// Those of each class are, and classes are apart: what supervised contrastive terms want.
    Classes,
}

/// How some embeddings lie to each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lie {
    /// The mean cosine between two of them.
    pub cosine: f64,
    pub collapse: Option<Collapse>,
}

/// Whether the end of an epoch is one to look at: the first, second, fourth, … and the last.
pub fn is_due(stage: &Stage, epoch: usize, step: usize) -> bool {
    step >= BEGINNING && (epoch.is_power_of_two() || step == stage.steps)
}

/// How the embeddings of some training images lie, taken at even steps from all; none where they
/// are fewer than two.
pub fn look(
    (stage, model, pool): (&Stage, &Model, &Pool),
    render: impl Fn(&[u32]) -> candle_core::Result<Tensor>,
) -> Result<Option<Lie>, RunError> {
    let all = pool.indices(Split::Train);
    let every = all.len().div_ceil(EVAL_BATCH).max(1);
    let items: Vec<u32> = all.iter().step_by(every).copied().collect();
    let embedding = model.embed(&render(&items)?)?;
    let (_, dim) = embedding.dims2()?;
    let values = embedding.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    let class = |item: &u32| stage.data.classes.of_fine[pool.fine[*item as usize] as usize];
    let labels: Vec<u32> = items.iter().map(class).collect();
    let is_finite = values.iter().all(|value| value.is_finite());
    let rows = Table { values: &values, dim };
    Ok(is_finite.then(|| lie(&rows, &labels, stage.data.classes.names.len())).flatten())
}

/// How `rows` lie; the label of each is below `count`.
fn lie(rows: &Table, labels: &[u32], count: usize) -> Option<Lie> {
    let together = UnitClass::gather(rows, &vec![0; labels.len()], 1).pop()?;
    let is_zero = together.squares == 0.0;
    let cosine = together.cosine().map(|cosine| if is_zero { 1.0 } else { cosine })?;
    let classes = UnitClass::gather(rows, labels, count);
    let within = mean(classes.iter().filter_map(UnitClass::cosine));
    let collapse = match within {
        _ if cosine > ALIKE => Some(Collapse::All),
        Some(within) if within > ALIKE => Some(Collapse::Classes),
        _ => None,
    };
    Some(Lie { cosine, collapse })
}

impl Lie {
    /// Whether all embeddings are one point.
    pub fn is_one_point(&self) -> bool {
        self.collapse == Some(Collapse::All)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rows: &[[f32; 2]], labels: &[u32]) -> Option<Lie> {
        lie(&Table { values: &rows.concat(), dim: 2 }, labels, 2)
    }

    #[test]
    fn one_point_is_told_from_one_for_each_class() {
        let labels = [0, 1, 0, 1];
        let one = found(&[[1.0, 2.0]; 4], &labels).unwrap();
        assert_eq!(one.collapse, Some(Collapse::All));
        let near = found(&[[1.0, 2.0], [1.0, 2.01], [2.0, 4.0], [1.01, 2.0]], &labels).unwrap();
        assert_eq!(near.collapse, Some(Collapse::All));
        assert!(near.is_one_point() && near.cosine > 0.9999 && near.cosine < 1.0);
        let two = found(&[[1.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 0.5]], &labels).unwrap();
        assert_eq!(two.collapse, Some(Collapse::Classes));
        let spread = found(&[[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [1.0, 0.5]], &labels).unwrap();
        assert_eq!(spread.collapse, None);
    }

    #[test]
    fn zeros_are_one_point_and_fewer_than_two_are_none() {
        assert_eq!(found(&[[1.0, 2.0]], &[0]), None);
        assert_eq!(found(&[], &[]), None);
        assert!(found(&[[0.0, 0.0]; 4], &[0, 1, 0, 1]).unwrap().is_one_point());
    }
}
