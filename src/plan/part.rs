//! Terms that see one part of an encoder, and parts that no term sees.

use schemars::JsonSchema;
use serde::Serialize;

use super::freeze::{ENCODER, frozen_encoders};
use super::projector::compares;
use super::recent::Networks;
use crate::catalog::{Bound, Place};
use crate::diag::{Diagnostic, codes};
use crate::resolve::{Called, Stage, Term};

/// The numbers of an embedding that belong to one part of its encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Slice {
    /// The first of them.
    pub start: usize,
    pub width: usize,
}

impl Slice {
    /// Those of the part called `part` in `encoder`; none where there is no such part.
    pub(super) fn of(
        (encoder, part): (&Bound, &str),
        place: &Place,
        networks: &mut Networks,
    ) -> Option<Self> {
        let (mut start, mut at) = (0, encoder);
        for wanted in part.split('.') {
            let mut next = None;
            for (name, inner) in at.inner() {
                if name == wanted {
                    next = Some(inner);
                    break;
                }
                start += networks.of(inner, place).ok()?.width();
            }
            at = next?;
        }
        Some(Self { start, width: networks.of(at, place).ok()?.width() })
    }
}

/// The parts of an encoder below `path`, those of parts included, each with its path.
pub(super) fn parts_below<'a>(encoder: &'a Bound, path: &str) -> Vec<(String, &'a Bound)> {
    let below =
        |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let mut all = Vec::new();
    for (name, inner) in encoder.inner() {
        all.push((below(name), inner));
        all.extend(parts_below(inner, &below(name)));
    }
    all
}

/// What is wrong with the parts that the terms of `stage` see, and with those that none sees.
pub(super) fn check(stage: &Stage) -> Vec<Diagnostic> {
    let asked = |term: &&Term| term.call.bound.part().is_some();
    let terms = || stage.terms.iter().filter(|term| !term.weight.node.is_zero());
    let mut found: Vec<Diagnostic> = stage
        .terms
        .iter()
        .filter(asked)
        .filter_map(|term| strange(&term.call, stage).or_else(|| projected(&term.call, stage)))
        .collect();
    if found.is_empty() && terms().next().is_some() {
        found.extend(unseen(stage));
    }
    found
}

/// A part that the encoder does not have.
fn strange(call: &Called, stage: &Stage) -> Option<Diagnostic> {
    let (part, encoder) = (call.bound.part()?, &stage.encoder);
    let parts = parts_below(&encoder.bound, "");
    if parts.iter().any(|(path, _)| path == part) {
        return None;
    }
    let message = format!("the encoder has no part `{part}`");
    let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
    Some(match &parts[..] {
        [] => diagnostic
            .at(call.place("on"), "to be seen by this term alone")
            .at(encoder.span, "not made of parts")
            .help("`encoder = concat(a=…, b=…)` has the parts `a` and `b`"),
        parts => {
            // The span is that of the argument with its name.
            let names = parts.iter().map(|(path, _)| path.as_str());
            diagnostic
                .expected(call.place("on"), part, names)
                .without_fix()
                .at(encoder.span, "this encoder")
        }
    })
}

/// A projector is one of all parts.
fn projected(call: &Called, stage: &Stage) -> Option<Diagnostic> {
    let projector = stage.projector.as_ref()?;
    compares(&call.bound, &Place { dim: 1, ..Place::default() }).then(|| {
        let message = "a projector sees all of the embedding, and this term one part";
        Diagnostic::new(&codes::SHAPE, message)
            .at(call.place("on"), "one part of it")
            .at(projector.span, "stands between the embedding and what is compared")
            .help("leave out `on`, or write `projector = none`")
    })
}

/// A part that is to be trained, and has no gradient from any term.
fn unseen(stage: &Stage) -> Vec<Diagnostic> {
    let frozen = frozen_encoders(stage);
    let terms = stage.terms.iter().filter(|term| !term.weight.node.is_zero());
    let seen: Vec<Option<&str>> = terms.map(|term| term.call.bound.part()).collect();
    let all = parts_below(&stage.encoder.bound, "");
    let leaves = all.iter().filter(|(_, part)| part.inner().next().is_none());
    let is_seen = |path: &str| seen.iter().any(|part| part.is_none_or(|part| is_below(path, part)));
    let is_frozen = |path: &str| frozen.iter().any(|it| is_below(&format!("{ENCODER}.{path}"), it));
    let unseen = leaves.filter(|(path, _)| !is_seen(path) && !is_frozen(path));
    unseen
        .map(|(path, _)| {
            let message = format!("nothing trains the part `{path}` of the encoder");
            let first = path.split('.').next().unwrap_or_default();
            Diagnostic::new(&codes::NO_LOSS, message)
                .at(stage.encoder.place(first), "to be trained")
                .at(stage.loss, "every term sees another part")
                .help(format!("add a term that sees it: one without `on`, or with `on={path}`"))
        })
        .collect()
}

/// Whether `path` is `other`, or a part of it.
pub(super) fn is_below(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
