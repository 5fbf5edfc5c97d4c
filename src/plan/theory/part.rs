//! Contrastive terms as the closed forms see them: sums of a supervised and a class-conditional part.

use super::Denominator;
use crate::catalog::{Bound, Value};
use crate::plan::Term;
use crate::plan::constant::is_word;

/// A part of a term.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Part {
    /// Its share of the term, the scale included.
    pub share: f64,
    pub kind: PartKind,
    pub temperature: f64,
    pub is_across: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum PartKind {
    Supervised { denominator: Denominator, clip: Option<f64> },
    WithinClass,
}

impl PartKind {
    pub fn is_supervised(self) -> bool {
        matches!(self, Self::Supervised { .. })
    }
}

/// The parts of a term; none where it is not contrastive on classes, and an error where the closed
/// forms do not reach it.
pub(super) fn parts(term: &Term) -> Result<Vec<Part>, Unreached> {
    let call = &term.call;
    if !is_supervised(call) && !is_within_class(call) {
        return Ok(Vec::new());
    }
    let is_long = |name| call.value(name) == Some(&Value::Bool(false));
    let temperature = real(call, "temperature").ok_or(Unreached)?;
    if !matches!(call.value("class_weights"), None | Some(Value::None)) {
        return Err(Unreached);
    }
    if call.part().is_some() {
        return Err(Unreached);
    }
    if is_long("normalize") || is_long("lc_norm") || !matches!(sum(call), None | Some("out")) {
        return Err(Unreached);
    }
    let is_across = call.spec.name == RELEASE || is_word(call, "pairs", "cross");
    let part = |kind, share| Part { share, kind, temperature, is_across };
    Ok(match call.spec.name {
        RELEASE => {
            let [near, spread] = released_shares(call);
            let clip = (real(call, "clip_pos") == Some(1.0)).then_some(1.0);
            let supervised = PartKind::Supervised { denominator: Denominator::Own, clip };
            let parts = [part(supervised, near), part(PartKind::WithinClass, spread)];
            parts.into_iter().filter(|part| part.share > 0.0).collect()
        }
        "supcon" => {
            let (denominator, clip) = (denominator(call), real(call, "clip"));
            let scale = real(call, "scale").map_or(1.0, |base| temperature / base);
            vec![part(PartKind::Supervised { denominator, clip }, scale)]
        }
        _ => vec![part(PartKind::WithinClass, 1.0)],
    })
}

/// The closed forms do not reach a term.
#[derive(Debug)]
pub(super) struct Unreached;

const RELEASE: &str = "thanos_release";

/// Whether a term draws classes together.
pub(super) fn is_supervised(call: &Bound) -> bool {
    let is_part = is_word(call, "kind", "sup_con") || is_word(call, "kind", "l_spread");
    call.spec.name == "supcon"
        || (call.spec.name == RELEASE && is_part && real(call, "a_lc") > Some(0.0))
}

/// Whether a term spreads classes.
pub(super) fn is_within_class(call: &Bound) -> bool {
    let spreads = is_word(call, "kind", "l_spread") && real(call, "a_spread") > Some(0.0);
    call.spec.name == "class_infonce"
        || (call.spec.name == RELEASE && (spreads || is_word(call, "kind", "l_repel")))
}

fn released_shares(call: &Bound) -> [f64; 2] {
    let weight = |name| real(call, name).unwrap_or_default();
    let (near, spread) = (weight("a_lc"), weight("a_spread"));
    match () {
        () if is_word(call, "kind", "l_repel") => [0.0, 1.0],
        () if is_word(call, "kind", "l_spread") && spread > 0.0 => {
            [near / (near + spread), spread / (near + spread)]
        }
        () => [near, 0.0],
    }
}

fn sum(call: &Bound) -> Option<&str> {
    match call.value("sum") {
        Some(Value::Word(word)) => Some(word),
        _ => None,
    }
}

fn denominator(call: &Bound) -> Denominator {
    match call.value("denominator") {
        _ if is_word(call, "denominator", "all") => Denominator::All,
        _ if is_word(call, "denominator", "negatives") => Denominator::Negatives,
        _ => Denominator::Own,
    }
}

pub(super) fn real(call: &Bound, name: &str) -> Option<f64> {
    match call.value(name) {
        Some(Value::Real(value)) => Some(*value),
        _ => None,
    }
}
