//! Names that a path could not tell from a field: of parameters, imports, stages and evaluations.

use super::draft::Section;
use super::import::{Module, Program};
use super::scope::{self, Meaning};
use crate::diag::{Diagnostic, codes};
use crate::syntax::{Name, Statement};

/// What a path of an experiment may begin with.
const FIELDS: &[&str] = &[
    "data",
    "encoder",
    "projector",
    "augment",
    "views",
    "loss",
    "train",
    "eval",
    "run",
    "seed",
    "stage",
    "note",
    "tags",
];
/// What a sweep sets besides.
const OF_A_SWEEP: &[&str] = &["seeds", "design", "union"];

/// The parameters of `module` that no sweep could override, or that would take the overrides of a
/// field; and its imports of parameters under such a name.
pub(super) fn check_reserved(program: &Program, module: &Module, out: &mut Vec<Diagnostic>) {
    let params = scope::names(module).filter(|(_, it)| matches!(it, Meaning::Param(_)));
    for (name, _) in params {
        if FIELDS.contains(&name.node.as_str()) {
            out.push(reserved(name, "a field of an experiment"));
        } else if OF_A_SWEEP.contains(&name.node.as_str()) {
            out.push(reserved(name, "a field of a sweep"));
        }
    }
    for statement in &module.tree.statements {
        let Statement::Import { name, .. } = statement else { continue };
        let target = module.import(&name.node).and_then(|target| program.module(target));
        let has_params = target.is_some_and(|target| {
            scope::names(target).any(|(_, it)| matches!(it, Meaning::Param(_)))
        });
        if has_params && FIELDS.contains(&name.node.as_str()) {
            out.push(reserved(name, "a field of an experiment"));
        }
    }
}

/// The stages and evaluations of an experiment that paths could not tell apart.
pub(super) fn check_path_names(draft: &Section, out: &mut Vec<Diagnostic>) {
    let evaluations = || draft.section("eval").into_iter().flat_map(|eval| &eval.fields);
    let names = draft.stages().map(|it| &it.name).chain(evaluations().map(|it| &it.name));
    for name in names.filter(|name| FIELDS.contains(&name.node.as_str())) {
        out.push(reserved(name, "a field of an experiment"));
    }
    for stage in draft.stages() {
        let same = evaluations().find(|it| it.name.node == stage.name.node);
        if let Some(evaluation) = same {
            let message = format!("`{}` is a stage and an evaluation", stage.name.node);
            out.push(
                Diagnostic::new(&codes::DUPLICATE, message)
                    .at(evaluation.name.span, "the evaluation")
                    .at(stage.name.span, "the stage")
                    .help("a path begins with either; choose another name for one of them"),
            );
        }
    }
}

/// What to say when `path` could set the parameter `param`, and something of the experiment.
pub(super) fn ambiguous(draft: &Section, path: &[Name], param: &Name) -> Option<Diagnostic> {
    let first = &path[0];
    let stage = draft.stages().find(|it| it.name.node == first.node);
    let evaluation = draft.section("eval").and_then(|eval| eval.get(&first.node));
    let (what, place) = match (stage, evaluation) {
        (Some(stage), _) => ("stage", stage.name.span),
        (_, Some(line)) => ("evaluation", line.name.span),
        _ => return None,
    };
    let message =
        format!("`{}` begins a path of the experiment, and names a parameter", first.node);
    Some(
        Diagnostic::new(&codes::DUPLICATE, message)
            .at(first.span, "which one is set here?")
            .at(param.span, "the parameter")
            .at(place, format!("the {what}"))
            .help("choose another name for one of them"),
    )
}

fn reserved(name: &Name, what: &str) -> Diagnostic {
    Diagnostic::new(&codes::DUPLICATE, format!("`{}` is {what}", name.node))
        .at(name.span, "what sets this could not be told from what sets that")
        .help(format!("choose another name, for example `my_{}`", name.node))
}
