//! The plan: every training and evaluation of a design, complete, checked, and addressed by what
//! it computes. Plain data; what differs only in names of files, sweeps or variables is the same.

mod afford;
pub mod amount;
pub mod analysis;
mod at_once;
mod batches;
mod begins;
mod cached;
mod check;
mod compile;
mod constant;
mod control;
mod cost;
mod digest;
mod divided;
mod few_shot;
mod found;
mod freeze;
mod grouped;
mod ledger;
mod made_of;
mod memory;
mod method;
mod mixed;
mod noise;
mod part;
mod partners;
mod projector;
mod recent;
mod schedule;
mod schema;
mod show;
mod terms;
pub mod theory;
mod training;
mod transforms;
mod trials;
mod unused;
mod weights;

pub use crate::catalog::{Division, TooMany};
pub use afford::disk;
pub use analysis::{Analysis, Power};
pub use begins::Upstream;
pub use check::check;
pub use control::{Capacity, Control};
pub use cost::{Cost, Model};
pub use digest::Digest;
pub use found::FoundGroups;
pub use freeze::Frozen;
pub use ledger::{GroupLabels, Stamp, stamp_lines};
pub use method::{Method, Precision};
pub use part::Slice;
pub use projector::Projection;
pub use schema::{SCHEMA, schema};
pub use weights::Initial;

pub use crate::catalog::is_share;
pub use crate::diag::plural;
pub use crate::resolve::{Hardware, WORST_FOUND_GROUP, WORST_GROUP};

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::catalog::{Bound, ClassMap, Course, Features, Horizon, ImageShape, Subsample, Value};

/// Raised when the numbers of training or evaluation change, so that no old result is reused.
pub const NUMERICS: u32 = 4;

/// Everything a design has to train and to evaluate.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Plan {
    /// The name of the schema that this follows.
    #[serde(rename = "$schema")]
    pub schema: &'static str,
    pub plan_version: u32,
    pub source: Origin,
    /// The sweep's or experiment's name.
    pub design: String,
    pub axes: Vec<Axis>,
    pub seeds: Vec<u64>,
    pub cells: Vec<Cell>,
    /// Each distinct training once, whatever number of cells needs it.
    pub stages: Vec<Stage>,
    pub evaluations: Vec<Evaluation>,
    pub trials: Vec<Trial>,
    /// What is asked of the results; part of no digest.
    pub analysis: Analysis,
    /// The level that was derived as a control, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<Control>,
    /// Whether its cells are those of several sweeps, and no product of its axes.
    #[serde(skip)]
    pub is_union: bool,
    /// What the file asks to be trained on; part of no digest.
    #[serde(skip)]
    pub device: Option<Hardware>,
}

/// What a plan was worked out from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Origin {
    /// The file that was asked for, and those it imports.
    pub files: Vec<OriginFile>,
    /// What the command line sets, as `path=value`.
    pub set: Vec<String>,
}

/// One file of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct OriginFile {
    /// Seen from the folder of the file that was asked for.
    pub path: String,
    /// The digest of its content.
    pub blake3: String,
}

/// One dimension of a sweep; a `zip` has several names.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Axis {
    pub names: Vec<String>,
    /// One label for each name, for each level.
    pub levels: Vec<Vec<String>>,
}

/// One combination of levels.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Cell {
    /// Its level on each axis.
    pub levels: Vec<usize>,
}

/// One cell with one seed.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Trial {
    /// Index into [`Plan::cells`].
    pub cell: usize,
    pub seed: u64,
    /// Indices into [`Plan::stages`].
    pub stages: Vec<usize>,
    /// Indices into [`Plan::evaluations`], in the order of the file.
    pub evaluations: Vec<usize>,
}

/// One training.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Stage {
    pub digest: Digest,
    pub name: String,
    pub seed: u64,
    pub data: Data,
    #[serde(serialize_with = "component")]
    #[schemars(schema_with = "schema::component")]
    pub encoder: Bound,
    /// The file of weights that the encoder begins with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial: Option<Initial>,
    /// The training whose encoder it begins with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begins_with: Option<Upstream>,
    /// Width of the embedding.
    pub dim: usize,
    /// What terms that compare embeddings see them through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub projector: Option<Projection>,
    /// The networks that are not trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Frozen>,
    /// The groups of its images, where those of the data are not meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<FoundGroups>,
    pub augment: Vec<Named>,
    pub views: usize,
    /// The terms of positive weight.
    pub terms: Vec<Term>,
    #[serde(serialize_with = "component")]
    #[schemars(schema_with = "schema::component")]
    pub optimizer: Bound,
    #[serde(serialize_with = "component")]
    #[schemars(schema_with = "schema::component")]
    pub schedule: Bound,
    /// The streams of random numbers whose root is not the seed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pins: BTreeMap<String, u64>,
    /// Items per step.
    pub batch: usize,
    pub steps: usize,
    pub steps_per_epoch: usize,
    pub drop_last: bool,
    /// The term whose accuracy on the validation split chooses the state that is kept; the last
    /// state without one.
    pub keep_best: Option<String>,
    /// Whether it is the accuracy on the group where that is lowest.
    #[serde(skip_serializing_if = "is_false")]
    pub keep_worst_group: bool,
    /// Whether it is that on the worst of the groups that are found.
    #[serde(skip_serializing_if = "is_false")]
    pub keep_worst_found_group: bool,
    /// The group labels that training reads, where its data name groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_labels: Option<GroupLabels>,
    #[serde(flatten)]
    pub method: Method,
    /// The encoder as the graph will hold it.
    pub model: Model,
    pub cost: Cost,
}

