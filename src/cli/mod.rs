//! The command line: arguments in, text and exit codes out. Files, clock, terminal and signals
//! enter here.

mod audit;
mod ceiling;
mod check;
mod completions;
mod data;
mod device;
mod diff;
mod doctor;
mod explain;
mod fix;
mod fmt;
mod format;
mod graph;
mod inspect;
mod jobs;
mod loss;
mod machine;
mod measure;
mod origins;
mod plan;
mod preview;
mod progress;
mod prompt;
mod run;
mod schema;
mod show;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::library::Library;
use crate::process;

/// Exit codes beside 0.
pub(crate) mod exit {
    /// Diagnostics with errors.
    pub const DIAGNOSTICS: u8 = 1;
    /// The command line could not be understood.
    pub const USAGE: u8 = 2;
    /// A run, or a download, failed, or what was printed could not be written.
    pub const FAILED: u8 = 3;
    /// `plan --detailed-exitcode`: there is something to do; `diff --exit-code`: something differs.
    pub const WORK: u8 = 10;
    /// The user stopped it.
    pub const INTERRUPTED: u8 = 130;
}

/// An interpreter for declarative experiments on representation learning.
#[derive(Parser)]
#[command(name = "balance", version, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    style: prompt::Style,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check, train what is missing, evaluate, print the tables. The same command goes on
    Run(run::RunArgs),
    /// Every check that needs no training
    Check(check::CheckArgs),
    /// What a run would do: trainings, what is shared, what is done already
    Plan(plan::PlanArgs),
    /// Files in the common style
    Fmt(fmt::FmtArgs),
    /// The experiment with every value and default worked out
    Show(show::ShowArgs),
    /// What differs in meaning between two files, revisions or runs, and what that makes stale
    Diff(diff::DiffArgs),
    /// The plan as a picture: data, encoders, losses and what is measured
    Graph(graph::GraphArgs),
    /// The tree of a file, as it was understood
    Parse(check::ParseArgs),
    /// A component, a code, where a value comes from: explain FILE PATH, or a loss: explain loss FILE
    Explain(explain::ExplainArgs),
    /// What the losses of an experiment come to on given embeddings, with gradients
    Loss(loss::LossArgs),
    /// What embeddings of another program are worth: any evaluation, on a file of arrays
    Measure(measure::MeasureArgs),
    /// The JSON Schema of what is written for other programs
    Schema(schema::SchemaArgs),
    /// A script for a shell, to complete commands, options and the names of components
    Completions(completions::CompletionsArgs),
    /// Datasets: list, fetch, inspect; and the views that an experiment declares of one
    #[command(subcommand)]
    Data(data::DataCommand),
    /// What is found on this machine: processor, memory, data, CUDA; and whether cards compute right
    Doctor(doctor::DoctorArgs),
}

/// An experiment file, and what of it.
#[derive(clap::Args, Clone, Default)]
struct Target {
    /// The experiment file; FILE:NAME for one sweep or experiment of it
    file: String,
    /// Override a value, applied last: --set train.batch=64
    #[arg(long = "set", value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Keep only these cells of a sweep: --only alpha=25%. Levels of one axis add up
    #[arg(long, value_name = "AXIS=LEVEL")]
    only: Vec<String>,
    /// Other seeds than those of the file: 0..3, or 1,2
    #[arg(long, value_name = "SEEDS")]
    seeds: Option<String>,
    /// Stop every training after this many steps: a smoke run, kept apart from full results
    #[arg(long, value_name = "STEPS", value_parser = steps)]
    limit: Option<usize>,
    #[command(flatten)]
    places: Places,
    /// Whether what theory expects of the losses is said too.
    #[arg(skip)]
    theory: bool,
    /// Whether the experiments that would not be run are checked too.
    #[arg(skip)]
    all: bool,
}

impl Target {
    /// Whether the command line takes the file as it is.
    fn is_whole(&self) -> bool {
        let is_picked = !self.only.is_empty() || self.seeds.is_some();
        self.set.is_empty() && self.limit.is_none() && !is_picked
    }
}

/// Where data and results are.
#[derive(clap::Args, Clone, Default)]
struct Places {
    /// The folder datasets are in [default: $BALANCE_DATA, or the user's data folder]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The folder results are in [default: $BALANCE_STORE, or .balance in the project]
    #[arg(long, value_name = "FOLDER")]
    store: Option<PathBuf>,
    /// A folder outside the project that files may import from; may be repeated
    #[arg(long, value_name = "FOLDER")]
    allow_import: Vec<PathBuf>,
}

/// `5`, `5steps` or `5 steps`.
fn steps(text: &str) -> Result<usize, String> {
    let number = text.trim().trim_end_matches("steps").trim_end_matches("step").trim();
    match number.parse() {
        Ok(0) | Err(_) => Err("expected a number of steps, such as 5 or 5steps".to_owned()),
        Ok(steps) => Ok(steps),
    }
}

/// Runs the command line of this process with the components of `library`. To be called before any
/// thread is started.
pub fn main(library: &Library) -> ExitCode {
    process::calm_candle();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { 0 });
        }
    };
    prompt::speak(arguments.style);
    let code = match arguments.command {
        Command::Run(args) => process::train(|| run::run(library, &args)),
        Command::Check(args) => check::check(library, &args),
        Command::Plan(args) => plan::plan(library, &args),
        Command::Fmt(args) => fmt::fmt(&args),
        Command::Show(args) => show::show(library, &args),
        Command::Diff(args) => diff::diff(library, &args),
        Command::Graph(args) => graph::graph(library, &args),
        Command::Parse(args) => check::parse(&args),
        Command::Explain(args) => explain::explain(library, &args),
        Command::Loss(args) => loss::loss(library, &args),
        Command::Measure(args) => measure::measure(library, &args),
        Command::Schema(args) => schema::schema(&args),
        Command::Completions(args) => completions::completions(library, &args),
        Command::Data(command) => data::data(library, &command),
        Command::Doctor(args) => doctor::doctor(&args),
    };
    ExitCode::from(if prompt::finish() { code } else { exit::FAILED })
}
