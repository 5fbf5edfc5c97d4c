//! What accuracy no classifier exceeds, of data that are known so well.

use std::path::Path;

use crate::catalog::{Bound, ClassMap, Labels, shown};
use crate::library::dataset::Dataset;
use crate::library::{self, Library};
use crate::plan::{Data, Plan, Stage};

/// A line for each of the data of `plan` of which it is known.
pub(super) fn ceilings(library: &Library, plan: &Plan, root: &Path) -> String {
    let mut all: Vec<&Data> = Vec::new();
    for Stage { data, .. } in &plan.stages {
        let is_known = |it: &&Data| it.call == data.call && it.classes == data.classes;
        if !all.iter().any(is_known) {
            all.push(data);
        }
    }
    all.into_iter().filter_map(|data| ceiling(library, data, root)).collect()
}

/// The line of `data`.
pub(super) fn ceiling(library: &Library, data: &Data, root: &Path) -> Option<String> {
    let dataset: Box<dyn Dataset> = library::build(&library.datasets, &data.call);
    let fine = Labels::Column("fine".to_owned());
    let of = |classes: &ClassMap| Some(format!("{:.1}%", 100.0 * dataset.ceiling(classes)?));
    let seen = of(&data.classes)?;
    let fine = of(&dataset.facts(root).class_map(&fine, &Labels::Declared).ok()?)?;
    Some(format!(
        "no classifier of {} exceeds {fine} by fine labels, {seen} by those training sees\n",
        brief(&data.call)
    ))
}

/// A call with the arguments alone that are not the defaults.
fn brief(call: &Bound) -> String {
    let args = call.spec.params.iter().zip(call.args.iter());
    let said = args.filter(|(param, value)| param.default.map(|it| it()).as_ref() != Some(*value));
    let said: Vec<String> =
        said.map(|(param, value)| format!("{}={}", param.name, shown(&param.ty, value))).collect();
    format!("{}({})", call.spec.name, said.join(", "))
}
