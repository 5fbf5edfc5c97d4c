//! `run`: check, train what is missing, evaluate, print the tables.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::device::{Place, place};
use super::format::{Deny, Format};
use super::jobs::{Jobs, jobs};
use super::plan::listed;
use super::progress::Progress;
use super::workspace::{Workspace, data_root, store};
use super::{Target, exit, prompt};
use crate::analysis::tabulate;
use crate::kernel::has_bf16;
use crate::library::Library;
use crate::plan::{Digest, Plan, Precision};
use crate::report::{csv, markdown, tally, terminal};
use crate::run::{Outcome, Session, Surroundings, run_beside as run_plan};
use crate::store::{self as files, Store};

/// Arguments of `run`.
#[derive(clap::Args)]
pub struct RunArgs {
    #[command(flatten)]
    target: Target,
    /// How many trainings go on beside each other, with the cores divided among them, or `auto`:
    /// as many as get on fastest, by measurement of the first steps
    #[arg(long, value_name = "N|auto", default_value = "1", value_parser = jobs)]
    jobs: Jobs,
    /// Print what `plan` prints, and stop
    #[arg(long)]
    dry_run: bool,
    /// The form of what the check finds
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// What stops besides errors
    #[arg(long, value_enum, value_name = "WHAT")]
    deny: Option<Deny>,
}

/// Runs every design of a file.
pub fn run(library: &Library, args: &RunArgs) -> u8 {
    let mut workspace = Workspace::open(library, &args.target);
    workspace.require_data();
    (workspace.format, workspace.deny) = (args.format, args.deny);
    if let Some(code) = workspace.report() {
        return code;
    }
    let store = store(&args.target.places, &args.target.file);
    if args.dry_run {
        prompt::print(&listed(&store, &workspace));
        return 0;
    }
    if let Some(code) = workspace.report_no_plan() {
        return code;
    }
    let stop = match interruption() {
        Ok(stop) => stop,
        Err(error) => {
            prompt::eprint(&format!("signals cannot be caught: {error}\n"));
            return exit::FAILED;
        }
    };
    if let Err(error) = std::fs::create_dir_all(store.root()) {
        let root = store.root().display();
        prompt::eprint(&format!("results cannot be kept in {root}: {error}\n"));
        return exit::FAILED;
    }
    let place = match place(&workspace.plans) {
        Ok(place) => place,
        Err(why) => {
            prompt::eprint(&why);
            return exit::FAILED;
        }
    };
    if place.device.is_cpu() {
        warn_of_precision(&workspace.plans);
    }
    let data = data_root(&args.target.places);
    all(library, &workspace.plans, args, (&store, &data, &place), &stop)
}

/// Runs the plans one after the other; a failure in one does not keep the next from running.
fn all(
    library: &Library,
    plans: &[Plan],
    args: &RunArgs,
    (store, data_root, place): (&Store, &Path, &Place),
    stop: &AtomicBool,
) -> u8 {
    let clock = clock();
    let around = Surroundings {
        library,
        store,
        data_root,
        device: &place.device,
        device_name: &place.name,
        stop,
        halt: None,
        clock: &clock,
    };
    let mut progress = Progress::new();
    let mut session = Session::new(around, &mut progress);
    let mut code = 0;
    for plan in plans {
        let outcome = run_plan(&mut session, plan, args.jobs.division(plan, place.free));
        if outcome.stopped {
            prompt::eprint("stopped; the same command goes on from here\n");
            return exit::INTERRUPTED;
        }
        let is_written = report(&store.report(&report_name(plan, &args.target)), plan, &outcome);
        if outcome.failures() > 0 || !is_written {
            code = exit::FAILED;
        }
    }
    code
}

/// Says that half precision saves no time here, where it is asked for.
fn warn_of_precision(plans: &[Plan]) {
    let mut stages = plans.iter().flat_map(|plan| &plan.stages);
    if !has_bf16() && stages.any(|stage| stage.method.precision == Some(Precision::Bf16)) {
        prompt::eprint(
            "warning: this processor does not multiply bf16 numbers by itself: \
             `precision = bf16` takes longer here than `f32`\n  \
             to train in full precision, add `--set run.precision=f32`\n",
        );
    }
}

/// The design's name; with an address when the command line has changed the design, so that a smoke
/// run does not take the place of the real one.
fn report_name(plan: &Plan, target: &Target) -> String {
    if target.is_whole() {
        return plan.design.clone();
    }
    let digests = plan.evaluations.iter().map(|it| it.digest.text());
    let digest = Digest::of(&digests.collect::<Vec<_>>().join(" "));
    format!("{}-{}", plan.design, &digest.short()[..8])
}

/// Prints the table, and leaves it in `folder` in three forms; says whether it could.
fn report(folder: &Path, plan: &Plan, outcome: &Outcome) -> bool {
    let table = tabulate(plan, outcome);
    prompt::print(&format!("\n{}{}", terminal(&table), tally(outcome)));
    let written = files::write_json(&folder.join("plan.json"), plan)
        .and_then(|()| files::write_json(&folder.join("table.json"), &table))
        .and_then(|()| files::write(&folder.join("table.md"), markdown(&table).as_bytes()))
        .and_then(|()| files::write(&folder.join("table.csv"), csv(&table).as_bytes()));
    match &written {
        Ok(()) => prompt::print(&format!("written to {}\n", shown(folder))),
        Err(error) => prompt::eprint(&format!("the tables cannot be written: {error}\n")),
    }
    written.is_ok()
}

/// Seconds since 1970 began, which never go back.
#[allow(clippy::disallowed_methods, reason = "the clock enters the program here")]
fn clock() -> impl Fn() -> f64 + Sync {
    let begun = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = Instant::now();
    move || (begun + since.elapsed()).as_secs_f64()
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
