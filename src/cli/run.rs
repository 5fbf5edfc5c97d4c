//! `run`: check, train what is missing, evaluate, print the tables.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::Device;

use super::progress::Progress;
use super::workspace::{Workspace, data_root, store};
use super::{Target, exit, prompt};
use crate::analysis::tabulate;
use crate::library::Library;
use crate::plan::Plan;
use crate::report::{csv, markdown, terminal};
use crate::run::{Outcome, Session, run as run_plan};
use crate::store::{self as files, Store};

/// Arguments of `run`.
#[derive(clap::Args)]
pub struct RunArgs {
    #[command(flatten)]
    target: Target,
    /// Show what would be done, and stop
    #[arg(long)]
    dry_run: bool,
}

/// Runs every design of a file.
pub fn run(library: &Library, args: &RunArgs) -> u8 {
    let mut workspace = Workspace::open(library, &args.target);
    workspace.require_data();
    if let Some(code) = workspace.report() {
        return code;
    }
    if args.dry_run {
        for plan in &workspace.plans {
            prompt::print(&plan.to_string());
        }
        return 0;
    }
    let stop = match interruption() {
        Ok(stop) => stop,
        Err(error) => {
            prompt::eprint(&format!("signals cannot be caught: {error}\n"));
            return exit::FAILED;
        }
    };
    let store = store(&args.target.places, &args.target.file);
    let data = data_root(&args.target.places);
    let mut code = 0;
    for plan in &workspace.plans {
        let outcome = one(library, (&store, &data), &stop, plan);
        if outcome.stopped {
            prompt::eprint("stopped; the same command goes on from here\n");
            return exit::INTERRUPTED;
        }
        if outcome.has_failed() {
            code = exit::FAILED;
        }
    }
    code
}

fn one(
    library: &Library,
    places: (&Store, &Path),
    stop: &AtomicBool,
    plan: &Plan,
) -> Outcome {
    let mut progress = Progress::new();
    let outcome = {
        let mut session = Session::new(library, places, &Device::Cpu, stop, &mut progress);
        run_plan(&mut session, plan)
    };
    progress.clear();
    if !outcome.stopped {
        report(places.0, plan, &outcome);
    }
    outcome
}

/// Prints the table, and leaves it beside the results in three forms.
fn report(store: &Store, plan: &Plan, outcome: &Outcome) {
    let table = tabulate(plan, outcome);
    prompt::print(&format!("\n{}", terminal(&table)));
    let folder = store.report(&plan.design);
    let written = files::write_json(&folder.join("plan.json"), plan)
        .and_then(|()| files::write_json(&folder.join("table.json"), &table))
        .and_then(|()| files::write(&folder.join("table.md"), markdown(&table).as_bytes()))
        .and_then(|()| files::write(&folder.join("table.csv"), csv(&table).as_bytes()));
    match written {
        Ok(()) => prompt::print(&format!("written to {}\n", shown(&folder))),
        Err(error) => prompt::eprint(&format!("the tables cannot be written: {error}\n")),
    }
}

/// A folder below the current one without the way to it.
fn shown(folder: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    folder.strip_prefix(&here).unwrap_or(folder).display().to_string()
}

/// A flag that Ctrl-C and termination set; a second Ctrl-C ends at once.
fn interruption() -> std::io::Result<Arc<AtomicBool>> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag unset, and only sets it.
        flag::register_conditional_shutdown(signal, i32::from(exit::INTERRUPTED), stop.clone())?;
        flag::register(signal, stop.clone())?;
    }
    debug_assert!(!stop.load(Ordering::Relaxed));
    Ok(stop)
}
