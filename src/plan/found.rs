//! Groups that earlier stages find: what they need, and how many there may be.

use schemars::JsonSchema;
use serde::Serialize;

use super::batches::sizes;
use super::check::labels_misfit;
use super::compile::{facts_of, labels_in, labels_of};
use super::grouped::no_classifier;
use super::{Digest, Division, Upstream, plural};
use crate::catalog::{
    Bound, ClassMap, DatasetFacts, Facts, Features, Labels, ParamType, Port, Value,
};
use crate::diag::{Diagnostic, codes, or_list};
use crate::resolve::{Called, Experiment, Keep, Stage, WORST_FOUND_GROUP};

/// Groups of images that earlier stages find.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FoundGroups {
    #[serde(serialize_with = "super::component")]
    #[schemars(schema_with = "super::schema::component")]
    pub call: Bound,
    /// The trainings that find them, in the order of the call.
    pub by: Vec<Upstream>,
    /// The classes that are looked at.
    pub classes: ClassMap,
    /// Every group that may be found.
    pub names: Vec<String>,
}

impl FoundGroups {
    /// What `stage` reads, found `by` these; none where it reads no groups, or those of the data.
    pub(super) fn of(stage: &Stage, known: &DatasetFacts, by: Vec<Upstream>) -> Option<Self> {
        let groups = stage.groups.as_ref().filter(|_| stage.reads_groups())?;
        let (call, classes) = (groups.bound.clone(), classes(groups, stage, known)?);
        let names = names(groups, &classes);
        Some(Self { call, by, classes, names })
    }

    /// Its lines in an address; the digests of stages say more than their names.
    pub(super) fn canonical(&self) -> Vec<String> {
        let nameless = match self.call.value("on") {
            Some(Value::Features(of)) => of.renamed(|_| String::new()),
            _ => Features::Auto,
        };
        let call = self.call.clone().with("on", nameless.to_value());
        let first = format!(
            "found groups @{} {} {:?}",
            call.spec.version,
            call.canonical(),
            self.classes.of_fine
        );
        let digests: Vec<&Digest> = self.by.iter().map(|it| &it.digest).collect();
        let by = digests.into_iter().map(|digest| format!("found by {}", digest.text()));
        std::iter::once(first).chain(by).collect()
    }
}

fn classes(groups: &Called, stage: &Stage, known: &DatasetFacts) -> Option<ClassMap> {
    known.class_map(&labels_in(&groups.bound, labels(groups)), &labels_of(&stage.data.bound)).ok()
}

/// The argument that says which classes are looked at.
fn labels(groups: &Called) -> &'static str {
    if groups.bound.value("within").is_some() { "within" } else { "labels" }
}

fn names(groups: &Called, classes: &ClassMap) -> Vec<String> {
    let names = groups.bound.spec.groups;
    names.map_or_else(Vec::new, |names| names(&groups.bound, &classes.names))
}

/// The names of the groups that the training of `stage` reads; none where there are no such groups.
pub(super) fn names_of(stage: &Stage, known: &DatasetFacts) -> Option<Vec<String>> {
    match &stage.groups {
        Some(groups) => Some(names(groups, &classes(groups, stage, known)?)),
        None => {
            let columns = super::compile::groups_of(&stage.data.bound);
            Some(known.groups(&columns).ok()??.names)
        }
    }
}

/// What is wrong with the groups that are found for `stage`.
pub(super) fn check(experiment: &Experiment, stage: &Stage, facts: &Facts) -> Vec<Diagnostic> {
    let Some(groups) = &stage.groups else { return unfound(stage).into_iter().collect() };
    let before: Vec<&Stage> =
        stage.found_by().iter().filter_map(|name| Some(&**experiment.stage(name)?)).collect();
    let Some(known) = facts_of(&stage.data.bound, facts).filter(|it| !it.fine.is_empty()) else {
        return Vec::new();
    };
    let elsewhere = before.iter().find_map(|it| other_images(stage, groups, it));
    let Some(map) = classes(groups, stage, known) else {
        let misfit = labels_misfit(known, groups, labels(groups), &stage.data);
        return elsewhere.into_iter().chain(misfit).collect();
    };
    let found = [
        elsewhere,
        unclassified(groups, &before, &map, known),
        crowded(groups, stage, &map, known),
    ];
    found.into_iter().flatten().collect()
}

/// A state that is chosen by groups that nothing finds.
fn unfound(stage: &Stage) -> Option<Diagnostic> {
    let Keep::Best { term, metric } = &stage.train.keep else { return None };
    (*metric == WORST_FOUND_GROUP).then(|| {
        Diagnostic::new(&codes::NO_GROUPS, "the best state cannot be chosen")
            .at(term.span, "by the worst group that an earlier stage has found")
            .at(stage.name.span, "no earlier stage finds any for it")
            .help("find some: `groups = clusters(on=STAGE)`")
            .help("`worst_group_accuracy` is that of the worst group of the data")
    })
}

