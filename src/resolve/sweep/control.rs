//! `control = capacity_matched`: a row whose encoders are as many as those of the largest method,
//! all trained as the baseline's, so that a difference is not one of size.

use std::rc::Rc;

use super::super::experiment::Memo;
use super::super::{Called, Cell, Control, Entry, Experiment, Stage};
use super::body::Parts;
use super::level::level_label;
use super::{Axis, Level, Reader};
use crate::catalog::{Features, ParamType, Value};
use crate::diag::{Diagnostic, Spanned, codes};
use crate::resolve::draft::Section;
use crate::syntax::{Block, Expr, ExprKind, Field, Statement};

const MATCHED: &str = "capacity_matched";

impl Reader<'_> {
    /// Adds the control that `parts` asks for to its baseline's axis, as the last level.
    pub(super) fn add_control(&mut self, parts: &mut Parts) {
        let Some(field) = parts.control_field.clone() else { return };
        let Some(named) = self.control(&field) else { return };
        let Some(baseline) = named.or_else(|| baseline_of(&parts.analyses)) else {
            let message = "it is not said what the control is a control of";
            self.out.push(
                Diagnostic::new(&codes::MISSING, message)
                    .at(field.value.span, "which row is the baseline?")
                    .help("write `control = capacity_matched(baseline=\"LABEL\")`")
                    .help("or declare a `compare` with a `baseline`"),
            );
            return;
        };
        let Some((axis, level)) = self.chosen_level(&parts.axes, &baseline, &field) else { return };
        let of = &parts.axes[axis].levels[level];
        let label = format!("{} (capacity-matched)", of.labels[0]);
        let control = Level { labels: vec![label], ..of.clone() };
        parts.axes[axis].levels.push(control);
        let level = parts.axes[axis].levels.len() - 1;
        parts.control = Some(Control { axis, level, span: field.value.span });
    }

    /// The baseline that `control` names, if it does; none where it cannot be read.
    fn control(&mut self, field: &Field) -> Option<Option<Expr>> {
        let (name, args) = match &field.value.kind {
            ExprKind::Path(path) => (path.text(), &[][..]),
            ExprKind::Call(call) => (call.path.text(), &call.args[..]),
            _ => (String::new(), &[][..]),
        };
        if name != MATCHED {
            let diagnostic =
                Diagnostic::new(&codes::UNKNOWN_NAME, "no control is called like this");
            self.out.push(diagnostic.expected(field.value.span, &name, [MATCHED]));
            return None;
        }
        match args {
            [] => Some(None),
            [arg] if arg.name.as_ref().is_some_and(|name| name.node == "baseline") => {
                Some(Some(arg.value.clone()))
            }
            [arg, ..] => {
                let message = "`capacity_matched` takes a `baseline` and nothing else";
                let label = "write `capacity_matched(baseline=\"LABEL\")`";
                self.out
                    .push(Diagnostic::new(&codes::UNKNOWN_NAME, message).at(arg.value.span, label));
                None
            }
        }
    }

    /// The level of a `choose` that `baseline` names.
    fn chosen_level(
        &mut self,
        axes: &[Axis],
        baseline: &Expr,
        field: &Field,
    ) -> Option<(usize, usize)> {
        let (axis_name, label) = match &baseline.kind {
            ExprKind::Record(pairs) => match &pairs[..] {
                [(name, value)] => (Some(name.node.as_str()), level_label(value)),
                _ => (None, String::new()),
            },
            _ => (None, level_label(baseline)),
        };
        let is_choose = |axis: &&(usize, &Axis)| {
            axis.1.paths[..] == [None]
                && !axis.1.is_toggle
                && axis_name.is_none_or(|name| axis.1.names[0].node == name)
        };
        let has = |(at, axis): (usize, &Axis)| {
            let level = axis.levels.iter().position(|level| level.labels[0] == label)?;
            Some((at, level))
        };
        let found: Vec<(usize, usize)> =
            axes.iter().enumerate().filter(|it| is_choose(&it)).filter_map(has).collect();
        if let [only] = found[..] {
            return Some(only);
        }
        let labels =
            axes.iter().enumerate().filter(|it| is_choose(&it)).flat_map(|(_, axis)| &axis.levels);
        let labels: Vec<&str> = labels.map(|level| level.labels[0].as_str()).collect();
        let message = "a control is a row of one `choose`, beside its baseline";
        let diagnostic =
            Diagnostic::new(&codes::CONTROL, message).at(field.value.span, "asked for here");
        self.out.push(match (&found[..], &labels[..]) {
            ([], []) => diagnostic.at(baseline.span, "this sweep has no `choose`"),
            ([], labels) => diagnostic.expected(baseline.span, &label, labels.iter().copied()),
            _ => diagnostic
                .at(baseline.span, "several axes have this level")
                .help("write `baseline={ AXIS = \"LABEL\" }`"),
        });
        None
    }

    /// Gives the cells of the control their encoders.
    pub(super) fn match_control(
        &mut self,
        draft: &Section,
        parts: &Parts,
        cells: &mut [Cell],
        (set, memo): (&[&Field], &mut Memo),
    ) {
        let Some(control) = &parts.control else { return };
        for cell in cells.iter_mut().filter(|cell| cell.levels[control.axis] == control.level) {
            let mut rivals = Vec::new();
            for level in 0..control.level {
                let mut levels = cell.levels.clone();
                levels[control.axis] = level;
                if self.passes(&parts.axes, &levels, &parts.filters) {
                    rivals.extend(self.cell(draft.clone(), parts, &levels, set, memo));
                }
            }
            match matched(&cell.experiment, &rivals) {
                Ok(experiment) => cell.experiment = experiment,
                Err(why) => self.out.push(
                    Diagnostic::new(&codes::CONTROL, "no control of this capacity can be derived")
                        .at(control.span, why)
                        .at(parts.axes[control.axis].span, "of these rows"),
                ),
            }
        }
    }
}

