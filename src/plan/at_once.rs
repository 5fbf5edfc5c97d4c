//! Optimizers that see all images at once: what they cannot train, and what they do not read.

use super::constant::is_word;
use crate::catalog::{Port, Value};
use crate::diag::{Diagnostic, codes};
use crate::resolve::{Called, Stage};

/// A network is trained by steps.
pub(super) fn of_stage(stage: &Stage) -> Option<Diagnostic> {
    let optimizer = &stage.train.optimizer;
    let name = optimizer.bound.spec.name;
    optimizer.bound.needs(Port::Split).then(|| {
        Diagnostic::new(&codes::OUT_OF_RANGE, format!("`{name}` trains no network"))
            .at(optimizer.span, "fits a linear classifier to all images at once")
            .help("write an optimizer that takes steps, for example `adamw(lr=1e-3)`")
            .help(format!("`linear(optimizer={name}())` fits a classifier in an evaluation"))
    })
}

/// What an evaluation says of steps that its optimizer does not take.
pub(super) fn of_evaluation(call: &Called) -> Vec<Diagnostic> {
    let Some(Value::Component(optimizer)) = call.bound.value("optimizer") else {
        return Vec::new();
    };
    if !optimizer.needs(Port::Split) {
        return Vec::new();
    }
    let name = optimizer.spec.name;
    let found = |message: String, param: &str, label: &str, help: &str| {
        Diagnostic::new(&codes::OUT_OF_RANGE, message)
            .at(call.place(param), label)
            .at(call.place("optimizer"), "sees all images at once")
            .help(help)
    };
    let is_said = |param: &&&str| call.args.iter().any(|(name, _)| name == *param);
    let steps = ["schedule", "batch", "for"];
    let steps = steps.iter().filter(is_said).map(|param| {
        let message = format!("`{name}` takes no steps, and reads no `{param}`");
        found(message, param, "speaks of steps", &format!("leave out `{param}`"))
    });
    let augmented = is_word(&call.bound, "features", "augmented").then(|| {
        let message = format!("`{name}` cannot see another view of each image in each epoch");
        found(message, "features", "anew in each epoch", "write `features=cached`")
    });
    steps.chain(augmented).collect()
}
