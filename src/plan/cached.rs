//! Features that are computed once: what they cannot show.

use super::constant::is_word;
use crate::diag::{Diagnostic, codes};
use crate::resolve::Called;

/// An encoder that drops anew in each epoch is not seen through features that are kept.
pub(super) fn dropped_once(call: &Called) -> Option<Diagnostic> {
    let is_seen = !is_word(&call.bound, "features", "cached");
    if is_seen || !is_word(&call.bound, "dropout", "released") {
        return None;
    }
    let message = "features that are computed once are not dropped from in each epoch";
    let diagnostic = Diagnostic::new(&codes::OUT_OF_RANGE, message)
        .at(call.place("dropout"), "drops while features are computed");
    let is_said = call.args.iter().any(|(name, _)| *name == "features");
    let diagnostic = match is_said {
        true => diagnostic.at(call.place("features"), "computed once"),
        false => diagnostic,
    };
    Some(diagnostic.help("write `features=augmented` beside it, or `dropout=off`"))
}
