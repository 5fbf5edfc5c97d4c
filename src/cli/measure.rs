//! `measure`: evaluations of embeddings that another program made.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::{exit, prompt};
use crate::catalog::{ClassMap, LabelError, Labels, Port};
use crate::data::arrays;
use crate::diag::{Diagnostic, Sources, codes, has_errors};
use crate::library::Library;
use crate::library::eval::{EvalError, Score, Split};
use crate::resolve::{Bounds, Called, Options, load_within, resolve};
use crate::run::{Asked, Given, Wanted};

/// What stands around the evaluations in a file that could be run; of it they alone are used.
const BEFORE: &str = "edition 1
experiment measured {
  data = digits()
  encoder = mlp()
  loss { class = cross_entropy() }
  train { optimizer = adamw(lr=1e-3); batch = 32; for = 1 epochs }
  eval {
";
const AFTER: &str = "  }
}
";

/// Arguments of `measure`.
#[derive(clap::Args)]
pub struct MeasureArgs {
    /// A .npz or .safetensors file: `embeddings`, rows × numbers, and whole numbers or names as
    /// labels; either whole, with or without an array `split`, or in parts `embeddings_train`,
    /// `labels_train`, `embeddings_test`, …
    file: PathBuf,
    /// What to measure, as in an experiment: --eval 'knn(labels=fine, k=5)'; may be repeated
    #[arg(long = "eval", value_name = "[NAME =] CALL", required = true)]
    evals: Vec<String>,
    /// The arrays of labels, each ARRAY or COLUMN=ARRAY [default: all that fit; `labels` is the
    /// column `fine`]
    #[arg(long, value_name = "ARRAY", value_delimiter = ',')]
    labels: Vec<String>,
    /// The label columns whose combinations are groups
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    groups: Vec<String>,
    /// The array of embeddings
    #[arg(long, value_name = "ARRAY", default_value = "embeddings")]
    embeddings: String,
    /// The share of each class that is tested on, where the file divides nothing
    #[arg(long, value_name = "PERCENT", default_value = "20%", value_parser = share)]
    test: f64,
    /// Draws that share, and what evaluations draw
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print the scores as JSON
    #[arg(long)]
    json: bool,
}

/// One number, as JSON has it.
#[derive(Serialize)]
struct Measured {
    evaluation: String,
    call: String,
    split: &'static str,
    metric: &'static str,
    value: f64,
}

/// Measures, and prints the scores.
pub fn measure(library: &Library, args: &MeasureArgs) -> u8 {
    let read = arrays(&args.file).and_then(|arrays| Given::of(&arrays, &wanted(args)));
    let given = match read {
        Ok(given) => given,
        Err(why) => {
            prompt::eprint(&format!("`{}` cannot be measured: {why}\n", args.file.display()));
            return exit::DIAGNOSTICS;
        }
    };
    let (sources, calls, mut diagnostics) = calls(library, &args.evals);
    let asked: Vec<Option<Asked>> =
        calls.iter().map(|(_, call)| asked(&given, call, &mut diagnostics)).collect();
    prompt::diagnose(&sources, &diagnostics);
    if has_errors(&diagnostics) {
        return exit::DIAGNOSTICS;
    }
    if !args.json {
        prompt::print(&heading(args, &given));
    }
    let (mut all, mut code) = (Vec::new(), 0);
    for ((name, call), asked) in calls.iter().zip(asked.iter().flatten()) {
        match scores(library, &given, (name, call), asked) {
            Ok(scores) if scores.is_empty() => {
                prompt::eprint(&format!("`{name}` gave no scores: no row is there to test on\n"));
                code = exit::FAILED;
            }
            Ok(scores) => all.extend(scores.into_iter().map(|it| measured(name, call, &it))),
            Err(EvalError::Failed(why)) => {
                prompt::eprint(&format!("`{name}` gave no scores: {why}\n"));
                code = exit::FAILED;
            }
            Err(EvalError::Stopped) => return exit::INTERRUPTED,
        }
    }
    match args.json {
        true => prompt::print(&format!("{}\n", serde_json::json!(all))),
        false => prompt::print(&table(&all)),
    }
    code
}

fn wanted(args: &MeasureArgs) -> Wanted {
    let column = |text: &String| match text.split_once('=') {
        Some((column, array)) => (column.to_owned(), array.to_owned()),
        None if text == "labels" => ("fine".to_owned(), text.clone()),
        None => (text.clone(), text.clone()),
    };
    Wanted {
        embeddings: args.embeddings.clone(),
        labels: args.labels.iter().map(column).collect(),
        groups: args.groups.clone(),
        test: args.test,
        seed: args.seed,
    }
}

/// The evaluations, bound as in a file, and what is wrong with them.
fn calls(library: &Library, evals: &[String]) -> (Sources, Vec<(String, Called)>, Vec<Diagnostic>) {
    let lines = named(evals).into_iter().map(|(name, call)| format!("    {name} = {call}\n"));
    let text = format!("{BEFORE}{}{AFTER}", lines.collect::<String>());
    let mut sources = Sources::default();
    let reader = |_: &Path| Ok(text.clone().into_bytes());
    let place = Path::new("--eval");
    let (program, mut diagnostics) = load_within(&Bounds::default(), place, &mut sources, &reader);
    if program.root().is_none() {
        return (sources, Vec::new(), diagnostics);
    }
    let (designs, mut found) = resolve(&program, &library.catalog(), &Options::default());
    diagnostics.append(&mut found);
    let cells = designs.iter().flat_map(|design| &design.cells);
    let entries = cells.flat_map(|cell| &cell.experiment.evaluations);
    let calls = entries.map(|entry| (entry.name.node.clone(), entry.call.clone())).collect();
    (sources, calls, diagnostics)
}

/// Each evaluation with its name: the one that is given, or its component's, numbered from the
/// second on.
fn named(evals: &[String]) -> Vec<(String, &str)> {
    let all: Vec<(&str, &str)> = evals.iter().map(|text| name_and_call(text)).collect();
    let mut taken: Vec<(String, &str)> = Vec::new();
    for (name, call) in &all {
        let numbers = (2..).map(|number| format!("{name}{number}"));
        let mut names = std::iter::once((*name).to_owned()).chain(numbers);
        let is_written = |it: &String| it != name && all.iter().any(|(other, _)| other == it);
        let is_free = |it: &String| !is_written(it) && !taken.iter().any(|(other, _)| other == it);
        taken.extend(names.find(is_free).map(|free| (free, *call)));
    }
    taken
}

fn name_and_call(text: &str) -> (&str, &str) {
    match text.split_once('=') {
        Some((name, call)) if !name.contains('(') => (name.trim(), call.trim()),
        _ => (text.split('(').next().unwrap_or_default().trim(), text.trim()),
    }
}

/// The labels that `call` asks for; what is wrong with it is added to `out`.
fn asked(given: &Given, call: &Called, out: &mut Vec<Diagnostic>) -> Option<Asked> {
    out.extend(["on", "with"].into_iter().filter_map(|param| elsewhere(call, param)));
    out.extend(ungrouped(given, call));
    let mut map = |param: &str| -> Option<ClassMap> {
        match given.asked(&call.bound, param)? {
            Ok(map) => Some(map),
            Err(error) => {
                out.push(misfit(call, param, error));
                None
            }
        }
    };
    let (labels, within) = (map("labels"), map("within"));
    let fine = given.facts().class_map(&Labels::Column("fine".to_owned()), &Labels::Declared);
    Some(Asked { classes: labels.or(fine.ok())?, within })
}

/// An encoder named where there is none.
fn elsewhere(call: &Called, param: &str) -> Option<Diagnostic> {
    call.args.iter().any(|(name, _)| *name == param).then(|| {
        Diagnostic::new(&codes::UNKNOWN_NAME, "there are no encoders here")
            .at(call.place(param), "the embeddings are those of the file")
            .help(match param {
                "on" => "leave `on` out",
                _ => "compare encoders in an experiment file: here there is one set of embeddings",
            })
    })
}

/// Groups that are read, and were not named.
fn ungrouped(given: &Given, call: &Called) -> Option<Diagnostic> {
    (call.bound.needs(Port::Groups) && !given.has_groups()).then(|| {
        let message = format!("`{}` reads groups, and there are none", call.bound.spec.name);
        Diagnostic::new(&codes::NO_GROUPS, message)
            .at(call.span, "reads the group of each row")
            .help("`--groups COLUMN,COLUMN` names the label columns that make them")
    })
}

fn misfit(call: &Called, param: &str, error: LabelError) -> Diagnostic {
    let diagnostic =
        Diagnostic::new(&codes::UNKNOWN_NAME, error.message).at(call.place(param), error.label);
    error.help.into_iter().fold(diagnostic, |it, help| it.help(help))
}

fn scores(
    library: &Library,
    given: &Given,
    (name, call): (&str, &Called),
    asked: &Asked,
) -> Result<Vec<Score>, EvalError> {
    let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stderr());
    if prompt::is_quiet() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {percent}%") {
        bar.set_style(style);
    }
    bar.set_message(name.to_owned());
    let mut progress = |share: f64| {
        bar.set_position((1000.0 * share) as u64);
        ControlFlow::Continue(())
    };
    let scores = given.evaluate(library, (name, &call.bound), asked, &mut progress);
    bar.finish_and_clear();
    scores
}

