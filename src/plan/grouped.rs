//! What reads the groups of the data: that there are some, and that they have images.

use super::compile::groups_of;
use crate::catalog::{DatasetFacts, Kind, Port};
use crate::diag::{Diagnostic, Span, codes, plural};
use crate::resolve::{Called, Stage};

/// What is wrong with the groups that the terms of `stage` read.
pub(super) fn of_stage(stage: &Stage, known: &DatasetFacts) -> Vec<Diagnostic> {
    let terms = stage.terms.iter().filter(|term| !term.weight.node.is_zero());
    let reading = terms.filter(|term| term.call.bound.needs(Port::Groups));
    reading.filter_map(|term| read(&term.call, &stage.data, known)).collect()
}

/// What is wrong with the groups of `data` that `call` reads.
pub(super) fn read(call: &Called, data: &Called, known: &DatasetFacts) -> Option<Diagnostic> {
    if !call.bound.needs(Port::Groups) {
        return None;
    }
    let groups = known.groups(&groups_of(&data.bound)).ok()?;
    let Some(groups) = groups else {
        let message = format!("`{}` reads groups, and there are none", call.bound.spec.name);
        return Some(no_groups(message, (call.span, "reads the group of each image"), data));
    };
    if known.counts.len() != groups.of_fine.len() {
        return None;
    }
    let mut sizes = vec![0; groups.names.len()];
    let counts = groups.of_fine.iter().zip(&known.counts);
    counts.for_each(|(group, count)| sizes[*group as usize] += count);
    let empty: Vec<usize> = (0..sizes.len()).filter(|group| sizes[*group] == 0).collect();
    let first = &groups.names[*empty.first()?];
    let others = match empty.len() - 1 {
        0 => String::new(),
        more => format!(", nor have {}", plural(more, "other")),
    };
    let left_out = match call.bound.spec.kind {
        Kind::Loss => "gives it no weight",
        _ => "leaves it out of the average by shares of training",
    };
    let message = format!("the group `{first}` has no image to train on{others}");
    Some(
        Diagnostic::new(&codes::EMPTY_GROUP, message)
            .at(call.span, left_out)
            .at(data.place("groups"), plural(sizes.len(), "group")),
    )
}

/// What to say where groups are read at `place` and `data` name none.
pub(super) fn no_groups(message: String, place: (Span, &str), data: &Called) -> Diagnostic {
    let help = match data.bound.value("groups") {
        Some(_) => "name the label columns that make them: `groups=[…]`",
        None => {
            "`waterbirds`, `celeba` and `isic` have groups; your own images get them by \
                 `csv(…, group=\"column\", groups=[fine, group])`"
        }
    };
    Diagnostic::new(&codes::NO_GROUPS, message)
        .at(place.0, place.1)
        .at(data.span, "names none")
        .help(help)
}
