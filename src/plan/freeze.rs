//! Networks of a stage that are not trained: their names, their size, and whether anything is left.

use schemars::JsonSchema;
use serde::Serialize;

use super::part::{is_below, parts_below};
use super::projector::compares;
use super::recent::Networks;
use crate::catalog::{Bound, ImageShape, Network, Place};
use crate::diag::{Diagnostic, Spanned, codes, or_list};
use crate::resolve::{Stage, Term};

pub(super) const ENCODER: &str = "encoder";
pub(super) const PROJECTOR: &str = "projector";

/// The networks of a stage that stay as they are.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Frozen {
    /// Their paths in the stage: `encoder`, `encoder.a`, `projector`.
    pub networks: Vec<String>,
    /// How many numbers of theirs would be trained otherwise.
    pub parameters: u64,
}

impl Frozen {
    /// What `stage` freezes, where an encoder is given what `place` says; none where that is nothing.
    pub(super) fn of(
        stage: &Stage,
        (place, dim): (&Place, usize),
        has_projector: bool,
        networks: &mut Networks,
    ) -> Option<Self> {
        let mut found = frozen_encoders(stage);
        let encoder = thawed(&stage.encoder.bound, &found, place, networks)?;
        let mut parameters = networks.of(&stage.encoder.bound, place).ok()?.parameters();
        parameters -= encoder.parameters();
        if has_projector && freezes(stage, PROJECTOR) {
            let place = Place { dim, ..*place };
            let projector = stage.projector.as_ref()?;
            parameters += networks.of(&projector.bound, &place).ok()?.parameters();
            found.push(PROJECTOR.to_owned());
        }
        (!found.is_empty()).then_some(Self { networks: found, parameters })
    }

    /// Whether the projector stays as it is.
    fn has_projector(&self) -> bool {
        self.networks.iter().any(|name| name == PROJECTOR)
    }
}

fn names(stage: &Stage) -> Vec<&str> {
    stage.train.method.freeze.iter().map(|it| it.node.as_str()).collect()
}

/// The largest parts of the encoder of `stage` of which all is frozen.
pub(super) fn frozen_encoders(stage: &Stage) -> Vec<String> {
    frozen_in(&stage.encoder.bound, ENCODER, &names(stage))
}

/// Whether `stage` freezes the network at `path`.
pub(super) fn freezes(stage: &Stage, path: &str) -> bool {
    names(stage).contains(&path)
}

/// The encoders that an encoder is made of, with their paths.
fn parts<'a>(encoder: &'a Bound, path: &str) -> Vec<(String, &'a Bound)> {
    encoder.inner().map(|(name, part)| (format!("{path}.{name}"), part)).collect()
}

/// The largest parts of `encoder` of which all is `asked` for.
fn frozen_in(encoder: &Bound, path: &str, asked: &[&str]) -> Vec<String> {
    if asked.contains(&path) {
        return vec![path.to_owned()];
    }
    let parts = parts(encoder, path);
    let found: Vec<String> =
        parts.iter().flat_map(|(path, part)| frozen_in(part, path, asked)).collect();
    let is_whole = !parts.is_empty() && parts.iter().map(|(path, _)| path).eq(&found);
    if is_whole { vec![path.to_owned()] } else { found }
}

/// The layers of `encoder`, nothing trained of the parts that `frozen` names.
pub(super) fn thawed(
    encoder: &Bound,
    frozen: &[String],
    place: &Place,
    networks: &mut Networks,
) -> Option<Network> {
    let mut network = (*networks.of(encoder, place).ok()?).clone();
    let mut open = vec![(ENCODER.to_owned(), encoder, 0)];
    while let Some((path, part, begin)) = open.pop() {
        let layers = networks.of(part, place).ok()?.layers.len();
        if frozen.contains(&path) {
            network = network.cut(begin..begin + layers);
            continue;
        }
        // An encoder's parts come first, in order.
        let mut at = begin;
        for (path, inner) in parts(part, &path) {
            open.push((path, inner, at));
            at += networks.of(inner, place).ok()?.layers.len();
        }
    }
    Some(network)
}

