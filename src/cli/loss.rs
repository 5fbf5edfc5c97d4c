//! `loss`: what the losses of an experiment come to on given embeddings.

use std::path::PathBuf;

use super::workspace::Workspace;
use super::{Target, exit, prompt};
use crate::data::arrays;
use crate::library::Library;
use crate::plan::{Axis, Plan, Stage};
use crate::run::LossOn;
use crate::store;

/// Arguments of `loss`.
#[derive(clap::Args)]
pub struct LossArgs {
    #[command(flatten)]
    target: Target,
    /// A .npz or .safetensors file with `embeddings`, views × items × numbers (or items × numbers,
    /// one view), and `labels`, one for each item
    #[arg(long, value_name = "FILE")]
    on: PathBuf,
    /// The stage whose losses are meant [default: the first]
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// The array of embeddings
    #[arg(long, value_name = "ARRAY", default_value = "embeddings")]
    embeddings: String,
    /// The array of labels
    #[arg(long, value_name = "ARRAY", default_value = "labels")]
    labels: String,
    /// Where to write the gradients by the embeddings, as .safetensors
    #[arg(long, value_name = "FILE")]
    gradient: Option<PathBuf>,
}

/// Computes, prints, and writes the gradients when they are asked for.
pub fn loss(library: &Library, args: &LossArgs) -> u8 {
    let workspace = Workspace::open(library, &args.target);
    if let Some(code) = workspace.report_errors().or_else(|| workspace.report_no_plan()) {
        return code;
    }
    let Some(plan) = workspace.plans.first() else { return exit::DIAGNOSTICS };
    match computed(library, args, plan) {
        Ok(text) => {
            prompt::print(&(chosen(plan, workspace.plans.len()) + &text));
            0
        }
        Err(why) => {
            prompt::eprint(&format!("{why}\n"));
            exit::DIAGNOSTICS
        }
    }
}

fn computed(library: &Library, args: &LossArgs, plan: &Plan) -> Result<String, String> {
    let stage = stage(args, plan)?;
    let file = args.on.display();
    let names = (args.embeddings.as_str(), args.labels.as_str());
    let loss = arrays(&args.on).and_then(|arrays| LossOn::of(stage, library, &arrays, names));
    let loss = loss.map_err(|why| format!("no loss of `{file}`: {why}"))?;
    if let Some(path) = &args.gradient {
        let bytes = loss.gradients()?;
        let refused = |error| format!("{} cannot be written: {error}", path.display());
        store::write(path, &bytes).map_err(refused)?;
    }
    Ok(text(stage, &loss))
}

/// Which design and which cell of it are meant, where the file has others.
fn chosen(plan: &Plan, designs: usize) -> String {
    let mut text = String::new();
    if designs > 1 {
        text += &format!(
            "{}, the first of {designs} designs; FILE:NAME chooses another\n",
            plan.design
        );
    }
    if plan.cells.len() > 1 {
        let level = |(axis, level): (&Axis, &usize)| {
            let pairs = axis.names.iter().zip(&axis.levels[*level]);
            pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
        };
        let first = plan.axes.iter().zip(&plan.cells[0].levels);
        let levels: Vec<String> = first.map(level).collect();
        let (levels, cells) = (levels.join(", "), plan.cells.len());
        text += &format!("{levels}, the first of {cells} cells; --only chooses another\n");
    }
    text
}

/// The stage that is asked for, in the first cell of the first seed.
fn stage<'a>(args: &LossArgs, plan: &'a Plan) -> Result<&'a Stage, String> {
    let trial = plan.trials.first().ok_or("there is no stage")?;
    let stages: Vec<&Stage> = trial.stages.iter().map(|at| &plan.stages[*at]).collect();
    let is_asked = |stage: &&&Stage| args.stage.as_ref().is_none_or(|name| *name == stage.name);
    let names: Vec<String> = stages.iter().map(|stage| format!("`{}`", stage.name)).collect();
    let found = stages.iter().find(is_asked).copied();
    found.ok_or_else(|| format!("there is no such stage; there are {}", names.join(", ")))
}

/// A line for each term, and one for their weighted sum.
fn text(stage: &Stage, loss: &LossOn) -> String {
    let LossOn { rows, views, dim, classes, .. } = loss;
    let items = rows / views;
    let mut text = format!(
        "stage {}: {views} × {items} embeddings of {dim} numbers, {classes} classes\n",
        stage.name
    );
    let width = loss.terms.iter().map(|it| it.name.len()).max().unwrap_or_default().max(5);
    for term in &loss.terms {
        let (name, weight) = (&term.name, term.weight);
        text += &match &term.computed {
            Some((value, _)) => format!("  {name:<width$}  {}  × {weight}\n", number(*value)),
            None => format!("  {name:<width$}  not computed: it has weights of its own to train\n"),
        };
    }
    text + &format!("  {:<width$}  {}\n", "total", number(loss.total()))
}

/// A number with twelve decimals; what rounds to zero has no sign.
fn number(value: f64) -> String {
    let text = format!("{value:.12}");
    match text.strip_prefix('-') {
        Some(zero) if zero.bytes().all(|it| matches!(it, b'0' | b'.')) => zero.to_owned(),
        _ => text,
    }
}
