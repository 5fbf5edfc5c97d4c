//! One checked experiment to the trainings and evaluations of each of its seeds.

use std::rc::Rc;

use super::recent::Networks;
use super::schedule::steps_per_epoch;
use super::transforms::behind;
use super::{
    Cost, Data, Digest, Division, Evaluation, FoundGroups, Frozen, GroupLabels, Initial, Method,
    Model, Named, Projection, Slice, Stage, Term, Upstream,
};
use crate::catalog::{
    Bound, DatasetFacts, Facts, Features, Fraction, Labels, ParamType, Place, Port, Subsample,
    Value,
};
use crate::resolve::{
    Entry, Experiment, Keep, Pins, Stage as Declared, Term as DeclaredTerm, WORST_FOUND_GROUP,
    WORST_GROUP,
};

const CHECKED: &str = "the check has passed this experiment";

/// The facts of a declared dataset.
pub(super) fn facts_of<'a>(data: &Bound, facts: &'a Facts) -> Option<&'a DatasetFacts> {
    facts.of(data)
}

/// The classes a component's `labels` argument asks for; the dataset's own without one.
pub(super) fn labels_of(bound: &Bound) -> Labels {
    labels_in(bound, "labels")
}

/// The classes the argument `param` of a component asks for; the dataset's own without one.
pub(super) fn labels_in(bound: &Bound, param: &str) -> Labels {
    match bound.value(param) {
        Some(Value::Labels(labels)) => labels.clone(),
        _ => Labels::Declared,
    }
}

/// The label columns whose combinations are a dataset's groups.
pub(super) fn groups_of(data: &Bound) -> Vec<Labels> {
    data.value("groups").map(ParamType::from_value).unwrap_or_default()
}

/// The share of training labels that are replaced.
pub(super) fn label_noise(data: &Bound) -> f64 {
    data.value("label_noise").map_or(0.0, |value| Fraction::from_value(value).get())
}

/// The stages an evaluation reads: those it measures, and those it compares them with.
pub(super) fn read_by(bound: &Bound) -> Vec<String> {
    let read = ["on", "with"].into_iter().flat_map(|param| match bound.value(param) {
        Some(Value::Features(features)) => features.stages(),
        _ => Vec::new(),
    });
    read.map(str::to_owned).collect()
}

/// The stages that some evaluation of `experiment` reads, behind those they begin with.
pub(super) fn needed(experiment: &Experiment) -> Vec<&Rc<Declared>> {
    let read: Vec<String> =
        experiment.evaluations.iter().flat_map(|it| read_by(&it.call.bound)).collect();
    experiment.in_order(|name| read.is_empty() || read.iter().any(|it| it == name))
}

/// What is asked of a stage beside its declaration.
pub(super) struct Asked<'a> {
    pub facts: &'a Facts,
    pub seed: u64,
    pub pins: &'a Pins,
    /// The most steps it may take.
    pub limit: Option<usize>,
    /// What it begins with, where that is planned.
    pub upstream: Option<Upstream>,
    /// What finds its groups.
    pub found_by: Vec<Upstream>,
    /// The stages of both.
    pub before: Vec<&'a Stage>,
}

impl<'a> Asked<'a> {
    /// A stage by itself, whatever was trained before it.
    pub fn alone(facts: &'a Facts, seed: u64, pins: &'a Pins) -> Self {
        let (found_by, before) = (Vec::new(), Vec::new());
        Self { facts, seed, pins, limit: None, upstream: None, found_by, before }
    }
}

