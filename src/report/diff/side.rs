//! One of the two designs that are compared, from a file or from a plan that was written down.

use std::collections::BTreeMap;

use serde_json::Value;

use super::asked::{Asked, asked};
use crate::plan::Plan;
use crate::resolve::{Design, Experiment, Owner};

/// A design as far as it is compared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Side {
    pub name: String,
    /// The names of each axis, and the labels of its levels.
    pub axes: Vec<(String, Vec<String>)>,
    pub seeds: Vec<u64>,
    pub cells: Vec<SideCell>,
    /// Trainings, then evaluations.
    pub results: Vec<SideResult>,
    pub asked: Vec<Asked>,
}

/// A training or evaluation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SideResult {
    pub name: String,
    pub digest: String,
    /// Floating-point operations it takes.
    pub flops: f64,
}

/// One cell of a design.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SideCell {
    /// The label of its level on each axis.
    pub levels: Vec<String>,
    pub stages: Vec<String>,
    /// Each value by its path.
    pub values: Vec<(String, String)>,
}

impl Side {
    /// A design of a file with its plan.
    pub fn of_design(design: &Design, plan: &Plan) -> Self {
        let mut side = Self::of_plan(&serde_json::to_value(plan).unwrap_or_default());
        for (own, cell) in side.cells.iter_mut().zip(&design.cells) {
            own.stages = cell.experiment.stages.iter().map(|it| it.name.node.clone()).collect();
            own.values = values(&cell.experiment);
        }
        side
    }

    /// A plan as `plan --json` writes it.
    pub fn of_plan(plan: &Value) -> Self {
        let axes: Vec<(String, Vec<String>)> = list(&plan["axes"]).iter().map(axis).collect();
        let level = |at: &Value, axis: &(String, Vec<String>)| {
            axis.1.get(at.as_u64().unwrap_or_default() as usize).cloned().unwrap_or_default()
        };
        let levels = |cell: &Value| {
            list(&cell["levels"]).iter().zip(&axes).map(|(at, axis)| level(at, axis)).collect()
        };
        let mut trials: BTreeMap<u64, &Value> = BTreeMap::new();
        for trial in list(&plan["trials"]) {
            trials.entry(trial["cell"].as_u64().unwrap_or_default()).or_insert(trial);
        }
        let cells = list(&plan["cells"]).iter().zip(0..);
        let cell = |(cell, at): (&Value, u64)| SideCell {
            levels: levels(cell),
            ..flat(plan, trials.get(&at).copied())
        };
        let results = ["stages", "evaluations"].into_iter().flat_map(|it| list(&plan[it]));
        Self {
            name: text(&plan["design"]),
            seeds: list(&plan["seeds"]).iter().filter_map(Value::as_u64).collect(),
            cells: cells.map(cell).collect(),
            results: results.map(result).collect(),
            asked: asked(plan),
            axes,
        }
    }
}

fn result(result: &Value) -> SideResult {
    let flops = result["cost"]["flops"].as_f64().unwrap_or_default();
    SideResult { name: text(&result["name"]), digest: text(&result["digest"]), flops }
}

fn axis(axis: &Value) -> (String, Vec<String>) {
    let join = |all: &Value| list(all).iter().map(text).collect::<Vec<_>>().join(", ");
    (join(&axis["names"]), list(&axis["levels"]).iter().map(join).collect())
}

/// The values of an experiment, each stage and the order of its lines among them.
fn values(experiment: &Experiment) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for stage in &experiment.stages {
        let name = &stage.name.node;
        let augment: Vec<&str> = stage.augment.iter().map(|it| it.name.node.as_str()).collect();
        let terms: Vec<&str> = stage.terms.iter().map(|it| it.name.node.as_str()).collect();
        all.push((name.clone(), "stage".to_owned()));
        all.push((format!("{name}.augment"), augment.join(", ")));
        all.push((format!("{name}.loss"), terms.join(", ")));
    }
    let path = |it: &crate::resolve::Valued| match &it.owner {
        Owner::Stage(name) => format!("{name}.{}", it.rest.join(".")),
        _ => it.path(),
    };
    // How long a run may take changes no result.
    let counts = |it: &crate::resolve::Valued| it.rest != ["run", "limit"];
    let valued = experiment.values().into_iter().filter(counts);
    all.extend(valued.map(|it| (path(&it), it.value)));
    all
}

/// The stages and values of a cell of a plan, as the trial of its first seed has them.
fn flat(plan: &Value, trial: Option<&Value>) -> SideCell {
    let mut flat = SideCell::default();
    let Some(trial) = trial else { return flat };
    let of = |what: &str| {
        let at = list(&trial[what]).iter().filter_map(Value::as_u64);
        at.map(|at| &plan[what][at as usize]).collect::<Vec<&Value>>()
    };
    for stage in of("stages") {
        let name = text(&stage["name"]);
        flat.values.push((name.clone(), "stage".to_owned()));
        for (key, value) in stage.as_object().into_iter().flatten() {
            let Some(key) = stage_key(key) else { continue };
            leaves(&format!("{name}.{key}"), value, &mut flat.values);
        }
        flat.stages.push(name);
    }
    for evaluation in of("evaluations") {
        leaves(&text(&evaluation["name"]), &evaluation["call"], &mut flat.values);
    }
    flat
}

/// What a part of a planned stage is called in the language; none for what follows from others.
fn stage_key(key: &str) -> Option<String> {
    match key {
        "data" | "encoder" | "projector" | "groups" | "augment" | "views" | "loss" => {
            Some(key.to_owned())
        }
        "terms" => Some("loss".to_owned()),
        "keep_best" => Some("train.keep".to_owned()),
        "keep_worst_found_group" => Some("train.keep_worst_found_group".to_owned()),
        "keep_worst_group" => Some("train.keep_worst_group".to_owned()),
        "optimizer" | "schedule" | "batch" | "steps" | "drop_last" | "sampler" | "clip"
        | "accumulate" | "chunk" | "ema" | "swa" => Some(format!("train.{key}")),
        _ => None,
    }
}

/// Every value below `path` in JSON.
fn leaves(path: &str, value: &Value, out: &mut Vec<(String, String)>) {
    match value {
        Value::Object(object) if object.contains_key("component") => {
            let name = text(&object["component"]);
            out.push((path.to_owned(), name.split('@').next().unwrap_or_default().to_owned()));
            for (argument, value) in object["args"].as_object().into_iter().flatten() {
                leaves(&format!("{path}.{argument}"), value, out);
            }
        }
        Value::Object(object) if object.contains_key("call") => {
            leaves(path, &object["call"], out);
            if let Some(weight) = object.get("weight") {
                out.push((format!("{path}.weight"), text(weight)));
            }
        }
        Value::Array(items) if items.iter().any(|it| it["name"].is_string()) => {
            let names: Vec<String> = items.iter().map(|it| text(&it["name"])).collect();
            out.push((path.to_owned(), names.join(", ")));
            for (name, item) in names.iter().zip(items) {
                leaves(&format!("{path}.{name}"), item, out);
            }
        }
        Value::Object(_) => {}
        value => out.push((path.to_owned(), text(value))),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}
