//! Loss terms whose value nothing can change.

use crate::catalog::{Bound, Value};
use crate::diag::Span;
use crate::resolve::{Stage, Term};

/// Why a term is constant.
pub(super) struct Why {
    /// What to say of the term.
    pub label: &'static str,
    /// What makes it so, and where that stands.
    pub cause: &'static str,
    pub span: Span,
}

/// Why `term` has one value whatever is learned, if it has; it reads labels of `classes` classes.
///
/// A contrastive term of one positive and nothing to tell it from is `-log(e^S / e^S) = 0`.
pub(super) fn constant(stage: &Stage, term: &Term, classes: usize) -> Option<Why> {
    let bound = &term.call.bound;
    // What is clipped is drawn apart, whatever else there is.
    let is_clipped = matches!(bound.value("clip"), Some(Value::Real(_)));
    let needs_negatives = !is_word(bound, "denominator", "all") && !is_clipped;
    let is_single = compared(stage, bound) <= 1;
    let of_batch = |label| {
        let pieces = stage.train.method.accumulate.as_ref().filter(|_| stage.train.batch.node > 1);
        let span = pieces.map_or(stage.train.batch.span, |pieces| pieces.span);
        Why { label, cause: "one image at a time", span }
    };
    let of_labels = |label| Why { label, cause: "all of one class", span: stage.data.span };
    match bound.spec.name {
        "cross_entropy" | "group_dro" if classes == 1 => {
            Some(of_labels("there is nothing to tell apart"))
        }
        "supcon" if classes == 1 && needs_negatives => Some(of_labels("has no negatives: it is 0")),
        "supcon" if stage.train.together() == 1 && (needs_negatives || is_single) => {
            Some(of_batch("has no negatives: it is 0"))
        }
        "thanos_release" if is_weightless(bound) => Some(Why {
            label: "neither of its parts has a weight: it is 0",
            cause: "0, and so is what it is added to",
            span: term.call.place("a_lc"),
        }),
        "class_infonce" | "infonce" if is_single => {
            Some(of_batch("compares with nothing else: it is 0"))
        }
        _ => None,
    }
}

/// Whether the released loss is left without either part.
fn is_weightless(bound: &Bound) -> bool {
    let is_zero = |name| matches!(bound.value(name), Some(Value::Real(0.0)));
    let is_kind = |word| is_word(bound, "kind", word);
    is_zero("a_lc") && (is_kind("sup_con") || (is_kind("l_spread") && is_zero("a_spread")))
}

/// How many embeddings an anchor is compared with at most.
fn compared(stage: &Stage, bound: &Bound) -> usize {
    let (batch, views) = (stage.train.together(), stage.views.node);
    if is_word(bound, "pairs", "cross") { batch } else { batch * views - 1 }
}

/// Whether the argument `name` is `word`.
pub(super) fn is_word(bound: &Bound, name: &str, word: &str) -> bool {
    matches!(bound.value(name), Some(Value::Word(value)) if value == word)
}