/// A sound stage; [`super::check`] has made sure that nothing here can fail.
pub(super) fn stage(declared: &Declared, asked: &Asked, networks: &mut Networks) -> Stage {
    let Asked { facts, seed, pins, limit, .. } = *asked;
    let limit = limit.unwrap_or(usize::MAX);
    let call = declared.data.bound.clone();
    let known = facts_of(&call, facts).expect(CHECKED);
    let division = Division::of(&call, known).expect(CHECKED);
    let division = division.in_trial(&call, pins.get("split").copied().unwrap_or(seed));
    let train = &declared.train;
    let batch = train.batch.node;
    let steps_per_epoch = steps_per_epoch(&division, batch, train.drop_last);
    let encoder = &declared.encoder.bound;
    let image = behind(declared.augment.iter().map(|it| &it.call.bound), known.image);
    let at = Place::of_encoder(image);
    let network = networks.of(encoder, &at).expect(CHECKED);
    let model = Model::new(encoder, image, &network);
    let projector = Projection::of(declared, &Place { dim: model.out, ..at }, networks);
    let frozen = Frozen::of(declared, (&at, model.out), projector.is_some(), networks);
    let is_kept_by = |by| matches!(&train.keep, Keep::Best { metric, .. } if *metric == by);
    let mut stage = Stage {
        digest: Digest::of(""),
        name: declared.name.node.clone(),
        seed,
        dim: model.out,
        initial: Initial::of(encoder, facts).filter(|_| declared.begins_with.is_none()),
        begins_with: asked.upstream.clone(),
        projector,
        frozen,
        groups: FoundGroups::of(declared, known, asked.found_by.clone()),
        encoder: declared.encoder.bound.clone(),
        augment: declared.augment.iter().map(named).collect(),
        views: declared.views.node,
        terms: declared
            .terms
            .iter()
            .filter(|term| !term.weight.node.is_zero())
            .map(|it| Term {
                on: it.call.bound.part().and_then(|on| Slice::of((encoder, on), &at, networks)),
                ..term(it, known, &labels_of(&call))
            })
            .collect(),
        optimizer: train.optimizer.bound.clone(),
        schedule: train.schedule.bound.clone(),
        batch,
        steps: train.length.node.steps(steps_per_epoch, batch).min(limit),
        steps_per_epoch,
        drop_last: train.drop_last,
        pins: pins.clone().into_iter().filter(|(name, _)| name != "split").collect(),
        keep_best: train.keep.term().map(|term| term.node.clone()),
        keep_worst_group: is_kept_by(WORST_GROUP),
        keep_worst_found_group: is_kept_by(WORST_FOUND_GROUP),
        group_labels: None,
        method: Method::of(train, steps_per_epoch),
        data: data(call, known, division),
        model,
        cost: Cost::default(),
    };
    stage.digest = Digest::of(&stage.canonical());
    stage.group_labels = GroupLabels::of_stage(&stage, &asked.before);
    stage
}

fn named(entry: &Entry) -> Named {
    Named { name: entry.name.node.clone(), call: entry.call.bound.clone() }
}

fn data(call: Bound, known: &DatasetFacts, division: Division) -> Data {
    Data {
        content: known.digest.clone(),
        image: known.image,
        division,
        classes: known.class_map(&labels_of(&call), &Labels::Declared).expect(CHECKED),
        groups: known.groups(&groups_of(&call)).expect(CHECKED),
        subsample: Subsample::of(&call, known).expect(CHECKED),
        label_noise: label_noise(&call),
        call,
    }
}

fn term(declared: &DeclaredTerm, known: &DatasetFacts, of_data: &Labels) -> Term {
    Term {
        name: declared.name.node.clone(),
        weight: declared.weight.node.clone(),
        formula: declared.formula.clone(),
        call: declared.call.bound.clone(),
        classes: known.class_map(&labels_of(&declared.call.bound), of_data).expect(CHECKED),
        on: None,
    }
}

/// A sound evaluation of the stages `upstream`.
pub(super) fn evaluation(
    name: &str,
    call: &Bound,
    upstream: &[&Stage],
    facts: &Facts,
    seed: u64,
) -> Evaluation {
    let first = upstream.first();
    let classes = |param| {
        first.filter(|_| call.value(param).is_some()).map(|stage| {
            let known = facts_of(&stage.data.call, facts).expect(CHECKED);
            let own = labels_of(&stage.data.call);
            known.class_map(&labels_in(call, param), &own).expect(CHECKED)
        })
    };
    let groups = first.filter(|_| call.needs(Port::Groups));
    let mut evaluation = Evaluation {
        digest: Digest::of(""),
        name: name.to_owned(),
        seed,
        call: without_stage_names(call),
        on: Vec::new(),
        classes: classes("labels"),
        within: classes("within"),
        groups: groups.and_then(|stage| stage.data.groups.clone()),
        group_labels: None,
        cost: Cost::default(),
    };
    evaluation.group_labels = GroupLabels::of_evaluation(&evaluation, upstream);
    let digests: Vec<&Digest> = upstream.iter().map(|stage| &stage.digest).collect();
    evaluation.digest = Digest::of(&evaluation.canonical(&digests));
    evaluation.call = call.clone();
    evaluation
}

/// The digests of the stages say more than their names, so the names stay out of the address.
fn without_stage_names(call: &Bound) -> Bound {
    let mut call = call.clone();
    match call.value("on") {
        Some(Value::Features(Features::Projector(_))) => {
            let on = Features::Projector("stage".to_owned());
            call = call.with("on", Value::Features(on));
        }
        Some(Value::Features(Features::Last(_))) => {
            let on = Features::Last("stage".to_owned());
            call = call.with("on", Value::Features(on));
        }
        Some(_) => call = call.with("on", Value::Features(Features::Auto)),
        None => {}
    }
    // How many of them are compared with the others is no name.
    if let Some(Value::Features(Features::Last(_))) = call.value("with") {
        let with = Features::Last(String::new());
        call = call.with("with", Value::Features(with));
    } else if let Some(Value::Features(with)) = call.value("with") {
        let nameless = vec![String::new(); with.stages().len()];
        call = call.with("with", Value::Features(Features::Concat(nameless)));
    }
    call
}