fn measured(name: &str, call: &Called, score: &Score) -> Measured {
    Measured {
        evaluation: name.to_owned(),
        call: call.bound.to_string(),
        split: score.split.name(),
        metric: score.metric,
        value: score.value,
    }
}

/// What was read, in two lines.
fn heading(args: &MeasureArgs, given: &Given) -> String {
    let count = |split: Split| format!("{} {}", split.name(), given.count(split));
    let splits = Split::ALL.into_iter().filter(|split| given.count(*split) > 0).map(count);
    let facts = given.facts();
    let columns = facts.columns.iter().map(|(name, map)| format!("{name} {}", map.names.len()));
    format!(
        "{}: embeddings of {} numbers, {}\nclasses: {}\n\n",
        args.file.display(),
        given.dim(),
        splits.collect::<Vec<_>>().join(", "),
        columns.collect::<Vec<_>>().join(", ")
    )
}

/// A line for each score.
fn table(all: &[Measured]) -> String {
    let name = |it: &Measured| format!("{}.{}.{}", it.split, it.evaluation, it.metric);
    let width = all.iter().map(|it| name(it).len()).max().unwrap_or_default();
    all.iter().map(|it| format!("{:<width$}  {:.4}\n", name(it), it.value)).collect()
}

/// `20%` or `0.2`
fn share(text: &str) -> Result<f64, String> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let share = match text.strip_suffix('%') {
        Some(percent) => number(percent).map(|it| it / 100.0),
        None => number(text),
    };
    share.filter(|it| (0.0..1.0).contains(it)).ok_or_else(|| "expected a share such as 20%".into())
}
