//! What reads the groups of the data: that there are some, and that they have images.

use super::Division;
use super::compile::{groups_of, labels_of};
use super::constant::is_word;
use crate::catalog::{ClassMap, DatasetFacts, Kind, Labels, Port, Value};
use crate::diag::{Diagnostic, Span, codes, plural};
use crate::resolve::{Called, Keep, Stage, Term, WORST_GROUP};

/// What is wrong with the groups that the terms of `stage` read.
pub(super) fn of_stage(stage: &Stage, known: &DatasetFacts) -> Vec<Diagnostic> {
    let terms = stage.terms.iter().filter(|term| !term.weight.node.is_zero());
    let reading =
        terms.filter(|term| stage.groups.is_none() && term.call.bound.needs(Port::Groups));
    let found = reading.filter_map(|term| read(&term.call, &stage.data, known));
    found.chain(unchosen(stage, known)).collect()
}

/// A state that is chosen by the worst of no groups.
fn unchosen(stage: &Stage, known: &DatasetFacts) -> Option<Diagnostic> {
    let Keep::Best { term, metric } = &stage.train.keep else { return None };
    let has_none = known.groups(&groups_of(&stage.data.bound)).is_ok_and(|it| it.is_none());
    (*metric == WORST_GROUP && has_none).then(|| {
        let message = "the best state cannot be chosen".to_owned();
        no_groups(message, (term.span, "by the worst group of the validation split"), &stage.data)
    })
}

/// What is wrong with an evaluation that reads groups: with these, with what classifies, and with
/// what that is fitted to; of another, what is wrong with what classifies.
pub(super) fn of_evaluation(
    call: &Called,
    stages: &[&Stage],
    known: &DatasetFacts,
) -> Vec<Diagnostic> {
    let Some(stage) = stages.first() else { return Vec::new() };
    let (labels, own) = (labels_of(&call.bound), labels_of(&stage.data.bound));
    let Ok(map) = known.class_map(&labels, &own) else { return Vec::new() };
    let untrained = untrained(call, stages, &map, known);
    if !call.bound.needs(Port::Groups) {
        return untrained.into_iter().collect();
    }
    let one = (map.names.len() == 1).then(|| {
        Diagnostic::new(&codes::OUT_OF_RANGE, "there is one class, and nothing to tell apart")
            .at(call.span, "every guess would be right")
            .at(
                if labels == Labels::Declared { &stage.data } else { call }.place("labels"),
                format!("all of the class `{}`", map.names[0]),
            )
    });
    let found = [read(call, &stage.data, known), one, untrained];
    let unfitted = Division::of(&stage.data.bound, known).ok();
    let unfitted = unfitted.and_then(|division| unfitted_on(call, &stage.data, &division));
    found.into_iter().chain([unfitted]).flatten().collect()
}

/// What is said of a stage whose loss has no classifier of the labels that are asked for, but perhaps
/// another: the title, the label at the loss, and what to do.
pub(super) fn no_classifier(stage: &str, other: Option<&Term>) -> [String; 3] {
    let of = if other.is_some() { " of these labels" } else { "" };
    let help = match other {
        Some(term) => {
            format!("it has one of `labels={}`", Value::Labels(labels_of(&term.call.bound)))
        }
        None => "add one, for example `class = cross_entropy()`".to_owned(),
    };
    let title = format!("`{stage}` trains no classifier{of}");
    [title, format!("no term of its loss has a classifier{of}"), help]
}

/// A classifier that no stage trains.
fn untrained(
    call: &Called,
    stages: &[&Stage],
    map: &ClassMap,
    known: &DatasetFacts,
) -> Option<Diagnostic> {
    if !is_word(&call.bound, "head", "trained") {
        return None;
    }
    let [stage] = stages else {
        let message = "a classifier that was trained with one encoder reads that one alone";
        return Some(
            Diagnostic::new(&codes::SHAPE, message)
                .at(call.place("on"), "several are joined here")
                .help("`head=logistic` trains one on all of them"),
        );
    };
    let own = labels_of(&stage.data.bound);
    let reads =
        |term: &&Term| known.class_map(&labels_of(&term.call.bound), &own).as_ref() == Ok(map);
    let terms = stage.terms.iter().filter(|it| it.has_classifier() && !it.weight.node.is_zero());
    if terms.clone().any(|term| reads(&term)) {
        return None;
    }
    let [title, label, help] = no_classifier(&stage.name.node, terms.clone().next());
    Some(
        Diagnostic::new(&codes::MISSING, title)
            .at(call.span, "guesses by the one that was trained with the encoder")
            .at(stage.loss, label)
            .help(format!("{help}, or write `head=logistic`")),
    )
}

/// An evaluation that is fitted to a split without images.
fn unfitted_on(call: &Called, data: &Called, division: &Division) -> Option<Diagnostic> {
    (is_word(&call.bound, "from", "val") && division.val == 0).then(|| {
        Diagnostic::new(&codes::OUT_OF_RANGE, "there are no images to balance")
            .at(call.place("from"), "fitted to the validation split")
            .at(data.place("val"), "which is empty: write `val=10%`")
    })
}

/// An area under a ROC curve of labels that are not two.
pub(super) fn area(
    metric: (&str, Span),
    call: &Called,
    data: &Called,
    known: &DatasetFacts,
) -> Option<Diagnostic> {
    let (name, span) = metric;
    let map = known.class_map(&labels_of(&call.bound), &labels_of(&data.bound)).ok()?;
    let is_of_classes = name.ends_with("auroc") && call.bound.needs(Port::Groups);
    (is_of_classes && map.names.len() != 2).then(|| {
        let message = format!("`{name}` is measured of two classes");
        Diagnostic::new(&codes::OUT_OF_RANGE, message)
            .at(span, "left out of the scores")
            .at(call.span, format!("tells {} classes apart", map.names.len()))
            .help("`labels=group({\"name\" = [class, …], \"rest\" = […]})` makes two of them")
    })
}

/// What is wrong with the groups of `data` that `call` reads.
fn read(call: &Called, data: &Called, known: &DatasetFacts) -> Option<Diagnostic> {
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