/// Groups that nothing reads.
pub(super) fn unread(stage: &Stage) -> Option<Diagnostic> {
    let groups = stage.groups.as_ref().filter(|_| !stage.reads_groups())?;
    let message = format!("stage `{}` reads no groups", stage.name.node);
    let readers = "`group_dro()`, `balanced(by=group)`, `upweighted()` and \
                   `keep = best(val.TERM.worst_found_group_accuracy)` read them";
    Some(
        Diagnostic::new(&codes::UNREAD_GROUPS, message)
            .at(groups.span, "left out: they are not looked for")
            .at(stage.loss, "no term here weighs groups")
            .help(readers),
    )
}

/// Groups of images that are not those of the stage.
fn other_images(stage: &Stage, groups: &Called, before: &Stage) -> Option<Diagnostic> {
    let (own, other) = (&stage.data, &before.data);
    let is_free = |name: &str| ["labels", "groups"].contains(&name);
    let params = own.bound.spec.params.iter().map(|param| param.name);
    let differs = |name: &&str| !is_free(name) && own.bound.value(name) != other.bound.value(name);
    let param = match own.bound.spec == other.bound.spec {
        true => Some(params.into_iter().find(differs)?),
        false => None,
    };
    let (at, name) = (|it: &Called| param.map_or(it.span, |param| it.place(param)), &before.name);
    let message = format!("stage `{}` has other images, and finds no groups of these", name.node);
    Some(
        Diagnostic::new(&codes::SHAPE, message)
            .at(groups.place("on"), "looks at what it has learned")
            .at(at(own), format!("the images of `{}`", stage.name.node))
            .at(at(other), format!("the images of `{}`", name.node))
            .help("give both stages the same data; `labels` and `groups` may differ"),
    )
}

/// Errors of a classifier that no stage trains.
fn unclassified(
    groups: &Called,
    before: &[&Stage],
    map: &ClassMap,
    known: &DatasetFacts,
) -> Option<Diagnostic> {
    if !groups.bound.needs(Port::Scores) {
        return None;
    }
    let [stage] = before else {
        return Some(
            Diagnostic::new(&codes::SHAPE, "a classifier is trained with one encoder")
                .at(groups.place("on"), "several are joined here")
                .help("name the stage whose errors are meant"),
        );
    };
    let own = labels_of(&stage.data.bound);
    let mut heads =
        stage.terms.iter().filter(|it| it.has_classifier() && !it.weight.node.is_zero());
    let reads = |labels: &Labels| known.class_map(labels, &own).as_ref() == Ok(map);
    let other = heads.clone().next();
    if heads.any(|it| reads(&labels_of(&it.call.bound))) {
        return None;
    }
    let [title, label, help] = no_classifier(&stage.name.node, other);
    Some(
        Diagnostic::new(&codes::MISSING, title)
            .at(groups.span, "asks what it has wrong")
            .at(stage.loss, label)
            .help(help),
    )
}

/// More clusters than a class has images.
fn crowded(
    groups: &Called,
    stage: &Stage,
    map: &ClassMap,
    known: &DatasetFacts,
) -> Option<Diagnostic> {
    let Some(Value::Int(k)) = groups.bound.value("k") else { return None };
    let division = Division::of(&stage.data.bound, known).ok()?;
    let sizes = sizes(map, known, division.train);
    let rarest = (0..sizes.len()).filter(|at| sizes[*at] > 0).min_by_key(|at| sizes[*at])?;
    let size = sizes[rarest];
    (size < *k as usize).then(|| {
        let message = format!("the class `{}` has fewer images than clusters", map.names[rarest]);
        Diagnostic::new(&codes::OUT_OF_RANGE, message)
            .at(groups.place("k"), format!("{k} clusters in each class"))
            .at(stage.data.span, format!("about {} of it to train on", plural(size, "image")))
            .help(format!("the most is `k={size}`"))
    })
}

/// A sampler that names a group of its own choice.
pub(super) fn misnamed(stage: &Stage, known: &DatasetFacts) -> Option<Diagnostic> {
    let sampler = &stage.train.method.sampler;
    let Some(Value::Text(name)) = sampler.bound.value("group") else { return None };
    let Some(names) = names_of(stage, known) else {
        let place = (sampler.span, "draws the images of one more often");
        let message = "there is no group to draw more often".to_owned();
        return stage.groups.is_none().then(|| {
            super::grouped::no_groups(message, place, &stage.data)
                .help("or let an earlier stage find them: `groups = errors(on=STAGE)`")
        });
    };
    if names.contains(name) {
        return None;
    }
    let near = crate::diag::closest(name, names.iter().map(String::as_str));
    let label = near.map_or("named here".to_owned(), |near| format!("did you mean `{near}`?"));
    let place = stage.groups.as_ref().map_or(stage.data.place("groups"), |it| it.span);
    let quoted: Vec<&str> = names.iter().map(String::as_str).take(MOST_NAMES).collect();
    let more = if names.len() > MOST_NAMES { ", …" } else { "" };
    Some(
        Diagnostic::new(&codes::UNKNOWN_NAME, format!("no group is called `{name}`"))
            .at(sampler.place("group"), label)
            .at(place, format!("the groups are {}{more}", or_list(&quoted))),
    )
}

/// So many names are shown where one is wrong.
const MOST_NAMES: usize = 8;
