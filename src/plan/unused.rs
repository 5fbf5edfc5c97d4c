//! Stages that are declared and never read.

use std::rc::Rc;

use super::compile::read_by;
use crate::diag::{Diagnostic, codes};
use crate::resolve::{Design, Entry, Stage};

/// A stage that no cell's evaluation reads is a mistake; one that some cell reads is shared.
pub(super) fn unused_stages(design: &Design) -> Vec<Diagnostic> {
    let experiments = || design.cells.iter().map(|cell| &cell.experiment);
    let entries: Vec<&Entry> = experiments().flat_map(|it| &it.evaluations).collect();
    let mut declared: Vec<&Stage> = Vec::new();
    for stage in experiments().flat_map(|it| &it.stages) {
        if !declared.iter().any(|other| other.name.node == stage.name.node) {
            declared.push(stage);
        }
    }
    let mut read: Vec<String> = entries.iter().flat_map(|it| read_by(&it.call.bound)).collect();
    read.sort();
    read.dedup();
    if read.is_empty() {
        return Vec::new();
    }
    let needed: Vec<&Rc<Stage>> =
        experiments().flat_map(|it| it.in_order(|name| read.iter().any(|it| it == name))).collect();
    let is_unused = |stage: &&Stage| !needed.iter().any(|it| it.name.node == stage.name.node);
    declared.into_iter().filter(is_unused).map(|stage| unused(stage, &entries, &read)).collect()
}

fn unused(stage: &Stage, entries: &[&Entry], read: &[String]) -> Diagnostic {
    let name = &stage.name.node;
    let names: Vec<String> = read.iter().map(|it| format!("`{it}`")).collect();
    let others = names.join(" and ");
    let is_only = entries.iter().all(|it| it.name.node == entries[0].name.node);
    let reads = match is_only {
        true => format!("the only evaluation reads {others}"),
        false => format!("no evaluation reads more than {others}"),
    };
    let encoders: Vec<String> =
        read.iter().chain([name]).map(|it| format!("{it}.encoder")).collect();
    let is_pair = encoders.len() == 2;
    Diagnostic::new(&codes::UNUSED_STAGE, format!("nothing uses stage `{name}`"))
        .at(stage.name.span, format!("{} of work, left out", stage.train.length.node))
        .at(entries[0].call.place("on"), reads)
        .help(format!(
            "use {}: `on=concat({})`",
            if is_pair { "both" } else { "all" },
            encoders.join(", ")
        ))
        .help("or drop the stage: nothing of it is trained")
}
