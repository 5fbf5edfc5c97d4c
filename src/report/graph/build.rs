//! From a plan to boxes. What differs between the cells of a sweep stands side by side in its box.

use super::super::plan::names;
use super::{Graph, Node, NodeKind, Part};
use crate::catalog::{Bound, Labels, ParamSpec, Type, Value, shown};
use crate::plan::{Evaluation, Plan, Stage, Term, plural};

/// As wide as a line of a box may be, in characters.
const WIDTH: usize = 32;
/// As many variants of a value are written out.
const MOST: usize = 4;

/// The picture of `part` of a plan.
pub fn graph(plan: &Plan, part: Part) -> Graph {
    let mut graph = Graph { title: plan.design.clone(), ..Graph::default() };
    let first = plan.seeds.first().copied().unwrap_or_default();
    let stages: Vec<&Stage> = plan.stages.iter().filter(|it| it.seed == first).collect();
    let mut outputs: Vec<(&str, usize)> = Vec::new();
    for name in names(stages.iter().map(|stage| stage.name.as_str())) {
        let variants: Vec<&Stage> = stages.iter().copied().filter(|it| it.name == name).collect();
        let trainings = plan.stages.iter().filter(|it| it.name == name).count();
        let output = match part {
            Part::Stages => graph.stage(&variants, trainings),
            part => graph.model(&variants, trainings, part),
        };
        outputs.push((name, output));
    }
    if part != Part::Loss {
        graph.handed_on(&stages, &outputs);
    }
    if matches!(part, Part::Stages | Part::All) {
        let all: Vec<&Evaluation> = plan.evaluations.iter().filter(|it| it.seed == first).collect();
        for name in names(all.iter().map(|it| it.name.as_str())) {
            let variants: Vec<&Evaluation> =
                all.iter().copied().filter(|it| it.name == name).collect();
            graph.evaluation(plan, &variants, &outputs);
        }
    }
    graph
}

impl Graph {
    /// From what each training makes to those that begin with it, or read groups that it finds.
    fn handed_on(&mut self, stages: &[&Stage], outputs: &[(&str, usize)]) {
        for (name, output) in outputs {
            let variants: Vec<&&Stage> = stages.iter().filter(|it| it.name == *name).collect();
            for (other, from) in outputs {
                let readers = variants.iter().filter(|it| it.needs_stage(other)).count();
                if readers > 0 {
                    self.edge(*from, *output, readers < variants.len());
                }
            }
        }
    }

    /// A training as one box; gives its number.
    fn stage(&mut self, variants: &[&Stage], trainings: usize) -> usize {
        let data = self.data(variants);
        let mut lines = whole_calls(variants.iter().map(|it| &it.encoder));
        lines.extend(found(variants));
        lines.extend(sum(variants));
        lines.extend(training(variants));
        lines.push(plural(trainings, "training"));
        let title = format!("stage {}", variants[0].name);
        let stage = self.node(Node { kind: NodeKind::Stage, title, lines, group: None });
        data.into_iter().for_each(|data| self.edge(data, stage, false));
        stage
    }

    fn data(&mut self, variants: &[&Stage]) -> Vec<usize> {
        let mut all = Vec::new();
        for stage in variants {
            let (data, division) = (&stage.data, &stage.data.division);
            let mut lines = arguments(&data.call, false);
            lines.push(format!("images {}", data.image));
            lines.push(plural(data.classes.names.len(), "class").replace("classs", "classes"));
            lines.push(format!("{} train", division.train));
            lines.push(format!("{} val, {} test", division.val, division.test));
            let title = data.call.spec.name.to_owned();
            let node = self.node(Node { kind: NodeKind::Data, title, lines, group: None });
            if !all.contains(&node) {
                all.push(node);
            }
        }
        all
    }

