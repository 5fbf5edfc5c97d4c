//! Which group labels a result owes something to: every use, as training, selection or report.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Evaluation, Plan, Stage};
use crate::catalog::{ClassMap, Port, Value};

/// The splits whose group labels are read, by what for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupLabels {
    /// For weights: of networks, of groups, or of a last layer.
    pub train: Vec<String>,
    /// To choose among states.
    pub select: Vec<String>,
    /// For numbers that are reported.
    pub report: Vec<String>,
    /// The stages that have found groups of their own for training to read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found_by: Vec<String>,
}

impl GroupLabels {
    /// What training `stage` reads, and owes to those trained `before`; none where its data name no
    /// groups.
    pub(super) fn of_stage(stage: &Stage, before: &[&Stage]) -> Option<Self> {
        let groups = stage.data.groups.as_ref()?;
        let mut uses = Self::default();
        before.iter().filter_map(|it| it.group_labels.as_ref()).for_each(|it| uses.join(it));
        if stage.trains_on_groups() || tells_apart(stage, groups) {
            add(&mut uses.train, "train");
        }
        if stage.keep_worst_group {
            add(&mut uses.select, "val");
        }
        for by in stage.groups.iter().flat_map(|groups| &groups.by) {
            uses.add_finder(&by.stage);
        }
        Some(uses)
    }

    /// What the numbers of `evaluation` owe to group labels, those of the stages it reads
    /// included; none where their data name no groups.
    pub(super) fn of_evaluation(evaluation: &Evaluation, upstream: &[&Stage]) -> Option<Self> {
        let mut uses = Self::default();
        for stage in upstream {
            uses.join(stage.group_labels.as_ref()?);
        }
        if evaluation.call.needs(Port::Groups) {
            evaluation.call.spec.splits.iter().for_each(|split| add(&mut uses.report, split));
            // What an evaluation fits to groups, it says from which split.
            if let Some(Value::Word(split)) = evaluation.call.value("from") {
                add(&mut uses.train, split);
            }
        }
        Some(uses)
    }

    fn join(&mut self, other: &Self) {
        other.train.iter().for_each(|split| add(&mut self.train, split));
        other.select.iter().for_each(|split| add(&mut self.select, split));
        other.report.iter().for_each(|split| add(&mut self.report, split));
        other.found_by.iter().for_each(|stage| self.add_finder(stage));
    }

    fn add_finder(&mut self, stage: &str) {
        if !self.found_by.iter().any(|known| known == stage) {
            self.found_by.push(stage.to_owned());
        }
    }

    /// The same where only numbers of `split` are shown.
    pub fn reported_on(&self, split: &str) -> Self {
        let report = self.report.iter().filter(|it| *it == split).cloned().collect();
        Self { report, ..self.clone() }
    }
}

impl fmt::Display for GroupLabels {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let splits = |all: &[String]| match all {
            [] => "–".to_owned(),
            all => all.join(" + "),
        };
        let Self { train, select, report, found_by } = self;
        write!(f, "train {}, select {}, report {}", splits(train), splits(select), splits(report))?;
        match &found_by[..] {
            [] => Ok(()),
            stages => write!(f, "; groups found by {}", stages.join(" + ")),
        }
    }
}

/// The group labels that an evaluation owes something to in some cells of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stamp {
    pub evaluation: String,
    /// Indices into [`Plan::cells`].
    pub cells: Vec<usize>,
    pub uses: GroupLabels,
}

impl Plan {
    /// The group labels behind the numbers of `split`, by evaluation and cell; nothing where no data
    /// name groups.
    pub fn stamps(&self, split: &str) -> Vec<Stamp> {
        let mut stamps: Vec<Stamp> = Vec::new();
        for trial in &self.trials {
            for at in &trial.evaluations {
                let Evaluation { name, group_labels: Some(uses), .. } = &self.evaluations[*at]
                else {
                    continue;
                };
                let uses = uses.reported_on(split);
                let known = stamps.iter_mut().find(|it| it.evaluation == *name && it.uses == uses);
                match known {
                    Some(known) if known.cells.contains(&trial.cell) => {}
                    Some(known) => known.cells.push(trial.cell),
                    None => {
                        let (evaluation, cells) = (name.clone(), vec![trial.cell]);
                        stamps.push(Stamp { evaluation, cells, uses });
                    }
                }
            }
        }
        stamps
    }
}

/// Stamps as lines: one where all are the same, or else one for each use of labels, with the
/// evaluations and, where not all of them, the cells; `label` names a cell.
pub fn stamp_lines(stamps: &[Stamp], label: impl Fn(usize) -> String) -> Vec<String> {
    let mut uses: Vec<&GroupLabels> = Vec::new();
    for stamp in stamps {
        if !uses.contains(&&stamp.uses) {
            uses.push(&stamp.uses);
        }
    }
    if let [only] = uses[..] {
        return vec![format!("group labels: {only}")];
    }
    let all_of = |evaluation: &str| stamps.iter().filter(|it| it.evaluation == evaluation).count();
    let part = |stamp: &Stamp| match all_of(&stamp.evaluation) {
        1 => stamp.evaluation.clone(),
        _ => {
            let cells: Vec<String> = stamp.cells.iter().map(|cell| label(*cell)).collect();
            format!("{} ({})", stamp.evaluation, cells.join("; "))
        }
    };
    let line = |uses: &GroupLabels| {
        let parts = stamps.iter().filter(|stamp| stamp.uses == *uses).map(part);
        format!("group labels of {}: {uses}", parts.collect::<Vec<_>>().join(", "))
    };
    uses.into_iter().map(line).collect()
}

/// Adds a split in its place.
fn add(splits: &mut Vec<String>, split: &str) {
    if !splits.iter().any(|known| known == split) {
        splits.push(split.to_owned());
        splits.sort_by_key(|it| ["train", "val", "test"].iter().position(|known| it == known));
    }
}

/// Whether the labels that `stage` learns tell `groups` apart, alone or together.
fn tells_apart(stage: &Stage, groups: &ClassMap) -> bool {
    let learned = stage.terms.iter().filter(|term| term.call.needs(Port::Labels));
    let maps: Vec<&ClassMap> = learned.map(|term| &term.classes).collect();
    let mut known: BTreeMap<Vec<u32>, u32> = BTreeMap::new();
    groups.of_fine.iter().enumerate().all(|(fine, group)| {
        let labels = maps.iter().map(|map| map.of_fine[fine]).collect();
        known.entry(labels).or_insert(*group) == group
    })
}
