//! What a training's classifiers are worth on the validation split.

use std::collections::BTreeMap;

use candle_core::Device;
use serde_json::{Map, Value};

use super::batch::Transforms;
use super::event::RunError;
use super::groups::Groups;
use super::pool::Pool;
use super::train::EVAL_BATCH;
use crate::graph::{Judged, Model};
use crate::kernel::in_halves;
use crate::library::eval::Split;
use crate::plan::{Precision, Stage, WORST_FOUND_GROUP, WORST_GROUP};

/// The number that the best state of a stage is chosen by, as [`accuracies`] names it.
pub(super) fn chosen(stage: &Stage) -> Option<String> {
    stage.keep_best.as_ref().map(|term| format!("{term}.{}", stage.kept_by()))
}

/// What the classifiers make of the validation split, in pieces of [`EVAL_BATCH`] images; computed in
/// the precision of the training, and on a card queued as far as nothing is read back on the way.
pub(super) fn judge(
    (stage, model, transforms): (&Stage, &Model, &Transforms),
    pool: &Pool,
    device: &Device,
) -> Result<Vec<Vec<Judged>>, RunError> {
    let halves = stage.method.precision == Some(Precision::Bf16);
    let judge = |items| {
        let images = transforms.untouched(pool, items, device)?;
        Ok(in_halves(halves, || model.judged(&images))?)
    };
    pool.indices(Split::Val).chunks(EVAL_BATCH).map(judge).collect()
}

/// The accuracy of each classifier, and what the best state is chosen by, where that is another
/// number.
pub(super) fn accuracies(
    (stage, model): (&Stage, &Model),
    judged: &[Vec<Judged>],
    (pool, groups): (&Pool, &Groups),
) -> Result<Vec<(String, f64)>, RunError> {
    let val = pool.indices(Split::Val);
    let mut right: BTreeMap<usize, (&str, Vec<bool>)> = BTreeMap::new();
    for (items, judged) in val.chunks(EVAL_BATCH).zip(judged) {
        let fine: Vec<u32> = items.iter().map(|item| pool.fine[*item as usize]).collect();
        for (at, judged) in judged.iter().enumerate() {
            let (name, hits) = model.right(judged, &fine)?;
            right.entry(at).or_insert((name, Vec::new())).1.extend(hits);
        }
    }
    let mut found = Vec::new();
    for (name, hits) in right.into_values() {
        let share = hits.iter().filter(|hit| **hit).count() as f64 / val.len() as f64;
        found.push((format!("{name}.accuracy"), share));
        if stage.keep_best.as_deref() == Some(name) {
            let metric = stage.kept_by();
            let worst = match metric {
                WORST_GROUP => worst(&pool.groups_of(Split::Val), &hits),
                WORST_FOUND_GROUP => worst(&groups.val, &hits),
                _ => continue,
            };
            found.push((format!("{name}.{metric}"), worst));
        }
    }
    Ok(found)
}

/// The least share of hits in a group that has any.
fn worst(groups: &[u32], hits: &[bool]) -> f64 {
    let mut counts: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
    for (group, hit) in groups.iter().zip(hits) {
        let (right, all) = counts.entry(*group).or_default();
        *right += usize::from(*hit);
        *all += 1;
    }
    let shares = counts.into_values().map(|(right, all)| right as f64 / all as f64);
    shares.fold(f64::INFINITY, f64::min)
}

/// `val.TERM.accuracy` of each term.
pub(super) fn named(measured: &[(String, f64)]) -> Map<String, Value> {
    let line = |(name, value): &(String, f64)| (format!("val.{name}"), (*value).into());
    measured.iter().map(line).collect()
}
