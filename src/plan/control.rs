//! Whether a derived control has the size of what it is a control for.

use schemars::JsonSchema;
use serde::Serialize;

use super::amount::grouped;
use super::{Evaluation, Plan, Trial};
use crate::diag::{Diagnostic, codes, plural};
use crate::resolve::Design;

/// A level that was derived and not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Control {
    /// Index into [`Plan::axes`].
    pub axis: usize,
    /// Index into its levels.
    pub level: usize,
}

/// The size of what an evaluation reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Capacity {
    /// Width of the embeddings side by side.
    pub width: usize,
    /// Trained numbers of the encoders.
    pub parameters: u64,
    pub encoders: usize,
}

impl std::fmt::Display for Capacity {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let (encoders, parameters) = (plural(self.encoders, "encoder"), grouped(self.parameters));
        write!(f, "{encoders}, {parameters} parameters, width {}", self.width)
    }
}

impl Plan {
    /// The size of what `evaluation` reads.
    pub fn capacity(&self, evaluation: &Evaluation) -> Capacity {
        let stages = || evaluation.on.iter().map(|at| &self.stages[*at]);
        Capacity {
            width: evaluation.width(stages()),
            parameters: stages().map(|stage| stage.model.parameters).sum(),
            encoders: stages().map(|stage| stage.encoder.parts()).sum(),
        }
    }

    /// For each evaluation and size, the cells whose encoders are of that size; nothing of a plan
    /// without a control.
    pub fn capacity_lines(&self) -> Vec<String> {
        if self.control.is_none() {
            return Vec::new();
        }
        let mut groups: Vec<(&str, Capacity, Vec<String>)> = Vec::new();
        for trial in self.trials.iter().step_by(self.seeds.len().max(1)) {
            for evaluation in trial.evaluations.iter().map(|at| &self.evaluations[*at]) {
                let (name, size) = (evaluation.name.as_str(), self.capacity(evaluation));
                let label = self.cell_label(trial.cell);
                match groups.iter_mut().find(|it| (it.0, it.1) == (name, size)) {
                    Some((_, _, labels)) => labels.push(label),
                    None => groups.push((name, size, vec![label])),
                }
            }
        }
        groups.sort_by_key(|(name, size, _)| (*name, *size));
        let line = |(name, size, labels): &(&str, Capacity, Vec<String>)| {
            format!("{name} reads {size}: {}", labels.join("; "))
        };
        groups.iter().map(line).collect()
    }

    /// The trials that differ from `trial` on `axis` alone.
    fn beside<'a>(&'a self, trial: &'a Trial, axis: usize) -> impl Iterator<Item = &'a Trial> {
        let levels = move |trial: &Trial| {
            let mut levels = self.cells[trial.cell].levels.clone();
            levels[axis] = 0;
            levels
        };
        let (own, cell) = (levels(trial), trial.cell);
        let is_beside =
            move |it: &&Trial| it.seed == trial.seed && it.cell != cell && levels(it) == own;
        self.trials.iter().filter(is_beside)
    }
}

/// What to say of controls that are not of the size of the largest row beside them.
pub(super) fn mismatched(design: &Design, plan: &Plan) -> Vec<Diagnostic> {
    let Some(control) = &design.control else { return Vec::new() };
    let is_control = |it: &&Trial| plan.cells[it.cell].levels[control.axis] == control.level;
    let trials = plan.trials.iter().step_by(plan.seeds.len().max(1)).filter(is_control);
    let mut found = Vec::new();
    for trial in trials {
        for evaluation in &trial.evaluations {
            let own = plan.capacity(&plan.evaluations[*evaluation]);
            let name = &plan.evaluations[*evaluation].name;
            // What another row does not measure is not compared.
            let of = |it: &Trial| {
                let all = it.evaluations.iter().map(|at| &plan.evaluations[*at]);
                let same = all.into_iter().find(|other| other.name == *name)?;
                Some((plan.capacity(same), it.cell))
            };
            let largest = plan.beside(trial, control.axis).filter_map(of).max();
            let Some((size, cell)) = largest.filter(|(size, _)| *size != own) else { continue };
            let message = "no control of this capacity can be derived";
            found.push(
                Diagnostic::new(&codes::CONTROL, message)
                    .at(control.span, format!("`{name}` would read {own}"))
                    .at(
                        design.axes[control.axis].span,
                        format!("`{}`: {size}", plan.cell_label(cell)),
                    )
                    .help("give the encoders that are joined the size of the baseline's"),
            );
        }
    }
    found
}
