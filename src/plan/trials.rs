//! A sound design to its trials; trainings and evaluations that several need stand there once.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::compile::{Asked, evaluation, facts_of, needed, read_by, stage};
use super::cost::Costs;
use super::{
    Analysis, Axis, Cell, Control, Cost, Digest, Origin, Plan, SCHEMA, Stage, Trial, Upstream,
    afford,
};
use crate::catalog::Facts;
use crate::diag::{Diagnostic, codes, plural};
use crate::resolve::{Design, Experiment, Pins, Stage as Declared};

/// Every trial of `design`, no training longer than `limit` steps.
pub(super) fn plan(
    design: &Design,
    facts: &Facts,
    limit: Option<usize>,
    out: &mut Vec<Diagnostic>,
) -> Plan {
    let mut sharing = Sharing::new(outline(design), facts, limit);
    for (at, cell) in design.cells.iter().enumerate() {
        for seed in &design.seeds.node {
            let trial = sharing.trial(&cell.experiment, (at, *seed), out);
            sharing.plan.trials.push(trial);
        }
        if let Some(trial) = sharing.plan.trials.last() {
            out.extend(afford::duration(&cell.experiment, (&sharing.plan, trial), &facts.machine));
        }
    }
    out.extend(afford::disk(design, &sharing.plan, facts.machine.disk_free));
    let idle = idle_axes(design, &sharing.plan);
    match idle.is_empty() {
        true => equal_cells(design, &sharing.plan, out),
        false => out.extend(idle),
    }
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
        control: design.control.map(|it| Control { axis: it.axis, level: it.level }),
        is_union: design.is_union,
        device: design.cells.first().and_then(|cell| cell.experiment.machine.device),
    }
}

/// A plan that grows, with the index of everything in it by its address.
struct Sharing<'a> {
    plan: Plan,
    facts: &'a Facts,
    limit: Option<usize>,
    stages: BTreeMap<Digest, usize>,
    evaluations: BTreeMap<Digest, usize>,
    costs: Costs,
    /// The stages that cells share, so that they are compiled once for each seed.
    known: BTreeMap<(*const Declared, From), usize>,
}

/// What a stage is compiled from beside its declaration.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct From {
    seed: u64,
    pins: Pins,
    /// What it begins with; an index into [`Plan::stages`], as the others.
    upstream: Option<usize>,
    /// What finds its groups.
    found_by: Vec<usize>,
}

impl<'a> Sharing<'a> {
    fn new(plan: Plan, facts: &'a Facts, limit: Option<usize>) -> Self {
        let (stages, evaluations, known) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { plan, facts, limit, stages, evaluations, costs: Costs::default(), known }
    }

    /// Adds what is new in `experiment`.
    fn trial(
        &mut self,
        experiment: &Experiment,
        (cell, seed): (usize, u64),
        out: &mut Vec<Diagnostic>,
    ) -> Trial {
        let needed = needed(experiment);
        let position =
            |name: &str| needed.iter().position(|it| it.name.node == name).expect("it is needed");
        let mut stages: Vec<usize> = Vec::new();
        for declared in &needed {
            let upstream = declared.upstream().map(|name| stages[position(name)]);
            let before = declared.before();
            let found_by = before[usize::from(upstream.is_some())..].iter();
            let found_by = found_by.map(|name| stages[position(name)]).collect();
            let from = From { seed, pins: experiment.pins.clone(), upstream, found_by };
            stages.push(self.stage(declared, from, out));
        }
        let index_of = |name: &String| stages[position(name)];
        let mut evaluations = Vec::new();
        for entry in &experiment.evaluations {
            let call = &entry.call.bound;
            let on: Vec<usize> = read_by(call).iter().map(index_of).collect();
            let upstream: Vec<&Stage> = on.iter().map(|at| &self.plan.stages[*at]).collect();
            let mut found = evaluation(&entry.name.node, call, &upstream, self.facts, seed);
            found.on = on;
            let next = self.plan.evaluations.len();
            let at = *self.evaluations.entry(found.digest.clone()).or_insert(next);
            if at == next {
                let read: Vec<&Stage> = found.on.iter().map(|on| &self.plan.stages[*on]).collect();
                found.cost = found.cost(&read);
                self.plan.evaluations.push(found);
            }
            evaluations.push(at);
        }
        Trial { cell, seed, stages, evaluations }
    }

    /// What a stage costs, with a word when that is more than the machine has.
    fn cost(&mut self, stage: &Stage, declared: &Declared, out: &mut Vec<Diagnostic>) -> Cost {
        let known = facts_of(&stage.data.call, self.facts);
        let images = known.map_or(0, |known| known.train + known.test.unwrap_or(0));
        let (layers, cost) = self.costs.of(stage, images).expect("the check has passed this stage");
        let training = stage.training(images);
        let machine = &self.facts.machine;
        out.extend(afford::memory(declared, (&training, &layers.1), &cost, machine));
        cost
    }

    /// The index of a stage, which is added if it is new.
    fn stage(&mut self, declared: &Rc<Declared>, from: From, out: &mut Vec<Diagnostic>) -> usize {
        let key = (Rc::as_ptr(declared), from);
        if let Some(at) = self.known.get(&key) {
            return *at;
        }
        let From { seed, pins, upstream, found_by } = &key.1;
        let planned = |at: usize| &self.plan.stages[at];
        let asked = Asked {
            facts: self.facts,
            seed: *seed,
            pins,
            limit: self.limit,
            upstream: upstream.map(|at| Upstream::of(planned(at))),
            found_by: found_by.iter().map(|at| Upstream::of(planned(*at))).collect(),
            before: upstream.iter().chain(found_by).map(|at| planned(*at)).collect(),
        };
        let stage = stage(declared, &asked, &mut self.costs.networks);
        let next = self.plan.stages.len();
        let at = *self.stages.entry(stage.digest.clone()).or_insert(next);
        if at == next {
            let cost = self.cost(&stage, declared, out);
            self.plan.stages.push(Stage { cost, ..stage });
        }
        self.known.insert(key, at);
        at
    }
}

/// What to say of axes along which nothing changes, all others being equal.
fn idle_axes(design: &Design, plan: &Plan) -> Vec<Diagnostic> {
    let is_idle = |at: &usize| is_idle(plan, *at);
    let idle = (0..plan.axes.len()).filter(is_idle).map(|at| &design.axes[at]);
    let warn = |axis: &crate::resolve::Axis| {
        let message = format!("the axis `{}` has no effect", axis.names.join("+"));
        let count = axis.levels.len();
        Diagnostic::new(&codes::NO_EFFECT, message)
            .at(axis.span, format!("its {count} levels are the same experiment"))
            .help("each is trained once, and shown as often as it is declared")
    };
    idle.map(warn).collect()
}

/// Whether cells that differ on axis `at` alone are always the same, and there are such cells.
fn is_idle(plan: &Plan, at: usize) -> bool {
    let mut seen: BTreeMap<Vec<usize>, &Trial> = BTreeMap::new();
    let mut any = false;
    for trial in plan.trials.iter().step_by(plan.seeds.len().max(1)) {
        let mut others = plan.cells[trial.cell].levels.clone();
        others[at] = 0;
        match seen.get(&others) {
            Some(first) if !is_same(first, trial) => return false,
            Some(_) => any = true,
            None => {
                seen.insert(others, trial);
            }
        }
    }
    any
}

fn is_same(a: &Trial, b: &Trial) -> bool {
    a.stages == b.stages && a.evaluations == b.evaluations
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
