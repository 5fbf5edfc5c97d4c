//! A sound design to its trials; trainings and evaluations that several need stand there once.

use std::collections::BTreeMap;

use super::compile::{Compiled, compile, facts_of};
use super::cost::Costs;
use super::{Analysis, Axis, Cell, Cost, Digest, Origin, Plan, SCHEMA, Stage, Trial, afford};
use crate::catalog::Facts;
use crate::diag::{Diagnostic, codes, plural};
use crate::resolve::{Design, Experiment};

/// Every trial of `design`, no training longer than `limit` steps.
pub(super) fn plan(
    design: &Design,
    facts: &Facts,
    limit: Option<usize>,
    out: &mut Vec<Diagnostic>,
) -> Plan {
    let mut sharing = Sharing {
        plan: outline(design),
        stages: BTreeMap::new(),
        evaluations: BTreeMap::new(),
        costs: Costs::default(),
        facts,
    };
    for (at, cell) in design.cells.iter().enumerate() {
        for seed in &design.seeds.node {
            let networks = &mut sharing.costs.networks;
            let compiled = compile(&cell.experiment, facts, *seed, limit, networks);
            let trial = sharing.trial(compiled, (at, *seed), &cell.experiment, out);
            sharing.plan.trials.push(trial);
        }
        if let Some(trial) = sharing.plan.trials.last() {
            out.extend(afford::duration(&cell.experiment, (&sharing.plan, trial), &facts.machine));
        }
    }
    out.extend(afford::disk(design, &sharing.plan, facts.machine.disk_free));
    equal_cells(design, &sharing.plan, out);
    sharing.plan
}

/// The plan without its trials.
fn outline(design: &Design) -> Plan {
    let axis = |axis: &crate::resolve::Axis| Axis {
        names: axis.names.clone(),
        levels: axis.levels.clone(),
    };
    Plan {
        schema: SCHEMA,
        plan_version: 1,
        source: Origin::default(),
        design: design.name.node.clone(),
        axes: design.axes.iter().map(axis).collect(),
        seeds: design.seeds.node.clone(),
        cells: design.cells.iter().map(|cell| Cell { levels: cell.levels.clone() }).collect(),
        stages: Vec::new(),
        evaluations: Vec::new(),
        trials: Vec::new(),
        analysis: Analysis::default(),
    }
}

/// A plan that grows, with the index of everything in it by its address.
struct Sharing<'a> {
    plan: Plan,
    stages: BTreeMap<Digest, usize>,
    evaluations: BTreeMap<Digest, usize>,
    costs: Costs,
    facts: &'a Facts,
}

impl Sharing<'_> {
    /// Adds what is new in `compiled`.
    fn trial(
        &mut self,
        compiled: Compiled,
        (cell, seed): (usize, u64),
        experiment: &Experiment,
        out: &mut Vec<Diagnostic>,
    ) -> Trial {
        let names: Vec<String> = compiled.stages.iter().map(|stage| stage.name.clone()).collect();
        let mut stages = Vec::new();
        for stage in compiled.stages {
            let next = self.plan.stages.len();
            let at = *self.stages.entry(stage.digest.clone()).or_insert(next);
            if at == next {
                let cost = self.cost(&stage, experiment, out);
                self.plan.stages.push(Stage { cost, ..stage });
            }
            stages.push(at);
        }
        let index_of = |name: &String| {
            stages[names.iter().position(|it| it == name).expect("compiled with its stages")]
        };
        let mut evaluations = Vec::new();
        for (mut evaluation, on) in compiled.evaluations {
            evaluation.on = on.iter().map(index_of).collect();
            let next = self.plan.evaluations.len();
            let at = *self.evaluations.entry(evaluation.digest.clone()).or_insert(next);
            if at == next {
                let read: Vec<&Stage> =
                    evaluation.on.iter().map(|on| &self.plan.stages[*on]).collect();
                evaluation.cost = evaluation.cost(&read);
                self.plan.evaluations.push(evaluation);
            }
            evaluations.push(at);
        }
        Trial { cell, seed, stages, evaluations }
    }

    /// What a stage costs, with a word when that is more than the machine has.
    fn cost(&mut self, stage: &Stage, experiment: &Experiment, out: &mut Vec<Diagnostic>) -> Cost {
        let known = facts_of(&stage.data.call, self.facts);
        let images = known.map_or(0, |known| known.train + known.test.unwrap_or(0));
        let (layers, cost) = self.costs.of(stage, images).expect("the check has passed this stage");
        let declared = experiment.stages.iter().find(|it| it.name.node == stage.name);
        let training = stage.training(images);
        out.extend(declared.and_then(|declared| {
            afford::memory(declared, (&training, &layers.1), &cost, &self.facts.machine)
        }));
        cost
    }
}

/// Two cells that train and evaluate the same are one result shown twice.
fn equal_cells(design: &Design, plan: &Plan, out: &mut Vec<Diagnostic>) {
    let mut seen: BTreeMap<(&[usize], &[usize]), usize> = BTreeMap::new();
    let mut pairs = Vec::new();
    for trial in plan.trials.iter().step_by(design.seeds.node.len().max(1)) {
        let other = *seen.entry((&trial.stages, &trial.evaluations)).or_insert(trial.cell);
        pairs.extend((other != trial.cell).then_some((other, trial.cell)));
    }
    let Some((a, b)) = pairs.first() else { return };
    let (a, b) = (plan.cell_label(*a), plan.cell_label(*b));
    let others = match pairs.len() - 1 {
        0 => String::new(),
        n => format!(", and {} more", plural(n, "pair")),
    };
    out.push(
        Diagnostic::new(&codes::EQUAL_CELLS, "cells of this sweep are the same experiment")
            .at(design.name.span, format!("`{a}` and `{b}`{others}"))
            .help("each is trained once, and shown as often as it is declared"),
    );
}
