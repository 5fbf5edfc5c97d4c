//! `plan` and `show`: what a run would do, and with which values.

use super::workspace::{Workspace, store};
use super::{Target, exit, prompt};
use crate::library::Library;
use std::path::Path;

use crate::plan::{Digest, Plan};
use crate::report::{StageUse, summary};
use crate::store::{Store, result};

/// Arguments of `plan`.
#[derive(clap::Args)]
pub struct PlanArgs {
    #[command(flatten)]
    target: Target,
    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
    /// Exit with 10 when there is something to do
    #[arg(long)]
    detailed_exitcode: bool,
}

/// Arguments of `show`.
#[derive(clap::Args)]
pub struct ShowArgs {
    #[command(flatten)]
    target: Target,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// Prints what a run would do.
pub fn plan(library: &Library, args: &PlanArgs) -> u8 {
    let workspace = Workspace::open(library, &args.target);
    if let Some(code) = workspace.report() {
        return code;
    }
    let store = store(&args.target.places, &args.target.file);
    let mut has_work = false;
    for (at, plan) in workspace.plans.iter().enumerate() {
        has_work |= (0..plan.evaluations.len())
            .any(|it| evaluation_use(&store, plan, it) != StageUse::Cached);
        if args.json {
            prompt::print(&json(plan));
            continue;
        }
        if at > 0 {
            prompt::print("\n");
        }
        let stages = |at| stage_use(&store, plan, at);
        prompt::print(&summary(plan, stages, |at| evaluation_use(&store, plan, at)));
    }
    for search in &workspace.searches {
        let gap = if workspace.plans.is_empty() { "" } else { "\n" };
        prompt::print(&format!("{gap}{search}"));
    }
    if args.detailed_exitcode && has_work { exit::WORK } else { 0 }
}

/// Prints the experiment with every value worked out.
pub fn show(library: &Library, args: &ShowArgs) -> u8 {
    let workspace = Workspace::open(library, &args.target);
    if let Some(code) = workspace.report() {
        return code;
    }
    for plan in &workspace.plans {
        prompt::print(&if args.json { json(plan) } else { plan.to_string() });
    }
    0
}

fn json(plan: &Plan) -> String {
    let text = serde_json::to_string_pretty(plan).expect("a plan is plain data");
    format!("{text}\n")
}

fn stage_use(store: &Store, plan: &Plan, at: usize) -> StageUse {
    let stage = &plan.stages[at];
    state_of(&store.stage(stage), &stage.digest)
}

fn evaluation_use(store: &Store, plan: &Plan, at: usize) -> StageUse {
    let evaluation = &plan.evaluations[at];
    state_of(&store.evaluation(evaluation), &evaluation.digest)
}

fn state_of(folder: &Path, digest: &Digest) -> StageUse {
    match (result::<serde_json::Value>(folder, digest), folder.exists()) {
        (Ok(Some(_)), _) => StageUse::Cached,
        (_, true) => StageUse::Begun,
        (_, false) => StageUse::ToDo,
    }
}