/// What is wrong with what `stage` freezes.
pub(super) fn check(
    stage: &Stage,
    (image, dim): (ImageShape, usize),
    networks: &mut Networks,
) -> Vec<Diagnostic> {
    let known = known(stage);
    let strange = |it: &&Spanned<String>| !known.contains(&it.node);
    let mut found: Vec<Diagnostic> = stage
        .train
        .method
        .freeze
        .iter()
        .filter(strange)
        .map(|it| {
            let message = format!("`{}` is no network that can be frozen", it.node);
            let names = known.iter().map(String::as_str);
            Diagnostic::new(&codes::UNKNOWN_NAME, message).expected(it.span, &it.node, names)
        })
        .collect();
    if !found.is_empty() || stage.train.method.freeze.is_empty() {
        return found;
    }
    let place = Place { dim, ..Place::of_encoder(image) };
    let Some(frozen) = Frozen::of(stage, (&place, dim), true, networks) else { return found };
    let idle: Vec<&Term> = heavy(stage).filter(|it| !trains(it, stage, &place, &frozen)).collect();
    if idle.len() == heavy(stage).count() {
        found.push(all_frozen(stage));
        return found;
    }
    found.extend(idle.into_iter().map(|term| constant(term, stage)));
    found.extend(as_drawn(stage, &frozen));
    found
}

/// Every network of `stage` that may be frozen.
fn known(stage: &Stage) -> Vec<String> {
    let mut all = vec![ENCODER.to_owned()];
    let parts = parts_below(&stage.encoder.bound, ENCODER);
    all.extend(parts.into_iter().map(|(path, _)| path));
    all.extend(stage.projector.iter().map(|_| PROJECTOR.to_owned()));
    all
}

fn heavy(stage: &Stage) -> impl Iterator<Item = &Term> {
    stage.terms.iter().filter(|term| !term.weight.node.is_zero())
}

/// Whether `term` has a gradient for anything.
fn trains(term: &Term, stage: &Stage, place: &Place, frozen: &Frozen) -> bool {
    let call = &term.call.bound;
    let own = Place { classes: place.classes.max(2), ..*place };
    let has_own = call.network(&own).is_ok_and(|network| network.parameters() > 0);
    let is_projected = stage.projector.is_some() && compares(call, place);
    let seen = call.part().map_or(ENCODER.to_owned(), |part| format!("{ENCODER}.{part}"));
    let is_still = frozen.networks.iter().any(|it| is_below(&seen, it));
    has_own || !is_still || (is_projected && !frozen.has_projector())
}

fn all_frozen(stage: &Stage) -> Diagnostic {
    let message = match stage.name.node.as_str() {
        "main" => "everything is frozen: nothing is left to train".to_owned(),
        name => format!("everything in stage `{name}` is frozen: nothing is left to train"),
    };
    let diagnostic = Diagnostic::new(&codes::NO_LOSS, message);
    let frozen = stage.train.method.freeze.iter();
    let diagnostic = frozen.fold(diagnostic, |it, name| it.at(name.span, "stays as it is"));
    diagnostic.at(stage.loss, "no term here has a network of its own").help(
        "freeze less, or add a term that learns from what is frozen: `class = cross_entropy()`",
    )
}

/// A term that sees nothing but what is frozen.
fn constant(term: &Term, stage: &Stage) -> Diagnostic {
    let name = &term.name.node;
    let message = format!("the term `{name}` has one value, whatever is learned");
    let diagnostic = Diagnostic::new(&codes::CONSTANT, message)
        .at(term.call.span, "sees frozen networks, and has none of its own");
    let frozen = stage.train.method.freeze.iter();
    frozen.fold(diagnostic, |it, name| it.at(name.span, "frozen here"))
}

/// Networks that are frozen before anything was learned.
fn as_drawn(stage: &Stage, frozen: &Frozen) -> Option<Diagnostic> {
    let is_trained = stage.begins_with.is_some() || stage.encoder.bound.weights().is_some();
    let drawn = frozen.networks.iter().filter(|name| *name == PROJECTOR || !is_trained);
    let drawn: Vec<&str> = drawn.map(String::as_str).collect();
    let first = stage.train.method.freeze.iter().find(|it| {
        drawn.iter().any(|name| it.node == **name || it.node.starts_with(&format!("{name}.")))
    })?;
    let message = "what is frozen here has not learned anything";
    let diagnostic = Diagnostic::new(&codes::AS_DRAWN, message)
        .at(first.span, format!("{} stays as it is drawn", or_list(&drawn)));
    Some(match is_trained {
        true => diagnostic.help("a projector begins with drawn weights in every stage"),
        false => diagnostic
            .at(stage.encoder.span, "begins with drawn weights")
            .help("`encoder = STAGE.encoder` begins with what another stage has trained"),
    })
}
