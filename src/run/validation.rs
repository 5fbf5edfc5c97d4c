//! What a training's classifiers are worth on the validation split.

use std::collections::BTreeMap;

use candle_core::Device;
use serde_json::{Map, Value};

use super::batch::Transforms;
use super::event::RunError;
use super::groups::Groups;
use super::pool::Pool;
use super::train::EVAL_BATCH;
use crate::graph::Model;
use crate::kernel::in_halves;
use crate::library::eval::Split;
use crate::plan::{Precision, Stage, WORST_FOUND_GROUP, WORST_GROUP};

/// The number that the best state of a stage is chosen by, as [`validate`] names it.
pub(super) fn chosen(stage: &Stage) -> Option<String> {
    stage.keep_best.as_ref().map(|term| format!("{term}.{}", stage.kept_by()))
}

/// The accuracy of each classifier, and what the best state is chosen by, where that is another
/// number; computed in the precision of the training.
pub(super) fn validate(
    (stage, model, transforms): (&Stage, &Model, &Transforms),
    (pool, groups): (&Pool, &Groups),
    device: &Device,
) -> Result<Vec<(String, f64)>, RunError> {
    let val = pool.indices(Split::Val);
    let mut right: Vec<(String, Vec<bool>)> = Vec::new();
    for items in val.chunks(EVAL_BATCH) {
        let images = transforms.untouched(pool, items, device)?;
        let fine: Vec<u32> = items.iter().map(|item| pool.fine[*item as usize]).collect();
        let halves = stage.method.precision == Some(Precision::Bf16);
        let found = in_halves(halves, || model.right(&images, &fine))?;
        for (at, (name, hits)) in found.into_iter().enumerate() {
            match right.get_mut(at) {
                Some((_, all)) => all.extend(hits),
                None => right.push((name, hits)),
            }
        }
    }
    let mut found = Vec::new();
    for (name, hits) in right {
        let share = hits.iter().filter(|hit| **hit).count() as f64 / val.len() as f64;
        found.push((format!("{name}.accuracy"), share));
        if stage.keep_best.as_ref() == Some(&name) {
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
