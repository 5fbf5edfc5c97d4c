//! Stages that begin with the encoder of another: what fits, and what it has already seen.

use schemars::JsonSchema;
use serde::Serialize;

use super::analysis::difference;
use super::compile::facts_of;
use super::recent::Networks;
use super::transforms::{behind, sized};
use super::{Digest, Stage as Planned};
use crate::catalog::{Facts, ImageShape, Network, Place};
use crate::diag::{Diagnostic, codes};
use crate::resolve::{Experiment, Stage};

/// The training whose encoder another begins with.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Upstream {
    /// The name of the stage.
    pub stage: String,
    pub digest: Digest,
}

impl Upstream {
    pub(super) fn of(stage: &Planned) -> Self {
        Self { stage: stage.name.clone(), digest: stage.digest.clone() }
    }
}

/// What is wrong with the encoder that `stage` begins with; nothing where it has one of its own.
pub(super) fn check(
    experiment: &Experiment,
    stage: &Stage,
    facts: &Facts,
    networks: &mut Networks,
) -> Vec<Diagnostic> {
    let before = |it: &Stage| it.upstream().and_then(|name| experiment.stage(name));
    let Some(first) = before(stage) else { return Vec::new() };
    let all = std::iter::successors(Some(first), |it| before(it));
    let seen = all.take(experiment.stages.len()).find_map(|it| seen(stage, it));
    seen.into_iter().chain(misfit(stage, first, facts, networks)).collect()
}

/// Images that are held out of `stage`, and may be among those that `before` was trained on.
fn seen(stage: &Stage, before: &Stage) -> Option<Diagnostic> {
    let param = difference(&stage.data.bound, &before.data.bound)??;
    let (own, other) = (&stage.name.node, &before.name.node);
    let message = format!("stage `{own}` holds out images that its encoder may have learned from");
    let help = format!("give both stages the same `{param}`; `labels` and `train` may differ");
    Some(
        Diagnostic::new(&codes::HELD_OUT, message)
            .at(stage.data.place(param), format!("what `{own}` holds out"))
            .at(before.data.place(param), format!("what `{other}` holds out"))
            .help(help),
    )
}

/// An encoder whose layers have other sizes on the images of `stage`.
fn misfit(
    stage: &Stage,
    before: &Stage,
    facts: &Facts,
    networks: &mut Networks,
) -> Option<Diagnostic> {
    let known = |it: &Stage| Some(facts_of(&it.data.bound, facts)?.image);
    let image = |it: &Stage| Some(behind(it.augment.iter().map(|it| &it.call.bound), known(it)?));
    let (own, other) = (image(stage)?, image(before)?);
    let mut layers = |image| networks.of(&stage.encoder.bound, &Place::of_encoder(image)).ok();
    let (here, there) = (layers(own)?, layers(other)?);
    if sizes(&here) == sizes(&there) {
        return None;
    }
    let name = &before.name.node;
    let place = |it: &Stage| Some(sized(it, known(it)?));
    let at = stage.begins_with.as_ref()?.span;
    let shown = |image: ImageShape| format!("images are {image}");
    Some(
        Diagnostic::new(&codes::SHAPE, format!("the encoder of `{name}` is one for other images"))
            .at(at, "begins with it")
            .at(place(stage)?, shown(own))
            .at(place(before)?, shown(other))
            .help(format!("give both stages images of one shape: {other}")),
    )
}

/// What each layer keeps.
fn sizes(network: &Network) -> Vec<(u64, u64)> {
    network.layers.iter().map(|layer| (layer.parameters, layer.buffers)).collect()
}