    /// What a training is made of, in a frame; gives the number of its encoder.
    fn model(&mut self, variants: &[&Stage], trainings: usize, part: Part) -> usize {
        let first = variants[0];
        let title = match first.name.as_str() {
            "main" => plural(trainings, "training"),
            name => format!("stage {name}: {}", plural(trainings, "training")),
        };
        self.groups.push(title);
        let group = Some(self.groups.len() - 1);
        let loss = self.loss(variants, group);
        if part == Part::Loss {
            return loss;
        }
        let mut lines = whole_calls(variants.iter().map(|it| &it.encoder));
        lines.push(format!(
            "{} → {}",
            distinct(variants, |it| it.data.image.to_string()),
            distinct(variants, |it| it.dim.to_string())
        ));
        let title = "encoder".to_owned();
        let encoder = self.node(Node { kind: NodeKind::Encoder, title, lines, group });
        let entry = self.augment(variants, group).inspect(|it| self.edge(*it, encoder, false));
        for data in self.data(variants) {
            self.edge(data, entry.unwrap_or(encoder), false);
        }
        let terms: Vec<(usize, bool)> = self
            .edges
            .iter()
            .filter(|edge| edge.to == loss)
            .map(|edge| (edge.from, edge.is_partial))
            .collect();
        terms.into_iter().for_each(|(term, is_partial)| self.edge(encoder, term, is_partial));
        encoder
    }

    fn augment(&mut self, variants: &[&Stage], group: Option<usize>) -> Option<usize> {
        let mut lines: Vec<String> = Vec::new();
        for transform in variants.iter().flat_map(|stage| &stage.augment) {
            let all = calls(std::iter::once(&transform.call));
            if !lines.ends_with(&all) && !lines.windows(all.len()).any(|it| it == all) {
                lines.extend(all);
            }
        }
        lines.push(plural(variants[0].views, "view"));
        let title = "augment".to_owned();
        let is_empty = lines.len() == 1 && variants[0].views == 1;
        (!is_empty).then(|| self.node(Node { kind: NodeKind::Augment, title, lines, group }))
    }

    /// The terms of a loss and their sum; gives the number of the sum.
    fn loss(&mut self, variants: &[&Stage], group: Option<usize>) -> usize {
        let mut lines = sum(variants);
        lines.extend(found(variants));
        lines.extend(training(variants));
        let title = "loss".to_owned();
        let loss = self.node(Node { kind: NodeKind::Loss, title, lines, group });
        for name in names(variants.iter().flat_map(|it| &it.terms).map(|it| it.name.as_str())) {
            let of: Vec<&Term> = variants
                .iter()
                .filter_map(|it| it.terms.iter().find(|it| it.name == name))
                .collect();
            let mut lines = whole_calls(of.iter().map(|it| &it.call));
            lines.push(weight(&of));
            let kind = NodeKind::Term;
            let term = self.node(Node { kind, title: name.to_owned(), lines, group });
            self.edge(term, loss, of.len() < variants.len());
        }
        loss
    }

    fn evaluation(&mut self, plan: &Plan, variants: &[&Evaluation], outputs: &[(&str, usize)]) {
        let of = |it: &&Evaluation| {
            let stages = it.on.iter().map(|at| plan.stages[*at].name.as_str());
            stages.collect::<Vec<_>>()
        };
        let mut lines: Vec<String> = Vec::new();
        for evaluation in variants {
            let call = without_on(&evaluation.call);
            if !lines.ends_with(&call) {
                lines.extend(call);
            }
        }
        let title = variants[0].name.clone();
        let node = self.node(Node { kind: NodeKind::Evaluation, title, lines, group: None });
        for (name, output) in outputs {
            let readers = variants.iter().filter(|it| of(it).contains(name)).count();
            if readers > 0 {
                self.edge(*output, node, readers < variants.len());
            }
        }
    }
}

/// `weight 1 - alpha = 1 | 0.75 | 0.5`
fn weight(terms: &[&Term]) -> String {
    let (formula, value) =
        (distinct(terms, |it| it.formula.clone()), distinct(terms, |it| it.weight.to_string()));
    match formula == value || formula.parse::<f64>().is_ok() {
        true => format!("weight {value}"),
        false => format!("weight {formula} = {value}"),
    }
}

/// The loss as a sum, as it is written.
fn sum(variants: &[&Stage]) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for term in variants.iter().flat_map(|it| &it.terms) {
        let name = &term.name;
        let part = match term.formula.parse::<f64>() {
            Ok(1.0) => name.clone(),
            Ok(weight) => format!("{weight} {name}"),
            Err(_) if term.formula.contains(' ') => format!("({}) {name}", term.formula),
            Err(_) => format!("{} {name}", term.formula),
        };
        let is_known = |it: &String| it.split(' ').next_back() == Some(name);
        if !parts.iter().any(is_known) {
            parts.push(part);
        }
    }
    wrapped(&parts, " + ")
}

