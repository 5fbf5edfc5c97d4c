//! What looks for labels that were changed: that some were.

use super::compile::label_noise;
use crate::catalog::Port;
use crate::diag::{Diagnostic, codes};
use crate::resolve::Called;

/// An evaluation that looks for changed labels in data whose labels are all true.
pub(super) fn unflipped(call: &Called, data: &Called) -> Option<Diagnostic> {
    if !call.bound.needs(Port::Observed) || label_noise(&data.bound) > 0.0 {
        return None;
    }
    let message = "there is no changed label to find";
    let diagnostic = Diagnostic::new(&codes::OUT_OF_RANGE, message)
        .at(call.span, "looks for training labels that were changed")
        .at(data.place("label_noise"), "all labels are true");
    Some(match data.bound.value("label_noise") {
        Some(_) => diagnostic.help("`label_noise=20%` replaces a fifth of the training labels"),
        None => diagnostic.help("these data cannot change labels; published image sets can"),
    })
}
