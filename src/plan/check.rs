//! What can be known to be wrong before any training: shapes, sizes, labels, views, unused stages.

use super::compile::{Compiled, compile, facts_of, labels_of, read_by};
use super::{Axis, Cell, Division, Plan, Trial};
use crate::catalog::{DatasetFacts, Facts, Labels, Misfit, Port};
use crate::diag::{Diagnostic, Span, codes, has_errors};
use crate::resolve::{Design, Experiment, Stage, Term};

/// Checks a design against what is known of the world, and plans it when nothing is wrong; `limit`
/// is the most steps any training may take.
pub fn check(
    design: &Design,
    facts: &Facts,
    limit: Option<usize>,
) -> (Option<Plan>, Vec<Diagnostic>) {
    let mut out: Vec<Diagnostic> = Vec::new();
    for cell in &design.cells {
        let mut checker = Checker { facts, out: Vec::new(), is_sweep: !design.axes.is_empty() };
        checker.experiment(&cell.experiment);
        for diagnostic in checker.out {
            if !out.contains(&diagnostic) {
                out.push(diagnostic);
            }
        }
    }
    unused_stages(design, &mut out);
    if has_errors(&out) {
        return (None, out);
    }
    let plan = plan(design, facts, limit, &mut out);
    (Some(plan), out)
}

/// Every trial of the design; trainings and evaluations that several need stand there once.
fn plan(design: &Design, facts: &Facts, limit: Option<usize>, out: &mut Vec<Diagnostic>) -> Plan {
    let mut plan = Plan {
        plan_version: 1,
        design: design.name.node.clone(),
        axes: design
            .axes
            .iter()
            .map(|axis| Axis { names: axis.names.clone(), levels: axis.levels.clone() })
            .collect(),
        seeds: design.seeds.node.clone(),
        cells: design.cells.iter().map(|cell| Cell { levels: cell.levels.clone() }).collect(),
        stages: Vec::new(),
        evaluations: Vec::new(),
        trials: Vec::new(),
    };
    for (at, cell) in design.cells.iter().enumerate() {
        for seed in &design.seeds.node {
            let compiled = compile(&cell.experiment, facts, *seed, limit);
            let trial = trial(&mut plan, compiled, at, *seed);
            plan.trials.push(trial);
        }
    }
    equal_cells(design, &plan, out);
    plan
}

/// Adds what is new in `compiled` to the plan.
fn trial(plan: &mut Plan, compiled: Compiled, cell: usize, seed: u64) -> Trial {
    let names: Vec<String> = compiled.stages.iter().map(|stage| stage.name.clone()).collect();
    let stages: Vec<usize> = compiled
        .stages
        .into_iter()
        .map(|stage| {
            let known = plan.stages.iter().position(|other| other.digest == stage.digest);
            known.unwrap_or_else(|| {
                plan.stages.push(stage);
                plan.stages.len() - 1
            })
        })
        .collect();
    let index_of = |name: &String| {
        stages[names.iter().position(|it| it == name).expect("compiled with its stages")]
    };
    let mut evaluations = Vec::new();
    for (mut evaluation, on) in compiled.evaluations {
        evaluation.on = on.iter().map(index_of).collect();
        let known = plan.evaluations.iter().position(|other| other.digest == evaluation.digest);
        evaluations.push(known.unwrap_or_else(|| {
            plan.evaluations.push(evaluation);
            plan.evaluations.len() - 1
        }));
    }
    Trial { cell, seed, stages, evaluations }
}

/// Two cells that train and evaluate the same are one result shown twice.
fn equal_cells(design: &Design, plan: &Plan, out: &mut Vec<Diagnostic>) {
    let first_seed = plan.trials.iter().step_by(design.seeds.node.len().max(1));
    let firsts: Vec<&Trial> = first_seed.collect();
    for (at, trial) in firsts.iter().enumerate() {
        let same = |other: &&&Trial| {
            (&other.stages, &other.evaluations) == (&trial.stages, &trial.evaluations)
        };
        if let Some(other) = firsts[..at].iter().find(same) {
            let (a, b) = (plan.cell_label(other.cell), plan.cell_label(trial.cell));
            out.push(
                Diagnostic::new(&codes::EQUAL_CELLS, "two cells are the same experiment")
                    .at(design.name.span, format!("`{a}` and `{b}`: trained once, shown twice")),
            );
        }
    }
}

