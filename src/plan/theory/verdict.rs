//! What one term can see, and whether collapse is what it wants.

use super::Phase;
use super::part::{is_supervised, is_within_class};
use super::stage::{Theory, digits, spread};
use crate::catalog::{Op, Place, Port, Value};
use crate::plan::{Stage, Term};

/// Whether a term compares embeddings by pairs.
pub fn is_contrastive(stage: &Stage, term: &Term) -> bool {
    let classes = term.classes.names.len();
    let place = Place { image: stage.data.image, dim: stage.dim, classes, train: 0 };
    let network = term.call.network(&place);
    network.is_ok_and(|it| it.layers.iter().any(|layer| matches!(layer.op, Op::Pairs(_))))
}

/// Which permutations of embeddings among images leave the term as it is.
pub fn sees(term: &Term) -> [&'static str; 2] {
    let needs = |port| term.call.needs(port);
    if needs(Port::Groups) {
        return [
            "which group of a class an embedding is of",
            "whose it is: unchanged when members of a group trade embeddings, all views together",
        ];
    }
    match (needs(Port::Input) || needs(Port::Clean), needs(Port::Labels)) {
        (true, _) => [
            "which image an embedding is of: no permutation leaves it as it is",
            "nothing: it tells the members of a class apart",
        ],
        (false, true) => [
            "which class an embedding is of",
            "whose it is: unchanged when members of a class trade embeddings, all views together",
        ],
        (false, false) => [
            "which embeddings are views of one image",
            "whose they are: unchanged when any images trade embeddings, all views together; no label",
        ],
    }
}

/// Whether class collapse minimises the term alone, in the batches of its stage.
pub fn verdict(stage: &Stage, term: &Term) -> String {
    let call = &term.call;
    let term = Term { weight: 1.0.into(), ..term.clone() };
    let alone = Stage { terms: vec![term.clone()], ..stage.clone() };
    let Some(theory) = Theory::of(&alone) else { return unreached(stage, &term) };
    let at_collapse = theory.references.first().map(|(_, it)| digits(it.collapsed));
    let worth = at_collapse.map(|value| format!("; it is {value} there")).unwrap_or_default();
    match theory.phase {
        Some(Phase::Collapse) if is_within_class(call) => {
            let (alpha, threshold) = (theory.setting.alpha, theory.setting.threshold());
            format!(
                "minimises it: its own alpha of {} is at most {}{worth}",
                digits(alpha),
                digits(threshold)
            )
        }
        Some(Phase::Collapse) => format!("minimises it: each class a point of a simplex{worth}"),
        Some(Phase::Spread(variance)) => {
            let spread = spread(variance, &theory.setting);
            format!("does not minimise it: a within-class variance of {spread} does{worth}")
        }
        Some(Phase::Mixed) => {
            format!("does not minimise it: every class all over the sphere does{worth}")
        }
        None => "cannot be decided: too few dimensions for the simplex of its classes".to_owned(),
    }
}

/// What can be said where the closed forms do not reach.
fn unreached(stage: &Stage, term: &Term) -> String {
    let call = &term.call;
    let is_contrast = is_supervised(call) || is_within_class(call);
    let is_free = ["normalize", "lc_norm"].map(|name| call.value(name));
    if is_free.contains(&Some(&Value::Bool(false))) {
        return "cannot be decided: lengths are free, and the least value is at no finite one"
            .to_owned();
    }
    if call.needs(Port::Input) || call.needs(Port::Clean) {
        return "does not minimise it: one point cannot be restored to different images".to_owned();
    }
    if matches!(call.value("temperature"), Some(Value::Course(_))) {
        return "is not decided: its temperature changes".to_owned();
    }
    if !matches!(call.value("class_weights"), None | Some(Value::None)) {
        return "is not decided: its classes count differently".to_owned();
    }
    let is_unclipped = matches!(call.value("clip"), Some(Value::None));
    if is_contrast && is_unclipped && (2..=stage.dim + 1).contains(&term.classes.names.len()) {
        return "minimises it: each class a point of a simplex; but a positive is hardly drawn once another is nearer".to_owned();
    }
    if is_contrast {
        return "is not decided: no closed form is known for these axes".to_owned();
    }
    if !call.needs(Port::Labels) {
        return "does not minimise it: embeddings of different images apart from each other do"
            .to_owned();
    }
    "is among its least values: it asks for no more than classes on their own sides".to_owned()
}