/// What finds the groups that are read.
fn found(variants: &[&Stage]) -> Vec<String> {
    let mut lines = calls(variants.iter().filter_map(|it| it.groups.as_ref()).map(|it| &it.call));
    if let Some(first) = lines.first_mut() {
        *first = format!("groups {first}");
    }
    lines
}

fn training(variants: &[&Stage]) -> Vec<String> {
    let mut lines = calls(variants.iter().map(|it| &it.optimizer));
    lines.extend(calls(variants.iter().map(|it| &it.schedule)));
    lines.push(format!("batch {}", distinct(variants, |it| it.batch.to_string())));
    lines.push(format!("{} steps", distinct(variants, |it| it.steps.to_string())));
    lines
}

/// Each different value once.
fn distinct<T>(all: &[&T], of: impl Fn(&T) -> String) -> String {
    let mut values: Vec<String> = Vec::new();
    for value in all.iter().map(|it| of(it)) {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    match values.len() {
        0..=MOST => values.join(" | "),
        n => format!("{} | … ({n} values)", values[..MOST - 1].join(" | ")),
    }
}

/// Each different call once, with the arguments that are not its defaults.
fn calls<'b>(all: impl Iterator<Item = &'b Bound>) -> Vec<String> {
    written(all, false)
}

/// The same with every argument.
fn whole_calls<'b>(all: impl Iterator<Item = &'b Bound>) -> Vec<String> {
    written(all, true)
}

fn written<'b>(all: impl Iterator<Item = &'b Bound>, with_defaults: bool) -> Vec<String> {
    let mut known: Vec<&Bound> = Vec::new();
    for bound in all {
        if !known.contains(&bound) {
            known.push(bound);
        }
    }
    let mut lines: Vec<String> = Vec::new();
    for bound in known.iter().take(MOST) {
        let arguments = arguments(bound, with_defaults);
        let first = match lines.is_empty() {
            true => bound.spec.name.to_owned(),
            false => format!("or {}", bound.spec.name),
        };
        match &arguments[..] {
            [only] if first.chars().count() + only.chars().count() < WIDTH => {
                lines.push(format!("{first} {only}"));
            }
            _ => {
                lines.push(first);
                lines.extend(arguments.iter().map(|line| format!("  {line}")));
            }
        }
    }
    if known.len() > MOST {
        lines.push(format!("or {} more", known.len() - MOST));
    }
    lines
}

fn without_on(bound: &Bound) -> Vec<String> {
    let default = bound.spec.param("on").and_then(|param| param.default);
    match default {
        Some(default) => calls(std::iter::once(&bound.clone().with("on", default()))),
        None => calls(std::iter::once(bound)),
    }
}

/// The arguments, or those that are not the defaults, on lines.
fn arguments(bound: &Bound, with_defaults: bool) -> Vec<String> {
    let defaults = Bound::defaults(bound.spec);
    let all = bound.spec.params.iter().zip(bound.args.iter().zip(defaults.args.iter()));
    // That a term sees all of the embedding is not worth a line.
    let is_whole = |param: &ParamSpec| matches!(param.ty, Type::Optional(Type::Part));
    let all = all.filter(|(param, (value, _))| !is_whole(param) || **value != Value::None);
    let given = all.filter(|(_, (value, default))| with_defaults || value != default);
    let part = |(param, (value, _)): (&ParamSpec, (&Value, &Value))| {
        format!("{}={}", param.name, argument(&param.ty, value))
    };
    wrapped(&given.map(part).collect::<Vec<_>>(), ", ")
}

fn argument(ty: &Type, value: &Value) -> String {
    match value {
        Value::Labels(Labels::Group(groups)) => plural(groups.len(), "group"),
        Value::Component(inner) => match &arguments(inner, false)[..] {
            [] => inner.spec.name.to_owned(),
            lines => format!("{}({})", inner.spec.name, lines.join(" ")),
        },
        other => shown(ty, other),
    }
}

/// Parts on lines no longer than a box is wide.
fn wrapped(parts: &[String], between: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let end = if at + 1 < parts.len() { between } else { "" };
        let part = format!("{part}{end}");
        match lines.last_mut() {
            Some(line) if line.chars().count() + part.trim_end().chars().count() <= WIDTH => {
                *line += &part;
            }
            _ => lines.push(part),
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}