/// A stage that no cell's evaluation reads is a mistake; one that some cell reads is shared.
fn unused_stages(design: &Design, out: &mut Vec<Diagnostic>) {
    let mut read: Vec<String> = Vec::new();
    let mut declared: Vec<&Stage> = Vec::new();
    for cell in &design.cells {
        read.extend(cell.experiment.evaluations.iter().flat_map(|it| read_by(&it.call.node)));
        for stage in &cell.experiment.stages {
            if !declared.iter().any(|other| other.name.node == stage.name.node) {
                declared.push(stage);
            }
        }
    }
    if read.is_empty() {
        return;
    }
    for stage in declared.into_iter().filter(|stage| !read.contains(&stage.name.node)) {
        let name = &stage.name.node;
        out.push(
            Diagnostic::new(&codes::UNUSED_STAGE, format!("nothing uses stage `{name}`"))
                .at(stage.name.span, format!("{} of work, left out", stage.train.length.node))
                .help(format!("read it: `on=concat(…, {name}.encoder)`, or drop the stage")),
        );
    }
}

struct Checker<'a> {
    facts: &'a Facts,
    out: Vec<Diagnostic>,
    is_sweep: bool,
}

impl Checker<'_> {
    fn experiment(&mut self, experiment: &Experiment) {
        for stage in &experiment.stages {
            self.stage(stage);
        }
        if experiment.evaluations.is_empty() {
            let name = &experiment.name;
            self.out.push(
                Diagnostic::new(&codes::EMPTY, format!("`{}` evaluates nothing", name.node))
                    .at(name.span, "add `eval { fine = linear(labels=fine) }`"),
            );
        }
        for entry in &experiment.evaluations {
            let on = read_by(&entry.call.node);
            let stages: Vec<&Stage> = on
                .iter()
                .filter_map(|name| experiment.stages.iter().find(|it| it.name.node == *name))
                .collect();
            self.same_data(entry.call.span, &stages);
            if let Some(stage) = stages.first()
                && entry.call.node.value("labels").is_some()
                && let Some(known) = facts_of(&stage.data.node, self.facts)
            {
                let (labels, own) = (labels_of(&entry.call.node), labels_of(&stage.data.node));
                self.labels(known, &labels, &own, entry.call.span, stage.data.span);
            }
        }
    }

    /// Features of several stages can be joined only over the same images.
    fn same_data(&mut self, span: Span, stages: &[&Stage]) {
        let Some((first, rest)) = stages.split_first() else { return };
        if let Some(other) = rest.iter().find(|it| it.data.node != first.data.node) {
            self.out.push(
                Diagnostic::new(&codes::SHAPE, "features of different data cannot be joined")
                    .at(span, "joined here")
                    .at(first.data.span, format!("the images of `{}`", first.name.node))
                    .at(other.data.span, format!("the images of `{}`", other.name.node)),
            );
        }
    }

    fn stage(&mut self, stage: &Stage) {
        let Some(known) = facts_of(&stage.data.node, self.facts) else {
            let message =
                format!("nothing is known of the dataset `{}`", stage.data.node.spec.name);
            self.out.push(Diagnostic::new(&codes::DATA, message).at(stage.data.span, ""));
            return;
        };
        if let Some(how) = &known.absent {
            let message = format!("`{}` is not on this machine", stage.data.node.spec.name);
            self.out.push(
                Diagnostic::new(&codes::DATA, message)
                    .at(stage.data.span, "its files were not found")
                    .help(how.clone()),
            );
        }
        self.shape(stage, known);
        let own = labels_of(&stage.data.node);
        self.labels(known, &own, &Labels::Declared, stage.data.span, stage.data.span);
        self.sizes(stage, known);
        self.terms(stage, known);
    }

    fn shape(&mut self, stage: &Stage, known: &DatasetFacts) {
        let bound = &stage.encoder;
        let shape = bound.node.spec.shape.expect("encoders declare their shape");
        match shape(&bound.node, known.image) {
            Ok(_) => {}
            Err(Misfit { message, label, help, .. }) => self.out.push(
                Diagnostic::new(&codes::SHAPE, message)
                    .at(bound.span, label)
                    .at(stage.data.span, format!("images are {}", known.image))
                    .help(help),
            ),
        }
    }

    fn labels(
        &mut self,
        known: &DatasetFacts,
        labels: &Labels,
        own: &Labels,
        at: Span,
        data: Span,
    ) {
        if let Err(error) = known.class_map(labels, own) {
            let mut diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, error.message)
                .at(at, "asked for here")
                .help(error.help);
            if at != data {
                diagnostic = diagnostic.at(data, "of this dataset");
            }
            self.out.push(diagnostic);
        }
    }

    fn sizes(&mut self, stage: &Stage, known: &DatasetFacts) {
        let division = match Division::of(&stage.data.node, known) {
            Ok(division) => division,
            Err(error) => {
                let message = format!("`{}` leaves no images to train on", error.param);
                self.out.push(
                    Diagnostic::new(&codes::OUT_OF_RANGE, message)
                        .at(stage.data.span, error.message),
                );
                return;
            }
        };
        let batch = &stage.train.batch;
        if batch.node > division.train {
            let message = "a batch is larger than the training data";
            self.out.push(
                Diagnostic::new(&codes::BATCH, message)
                    .at(batch.span, format!("{} items a step", batch.node))
                    .at(stage.data.span, format!("{} images to train on", division.train))
                    .help(format!("the largest batch is {}", division.train)),
            );
        }
        if let crate::resolve::Keep::Best { term } = &stage.train.keep
            && division.val == 0
        {
            self.out.push(
                Diagnostic::new(&codes::OUT_OF_RANGE, "the best state cannot be chosen")
                    .at(term.span, "chosen on the validation split")
                    .at(stage.data.span, "which is empty: write `val=10%`"),
            );
        }
    }

    fn terms(&mut self, stage: &Stage, known: &DatasetFacts) {
        if stage.terms.iter().all(|term| term.weight.node == 0.0) {
            let message = format!("stage `{}` has nothing to minimise", stage.name.node);
            let label = if stage.terms.is_empty() { "no term" } else { "every weight is 0" };
            self.out.push(Diagnostic::new(&codes::NO_LOSS, message).at(stage.loss, label));
        }
        for term in &stage.terms {
            self.term(stage, term, known);
        }
    }

    fn term(&mut self, stage: &Stage, term: &Term, known: &DatasetFacts) {
        let own = labels_of(&stage.data.node);
        self.labels(known, &labels_of(&term.call.node), &own, term.call.span, stage.data.span);
        if term.weight.node == 0.0 {
            if !self.is_sweep {
                let message = format!("the term `{}` has weight 0", term.name.node);
                self.out.push(
                    Diagnostic::new(&codes::ZERO_WEIGHT, message)
                        .at(term.weight.span, "left out of training"),
                );
            }
            return;
        }
        if term.call.node.spec.needs.contains(&Port::Views) && stage.views.node < 2 {
            let name = term.call.node.spec.name;
            let message = format!("`{name}` compares views, and there is one");
            self.out.push(
                Diagnostic::new(&codes::VIEWS, message)
                    .at(term.call.span, "needs two views of each image")
                    .at(stage.views.span, "one view here")
                    .help("write `views = 2` beside the loss"),
            );
        }
        self.partners(stage, term, known);
    }

    /// A term that contrasts within a class says nothing about an anchor that is alone in it.
    fn partners(&mut self, stage: &Stage, term: &Term, known: &DatasetFacts) {
        if term.call.node.spec.name != "class_infonce" {
            return;
        }
        let Ok(map) = known.class_map(&labels_of(&stage.data.node), &Labels::Declared) else {
            return;
        };
        let (classes, batch) = (map.names.len(), stage.train.batch.node);
        let alone = (1.0 - 1.0 / classes as f64).powi(batch as i32 - 1);
        if alone < 0.1 {
            return;
        }
        let message = format!(
            "{:.0}% of the anchors will have no second example of their class in the batch",
            alone * 100.0
        );
        let per_class = batch as f64 / classes as f64;
        self.out.push(
            Diagnostic::new(&codes::PARTNERS, message)
                .at(stage.data.span, format!("{classes} classes"))
                .at(
                    stage.train.batch.span,
                    format!("{per_class:.1} examples of each class per batch"),
                )
                .at(term.call.span, "needs two; alone it is 0, without gradient")
                .help("a larger batch brings the share down"),
        );
    }
}
