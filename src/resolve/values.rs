//! Every value of an experiment with its path: what `--set` may change, what two experiments are
//! compared by.

use super::draft::SEED;
use super::{Average, Called, Experiment, Keep, Stage, Term, Train};
use crate::catalog::{Bound, Course, ParamSpec, Value, shown};
use crate::diag::{Span, Spanned};

/// Whose a value is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    Stage(String),
    Evaluation(String),
    /// The experiment as a whole.
    Experiment,
    /// The files: a parameter, as the root file calls it.
    Parameter(String),
}

/// One value of an experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct Valued {
    pub owner: Owner,
    /// The path below its owner.
    pub rest: Vec<String>,
    /// The value as it is written; of a component, its name.
    pub value: String,
    /// What it takes.
    pub ty: String,
    /// Where it stands; the call it belongs to, when it is a default.
    pub span: Span,
}

impl Valued {
    /// The whole path; a stage that has no name in the file has none here.
    pub fn path(&self) -> String {
        match &self.owner {
            Owner::Stage(name) if name == "main" => self.rest.join("."),
            Owner::Experiment => self.rest.join("."),
            Owner::Stage(name) | Owner::Evaluation(name) | Owner::Parameter(name) => {
                let parts = std::iter::once(name).chain(&self.rest);
                parts.map(String::as_str).collect::<Vec<_>>().join(".")
            }
        }
    }

    /// The path as it holds for every stage.
    pub fn shared_path(&self) -> Option<String> {
        matches!(self.owner, Owner::Stage(_)).then(|| self.rest.join("."))
    }
}

impl Experiment {
    /// Every value, defaults included, in the order of the language's blocks.
    pub fn values(&self) -> Vec<Valued> {
        let mut all = Vec::new();
        for stage in &self.stages {
            let owner = Owner::Stage(stage.name.node.clone());
            List { owner, all: &mut all }.stage(stage);
        }
        for entry in &self.evaluations {
            let owner = Owner::Evaluation(entry.name.node.clone());
            List { owner, all: &mut all }.called(&[], &entry.call);
        }
        List { owner: Owner::Experiment, all: &mut all }.whole(self);
        all
    }
}

struct List<'a> {
    owner: Owner,
    all: &'a mut Vec<Valued>,
}

