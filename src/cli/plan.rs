//! `plan`: what a run would do.

use super::format::Format;
use std::path::{Path, PathBuf};

use super::machine::speed;
use super::workspace::{Workspace, store};
use super::{Target, exit, prompt};
use crate::library::Library;
use crate::plan::{Digest, Evaluation, Plan, Stage};
use crate::report::{StageUse, summary};
use crate::store::{self as files, Store, result};

/// Arguments of `plan`.
#[derive(clap::Args)]
pub struct PlanArgs {
    #[command(flatten)]
    target: Target,
    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
    /// Write the plan as JSON into a file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Exit with 10 when there is something to do
    #[arg(long)]
    detailed_exitcode: bool,
    /// The form of what the check finds
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Prints what a run would do.
pub fn plan(library: &Library, args: &PlanArgs) -> u8 {
    let mut workspace = Workspace::open(library, &args.target);
    workspace.format = args.format;
    if let Some(code) = workspace.report() {
        return code;
    }
    let store = store(&args.target.places, &args.target.file);
    let is_json = args.json || args.out.is_some();
    if is_json && !workspace.searches.is_empty() && !prompt::is_quiet() {
        prompt::eprint("searches are left out of JSON\n");
    }
    let text = match is_json {
        true => json(&workspace.plans),
        false => listed(&store, &workspace),
    };
    match &args.out {
        None => prompt::print(&text),
        Some(path) => {
            if let Err(error) = files::write(path, text.as_bytes()) {
                prompt::eprint(&format!("{} cannot be written: {error}\n", path.display()));
                return exit::FAILED;
            }
        }
    }
    let has_work = workspace.plans.iter().any(|plan| has_work(&store, plan));
    // The process ends here: to free a large sweep, node by node, is of no use.
    std::mem::forget(workspace);
    if args.detailed_exitcode && has_work { exit::WORK } else { 0 }
}

/// What a run would do, and the searches, for a person.
pub fn listed(store: &Store, workspace: &Workspace) -> String {
    let searches = workspace.searches.iter().map(ToString::to_string);
    let tables = (!workspace.plans.is_empty()).then(|| tables(store, &workspace.plans));
    tables.into_iter().chain(searches).collect::<Vec<_>>().join("\n")
}

fn tables(store: &Store, plans: &[Plan]) -> String {
    let rate = speed(store.root());
    let table = |plan: &Plan| {
        let stages: Vec<_> = plan.stages.iter().map(|it| stage_use(store, it)).collect();
        let evaluations: Vec<_> =
            plan.evaluations.iter().map(|it| evaluation_use(store, it)).collect();
        summary(plan, &stages, &evaluations, rate)
    };
    plans.iter().map(table).collect::<Vec<_>>().join("\n")
}

fn has_work(store: &Store, plan: &Plan) -> bool {
    plan.evaluations.iter().any(|it| evaluation_use(store, it) != StageUse::Cached)
}

/// The plan as JSON; an array where there are several, or none.
pub fn json(plans: &[Plan]) -> String {
    let text = match plans {
        [only] => serde_json::to_string_pretty(only),
        all => serde_json::to_string_pretty(all),
    };
    let text = text.expect("a plan is plain data");
    format!("{text}\n")
}

fn stage_use(store: &Store, stage: &Stage) -> StageUse {
    state_of(&store.stage(stage), &stage.digest)
}

fn evaluation_use(store: &Store, evaluation: &Evaluation) -> StageUse {
    state_of(&store.evaluation(evaluation), &evaluation.digest)
}

fn state_of(folder: &Path, digest: &Digest) -> StageUse {
    match (result::<serde_json::Value>(folder, digest), folder.exists()) {
        (Ok(Some(_)), _) => StageUse::Cached,
        (Err(why), _) => StageUse::Unusable(why),
        (_, true) => StageUse::Begun,
        (_, false) => StageUse::ToDo,
    }
}
