//! What contrastive terms see embeddings through.

use schemars::JsonSchema;
use serde::Serialize;

use super::recent::Networks;
use super::schema;
use crate::catalog::{Bound, Features, Network, Op, Place, Value};
use crate::diag::{Diagnostic, codes};
use crate::resolve::{Called, Stage};

/// A projector as a stage has it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Projection {
    #[serde(serialize_with = "super::component")]
    #[schemars(schema_with = "schema::component")]
    pub call: Bound,
    /// Width of what is compared.
    pub dim: usize,
}

impl Projection {
    /// That of `stage`, whose encoder is what `place` says; none where no term of positive weight
    /// reads it.
    pub(super) fn of(stage: &Stage, place: &Place, networks: &mut Networks) -> Option<Self> {
        let call = &stage.projector.as_ref()?.bound;
        let mut heavy = stage.terms.iter().filter(|term| !term.weight.node.is_zero());
        heavy.any(|term| compares(&term.call.bound, place)).then_some(())?;
        let dim = networks.of(call, place).ok()?.width();
        Some(Self { call: call.clone(), dim })
    }
}

/// What to say of an evaluation that reads a projector which `stage` does not train.
pub(super) fn unread(call: &Called, stage: &Stage) -> Option<Diagnostic> {
    let is_read = matches!(
        call.bound.value("on"),
        Some(Value::Features(Features::Projector(name))) if *name == stage.name.node
    );
    let mut heavy = stage.terms.iter().filter(|term| !term.weight.node.is_zero());
    let place = Place { dim: 1, ..Place::default() };
    let is_trained = heavy.any(|term| compares(&term.call.bound, &place));
    if !is_read || (stage.projector.is_some() && is_trained) {
        return None;
    }
    let name = &stage.name.node;
    let message = format!("stage `{name}` has no projector to be read");
    let diagnostic =
        Diagnostic::new(&codes::UNKNOWN_NAME, message).at(call.place("on"), "read here");
    Some(match &stage.projector {
        None => diagnostic
            .at(stage.name.span, "no `projector` stands here")
            .help(format!("`{name}.encoder` is what the encoder makes of images")),
        Some(projector) => diagnostic.at(projector.span, "no term of positive weight trains it"),
    })
}

/// Whether a term compares embeddings by pairs, and so sees them through the projector.
pub(super) fn compares(term: &Bound, place: &Place) -> bool {
    let place = Place { classes: place.classes.max(2), ..*place };
    term.network(&place).is_ok_and(|network| is_comparison(&network))
}

/// Whether the layers of a term are a comparison by pairs.
pub(super) fn is_comparison(network: &Network) -> bool {
    matches!(network.layers.first().map(|layer| layer.op), Some(Op::Pairs(_)))
}