impl List<'_> {
    fn whole(&mut self, experiment: &Experiment) {
        for stream in SEED {
            let pinned = experiment.pins.get(*stream);
            // Unlike the others, the division follows no seed unless the data ask for it.
            let own = if *stream == "split" { "split_seed of the data" } else { "each seed" };
            let value = pinned.map_or(own.to_owned(), ToString::to_string);
            self.add(&["seed", stream], value, "natural", experiment.name.span);
        }
        let half = experiment.machine.half;
        let value = if half.is_some() { "bf16" } else { "f32" }.to_owned();
        self.add(&["run", "precision"], value, "f32 | bf16", half.unwrap_or(experiment.name.span));
        let limit = experiment.machine.limit.as_ref();
        let value = limit.map_or("none".to_owned(), |limit| format!("{} s", limit.node));
        let span = limit.map_or(experiment.name.span, |limit| limit.span);
        self.add(&["run", "limit"], value, "time | none", span);
    }

    fn stage(&mut self, stage: &Stage) {
        self.called(&["data"], &stage.data);
        match &stage.begins_with {
            Some(from) => {
                self.add(&["encoder"], format!("{}.encoder", from.node), "encoder", from.span);
            }
            None => self.called(&["encoder"], &stage.encoder),
        }
        if let Some(projector) = &stage.projector {
            self.called(&["projector"], projector);
        }
        if let Some(groups) = &stage.groups {
            self.called(&["groups"], groups);
        }
        for entry in &stage.augment {
            self.called(&["augment", &entry.name.node], &entry.call);
        }
        self.add(&["views"], stage.views.node.to_string(), "count", stage.views.span);
        stage.terms.iter().for_each(|term| self.term(term));
        let train = &stage.train;
        self.called(&["train", "optimizer"], &train.optimizer);
        self.called(&["train", "schedule"], &train.schedule);
        let batch = train.batch.node.to_string();
        self.add(&["train", "batch"], batch, "count", train.batch.span);
        let length = train.length.node.to_string();
        self.add(&["train", "for"], length, "duration", train.length.span);
        let drop_last = train.drop_last.to_string();
        self.add(&["train", "drop_last"], drop_last, "true | false", train.optimizer.span);
        let (keep, span) = match &train.keep {
            Keep::Last => ("last".to_owned(), train.optimizer.span),
            Keep::Best { term, metric } => (format!("best(val.{}.{metric})", term.node), term.span),
        };
        self.add(&["train", "keep"], keep, "last | best(val.TERM.accuracy)", span);
        self.method(train);
    }

    fn method(&mut self, train: &Train) {
        let method = &train.method;
        self.called(&["train", "sampler"], &method.sampler);
        let count =
            |it: &Option<Spanned<usize>>| it.as_ref().map(|it| (it.node.to_string(), it.span));
        let clip = method.clip.as_ref().map(|it| (Value::Real(it.node).to_string(), it.span));
        let average = method.average.as_ref().map(|it| (it.node, it.span));
        let ema = average.and_then(|(it, span)| match it {
            Average::Ema(decay) => Some((Value::Real(decay).to_string(), span)),
            Average::Swa(_) => None,
        });
        let swa = average.and_then(|(it, span)| match it {
            Average::Swa(start) => Some((start.to_string(), span)),
            Average::Ema(_) => None,
        });
        let freeze = method.freeze.first().map(|first| {
            let names: Vec<&str> = method.freeze.iter().map(|it| it.node.as_str()).collect();
            (format!("[{}]", names.join(", ")), first.span)
        });
        for (name, value, ty) in [
            ("clip", clip, "positive | none"),
            ("accumulate", count(&method.accumulate), "count | none"),
            ("chunk", count(&method.chunk), "count | none"),
            ("ema", ema, "between 0 and 1 | none"),
            ("swa", swa, "duration | none"),
            ("freeze", freeze, "list of networks | none"),
        ] {
            let (value, span) = value.unwrap_or(("none".to_owned(), train.optimizer.span));
            self.add(&["train", name], value, ty, span);
        }
    }

    fn term(&mut self, term: &Term) {
        let name = &term.name.node;
        let weight = match &term.weight.node {
            Course::Constant(weight) => Value::Real(*weight).to_string(),
            course => course.to_string(),
        };
        self.add(&["loss", name, "weight"], weight, "nonneg", term.weight.span);
        self.called(&["loss", name], &term.call);
    }

    fn called(&mut self, path: &[&str], call: &Called) {
        let name = call.bound.spec.name.to_owned();
        self.add(path, name, call.bound.spec.kind.name(), call.span);
        self.arguments(path, &call.bound, &|param| call.place(param.name));
    }

    fn arguments(&mut self, path: &[&str], bound: &Bound, place: &dyn Fn(&ParamSpec) -> Span) {
        for (param, value) in bound.spec.params.iter().zip(bound.args.iter()) {
            let path = [path, &[param.name]].concat();
            let span = place(param);
            if let Value::Component(inner) = value {
                self.add(&path, inner.spec.name.to_owned(), &param.ty.to_string(), span);
                self.arguments(&path, inner, &|_| span);
                continue;
            }
            self.add(&path, shown(&param.ty, value), &param.ty.to_string(), span);
        }
    }

    fn add(&mut self, path: &[&str], value: String, ty: &str, span: Span) {
        let rest = path.iter().map(|part| (*part).to_owned()).collect();
        let (owner, ty) = (self.owner.clone(), ty.to_owned());
        self.all.push(Valued { owner, rest, value, ty, span });
    }
}
