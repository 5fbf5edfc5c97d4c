//! What a batch that is passed through in parts has not in common with a whole one.

use std::rc::Rc;

use super::compile::labels_of;
use super::freeze::{PROJECTOR, freezes, frozen_encoders, thawed};
use super::recent::Networks;
use crate::catalog::{DatasetFacts, ImageShape, Network, Op, Place, Port};
use crate::diag::{Diagnostic, Span, codes, plural};
use crate::resolve::{Stage, Term};

/// What is to be said of `stage` where its batches are divided; `dim` is the width of its embedding.
pub(super) fn divided(
    stage: &Stage,
    (known, image): (&DatasetFacts, ImageShape),
    dim: Option<usize>,
    networks: &mut Networks,
) -> Vec<Diagnostic> {
    let method = &stage.train.method;
    let (accumulate, chunk) = (method.accumulate.as_ref(), method.chunk.as_ref());
    let pieces = accumulate.filter(|it| it.node > 1 && it.node <= stage.train.batch.node);
    let chunk = chunk.filter(|it| it.node < stage.train.batch.node);
    let Some(dim) = dim.filter(|_| pieces.is_some() || chunk.is_some()) else { return Vec::new() };
    let mut parts = Parts::of(stage, (known, image), dim, networks);
    if let Some(chunk) = chunk {
        return parts.normalised.first().map(|at| chunked(chunk.span, *at)).into_iter().collect();
    }
    let Some(pieces) = pieces else { return Vec::new() };
    // A batch in chunks passes through a projector whole.
    let place = Place { dim, ..Place::of_encoder(image) };
    if let Some(projector) = &stage.projector
        && !freezes(stage, PROJECTOR)
        && let Ok(network) = networks.of(&projector.bound, &place)
    {
        parts.add(&network, projector.span);
    }
    let items = stage.train.together();
    let mut found = Vec::new();
    if !parts.comparing.is_empty() {
        found.push(compared(pieces.span, items, std::mem::take(&mut parts.comparing)));
    }
    found.extend(parts.weighing.first().map(|at| weighed(pieces.span, items, *at)));
    found.extend(parts.normalised.first().map(|at| normalised(pieces.span, items, *at)));
    found
}

/// Where a stage has what looks at several items of a batch at once.
#[derive(Default)]
struct Parts {
    /// Terms that compare embeddings.
    comparing: Vec<Span>,
    /// Terms that weigh groups by what the batch has of them.
    weighing: Vec<Span>,
    /// Networks that normalise over a batch.
    normalised: Vec<Span>,
}

impl Parts {
    fn of(
        stage: &Stage,
        (known, image): (&DatasetFacts, ImageShape),
        dim: usize,
        networks: &mut Networks,
    ) -> Self {
        let mut parts = Self::default();
        // What is frozen has the statistics it was recorded with.
        let frozen = frozen_encoders(stage);
        let place = Place::of_encoder(image);
        if let Some(encoder) = thawed(&stage.encoder.bound, &frozen, &place, networks) {
            parts.add(&encoder, stage.encoder.span);
        }
        for term in stage.terms.iter().filter(|term| !term.weight.node.is_zero()) {
            if term.call.bound.needs(Port::Groups) {
                parts.weighing.push(term.call.span);
            }
            if let Some(network) = network(term, stage, (known, image, dim), networks) {
                parts.add(&network, term.call.span);
            }
        }
        parts
    }

    fn add(&mut self, network: &Network, span: Span) {
        let layers = network.layers.iter().filter(|layer| !layer.is_cut);
        let has = |is: fn(Op) -> bool| layers.clone().any(|layer| is(layer.op));
        if has(|op| matches!(op, Op::Pairs(_))) {
            self.comparing.push(span);
        }
        if has(|op| op == Op::BatchNorm) {
            self.normalised.push(span);
        }
    }
}

fn network(
    term: &Term,
    stage: &Stage,
    (known, image, dim): (&DatasetFacts, ImageShape, usize),
    networks: &mut Networks,
) -> Option<Rc<Network>> {
    let own = labels_of(&stage.data.bound);
    let map = known.class_map(&labels_of(&term.call.bound), &own).ok()?;
    let place = Place { image, dim, classes: map.names.len(), train: 0 };
    networks.of(&term.call.bound, &place).ok()
}

fn compared(pieces: Span, items: usize, terms: Vec<Span>) -> Diagnostic {
    let message = "terms that compare images see a piece of the batch, not all of it";
    let label = format!("pieces of {}", plural(items, "item"));
    let diagnostic = Diagnostic::new(&codes::PIECES, message).at(pieces, label);
    let diagnostic = terms.into_iter().fold(diagnostic, |diagnostic, term| {
        diagnostic.at(term, "compares the items of one piece")
    });
    diagnostic.help("adding up gradients makes no larger contrastive batch").help(format!(
        "`chunk = {items}` instead of `accumulate` compares all of the batch, in the same memory"
    ))
}

fn weighed(pieces: Span, items: usize, term: Span) -> Diagnostic {
    let message = "a term that weighs groups sees a piece of the batch, not all of it";
    Diagnostic::new(&codes::PIECES, message)
        .at(pieces, format!("pieces of {}", plural(items, "item")))
        .at(term, "has the groups of one piece, and moves their weights once for each")
        .help(format!("`chunk = {items}` instead of `accumulate` sees all of the batch"))
}

fn normalised(pieces: Span, items: usize, network: Span) -> Diagnostic {
    let message = "batch normalisation sees a piece of the batch, not all of it";
    Diagnostic::new(&codes::PIECES, message)
        .at(pieces, format!("pieces of {}", plural(items, "item")))
        .at(network, "has the mean and variance of each piece")
        .help("its running statistics move once for each piece")
}

fn chunked(chunk: Span, network: Span) -> Diagnostic {
    let message = "a batch in chunks is not the whole batch for batch normalisation";
    Diagnostic::new(&codes::CHUNKS, message)
        .at(chunk, "each chunk would have a mean and variance of its own")
        .at(network, "normalises over the batch")
        .help("use a network without batch normalisation, or leave out `chunk`")
}