/// The data of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Data {
    #[serde(serialize_with = "component")]
    #[schemars(schema_with = "schema::component")]
    pub call: Bound,
    /// The digest of the content, as pinned.
    pub content: String,
    pub image: ImageShape,
    pub division: Division,
    /// The labels training sees.
    pub classes: ClassMap,
    /// What samplers balance and robustness is measured over; only where the dataset names groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<ClassMap>,
    /// How many training images each fine class keeps, if not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subsample: Option<Subsample>,
    /// The share of training images whose label is another than theirs.
    #[serde(skip_serializing_if = "is_zero")]
    pub label_noise: f64,
}

/// A component under a name.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Named {
    pub name: String,
    #[serde(serialize_with = "component")]
    #[schemars(schema_with = "schema::component")]
    pub call: Bound,
}

/// A weighted loss term.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Term {
    pub name: String,
    /// It need not be the same at every step.
    pub weight: Course,
    /// The weight as it is written.
    pub formula: String,
    #[serde(serialize_with = "component")]
    #[schemars(schema_with = "schema::component")]
    pub call: Bound,
    /// The labels it reads.
    pub classes: ClassMap,
    /// What it sees of the embedding, where that is one part of the encoder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<Slice>,
}

impl Stage {
    /// The paths of the networks that are not trained.
    pub fn frozen_networks(&self) -> &[String] {
        self.frozen.as_ref().map_or(&[], |frozen| &frozen.networks)
    }

    /// The names of the groups that its training reads, those found first; none where there are none.
    pub fn group_names(&self) -> &[String] {
        let of_data = self.data.groups.as_ref().map(|it| &it.names);
        self.groups.as_ref().map(|it| &it.names).or(of_data).map_or(&[], Vec::as_slice)
    }

    /// The place of the group that its sampler names, if it names one.
    pub fn drawn_group(&self) -> Option<usize> {
        let named = self.method.sampler.value("group")?;
        self.group_names().iter().position(|name| matches!(named, Value::Text(it) if it == name))
    }

    /// Whether it begins with the stage called `name`, or reads groups that it has found.
    pub fn needs_stage(&self, name: &str) -> bool {
        let found_by = self.groups.iter().flat_map(|it| &it.by);
        self.begins_with.iter().chain(found_by).any(|it| it.stage == name)
    }

    /// What the best state is chosen by.
    pub fn kept_by(&self) -> &'static str {
        match (self.keep_worst_group, self.keep_worst_found_group) {
            (true, _) => WORST_GROUP,
            (_, true) => WORST_FOUND_GROUP,
            _ => "accuracy",
        }
    }

    /// How long it is trained.
    pub fn horizon(&self) -> Horizon {
        Horizon { steps: self.steps, steps_per_epoch: self.steps_per_epoch, batch: self.batch }
    }
}

/// One evaluation of frozen features.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Evaluation {
    pub digest: Digest,
    pub name: String,
    pub seed: u64,
    #[serde(serialize_with = "component")]
    #[schemars(schema_with = "schema::component")]
    pub call: Bound,
    /// The stages whose embeddings it reads, joined in this order; indices into [`Plan::stages`].
    pub on: Vec<usize>,
    /// The labels it reads, if any.
    pub classes: Option<ClassMap>,
    /// The classes inside which it looks, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<ClassMap>,
    /// The groups it reads, if it reads any and the dataset names them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<ClassMap>,
    /// The group labels that its numbers owe something to, where its data name groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_labels: Option<GroupLabels>,
    pub cost: Cost,
}

impl Evaluation {
    /// Whether it reads what a projector makes of embeddings.
    pub fn is_projected(&self) -> bool {
        matches!(self.call.value("on"), Some(Value::Features(Features::Projector(_))))
    }

    /// Whether the argument `param` asks for the state after the last step, whatever was kept.
    pub fn is_last(&self, param: &str) -> bool {
        matches!(self.call.value(param), Some(Value::Features(Features::Last(_))))
    }

    /// Width of what it reads of `stages`.
    fn width<'a>(&self, stages: impl Iterator<Item = &'a Stage>) -> usize {
        let projected = |stage: &Stage| stage.projector.as_ref().map(|it| it.dim);
        let width =
            |stage: &Stage| projected(stage).filter(|_| self.is_projected()).unwrap_or(stage.dim);
        stages.map(width).sum()
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(share: &f64) -> bool {
    *share == 0.0
}

/// A call as JSON: the component with its version, and every argument.
fn component<S: serde::Serializer>(bound: &Bound, serializer: S) -> Result<S::Ok, S::Error> {
    let args: serde_json::Map<String, serde_json::Value> = bound
        .spec
        .params
        .iter()
        .zip(bound.args.iter())
        .map(|(param, value)| (param.name.to_owned(), json(value)))
        .collect();
    let name = format!("{}@{}", bound.spec.name, bound.spec.version);
    serde_json::json!({ "component": name, "args": args }).serialize(serializer)
}

/// A value as JSON; what JSON has no form for is written as in the language.
fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::None => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Real(value) => (*value).into(),
        Value::Text(value) | Value::Word(value) => value.as_str().into(),
        Value::Path(path) => path.written.as_str().into(),
        Value::List(values) => values.iter().map(json).collect(),
        other => other.to_string().into(),
    }
}