/// The baseline of the only comparison.
fn baseline_of(analyses: &[Statement]) -> Option<Expr> {
    let compare = |statement: &'_ Statement| match statement {
        Statement::Block(block) if block.kind.node == "compare" => baseline_in(block),
        _ => None,
    };
    analyses.iter().find_map(compare)
}

fn baseline_in(block: &Block) -> Option<Expr> {
    block.body.iter().find_map(|statement| match statement {
        Statement::Field(field) if field.path.single() == Some("baseline") => {
            Some(field.value.clone())
        }
        _ => None,
    })
}

/// `baseline` with each of its encoders as often as the largest of `rivals` has encoders.
fn matched(baseline: &Experiment, rivals: &[Experiment]) -> Result<Experiment, String> {
    let mut experiment = baseline.clone();
    let mut most = 1;
    for entry in &mut experiment.evaluations {
        let own = encoders(baseline, entry);
        let of_rival = |rival: &Experiment| {
            let same = rival.evaluations.iter().find(|it| it.name.node == entry.name.node);
            same.map_or(0, |entry| encoders(rival, entry))
        };
        let largest = rivals.iter().map(of_rival).max().unwrap_or(0).max(own);
        if own == 0 || largest % own != 0 {
            let name = &entry.name.node;
            return Err(format!(
                "`{name}` reads {own} encoders of the baseline, {largest} elsewhere"
            ));
        }
        let copies = largest / own;
        most = most.max(copies);
        let on = entry.call.bound.value("on").map(Features::from_value);
        if let Some(on @ (Features::Projector(_) | Features::Last(_))) =
            on.as_ref().filter(|_| copies > 1)
        {
            return Err(format!("`{on}` cannot be joined with others"));
        }
        if let Some(on) = on.filter(|_| copies > 1) {
            let read: Vec<String> = on.stages().into_iter().map(str::to_owned).collect();
            let repeated = |copy| read.iter().map(move |name| copy_name(baseline, name, copy));
            let all = Features::Concat((1..=copies).flat_map(repeated).collect());
            entry.call.bound = entry.call.bound.clone().with("on", all.to_value());
        }
    }
    if most == 1 {
        return Err("no row reads more encoders than the baseline".to_owned());
    }
    for copy in 2..=most {
        let copies = baseline.stages.iter().map(|stage| {
            let name = copy_name(baseline, &stage.name.node, copy);
            let name = Spanned { node: name, span: stage.name.span };
            let begins_with = stage
                .begins_with
                .as_ref()
                .map(|it| Spanned { node: copy_name(baseline, &it.node, copy), span: it.span });
            let groups = stage.groups.as_ref().map(|groups| copy_of_groups(baseline, groups, copy));
            Rc::new(Stage { name, begins_with, groups, ..Stage::clone(stage) })
        });
        experiment.stages.extend(copies.collect::<Vec<_>>());
    }
    let is_own = |stage: &Rc<Stage>| baseline.stage(&stage.name.node).is_some();
    let needed = experiment.in_order(|name| is_read(&experiment, name));
    let needed: Vec<_> = needed.into_iter().cloned().collect();
    experiment.stages.retain(|it| is_own(it) || needed.iter().any(|other| Rc::ptr_eq(it, other)));
    Ok(experiment)
}

/// The same groups, found by the copies of what finds them.
fn copy_of_groups(baseline: &Experiment, groups: &Called, copy: usize) -> Called {
    let Some(Value::Features(of)) = groups.bound.value("on") else { return groups.clone() };
    let of = of.renamed(|name| copy_name(baseline, name, copy));
    Called { bound: groups.bound.clone().with("on", Value::Features(of)), ..groups.clone() }
}

fn is_read(experiment: &Experiment, stage: &str) -> bool {
    experiment.evaluations.iter().any(|entry| match entry.call.bound.value("on") {
        Some(Value::Features(on)) => on.stages().contains(&stage),
        _ => false,
    })
}

/// What copy number `copy` of a stage is called; its name is what its random numbers follow.
fn copy_name(experiment: &Experiment, stage: &str, copy: usize) -> String {
    let mut name = if copy == 1 { stage.to_owned() } else { format!("{stage}_{copy}") };
    while copy > 1 && experiment.stages.iter().any(|it| it.name.node == name) {
        name.push('_');
    }
    name
}

/// How many encoders an evaluation reads.
fn encoders(experiment: &Experiment, entry: &Entry) -> usize {
    let Some(Value::Features(on)) = entry.call.bound.value("on") else { return 0 };
    let stage = |name: &&str| experiment.stages.iter().find(|it| it.name.node == **name);
    let stages = on.stages();
    stages.iter().filter_map(stage).map(|stage| stage.encoder.bound.parts()).sum()
}
