//! Images that are mixed, where nothing may come after it, and terms that can make nothing of them.

use crate::catalog::{Bound, Port};
use crate::diag::{Diagnostic, codes};
use crate::resolve::{Called, Entry, Stage};

/// What is wrong with how the images of `stage` are mixed, if they are.
pub(super) fn mixed(stage: &Stage) -> Vec<Diagnostic> {
    let is_mixer = |entry: &&Entry| entry.call.bound.needs(Port::Batch);
    let Some(at) = stage.augment.iter().position(|entry| is_mixer(&entry)) else {
        return Vec::new();
    };
    let mixer = &stage.augment[at];
    let behind = &stage.augment[at + 1..];
    let again = behind.iter().find(is_mixer).map(|again| twice(mixer, again));
    let single = behind.iter().find(|entry| !is_mixer(entry)).map(|next| early(mixer, next));
    again.or(single).into_iter().chain(misread(stage, mixer)).collect()
}

fn twice(mixer: &Entry, again: &Entry) -> Diagnostic {
    Diagnostic::new(&codes::TRANSFORMS, "images are mixed twice")
        .at(mixer.call.span, "here")
        .at(again.call.span, "and here, when each has two classes already")
        .help(format!("leave out `{}` or `{}`", mixer.name.node, again.name.node))
}

fn early(mixer: &Entry, next: &Entry) -> Diagnostic {
    let message = format!("`{}` comes too early", mixer.call.bound.spec.name);
    Diagnostic::new(&codes::TRANSFORMS, message)
        .at(mixer.call.span, "mixes the finished images of a batch")
        .at(next.call.span, "changes single images, behind it")
        .help(format!("write `{}` last", mixer.name.node))
}

/// The terms that read one class of an image, or tell it from others.
fn misread(stage: &Stage, mixer: &Entry) -> Option<Diagnostic> {
    let heavy = stage.terms.iter().filter(|term| !term.weight.node.is_zero());
    let calls: Vec<&Called> =
        heavy.map(|term| &term.call).filter(|call| !takes_mixed(&call.bound)).collect();
    let first = calls.first()?.bound.spec.name;
    let message = format!("`{first}` can make nothing of images that are mixed");
    let diagnostic = Diagnostic::new(&codes::MIXED, message)
        .at(mixer.call.span, "makes each image one of two classes, in parts");
    let labelled = calls.iter().fold(diagnostic, |diagnostic, call| {
        let label = match call.bound.needs(Port::Labels) {
            true => "reads one class of each image",
            false => "tells each image from all others",
        };
        diagnostic.at(call.span, label)
    });
    let name = &mixer.name.node;
    Some(labelled.help(format!("leave out `{name}`, or train with `cross_entropy()`")))
}

fn takes_mixed(term: &Bound) -> bool {
    let reads_items = term.needs(Port::Labels) || term.needs(Port::Views);
    term.needs(Port::Shares) || !reads_items
}
