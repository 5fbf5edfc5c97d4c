//! `check` and `parse`: what can be said of files without training.

use super::workspace::Workspace;
use super::{Places, Target, exit, prompt};
use crate::diag::{Source, Sources};
use crate::library::Library;
use crate::plan::plural;
use crate::syntax;

/// Arguments of `check`.
#[derive(clap::Args)]
pub struct CheckArgs {
    /// Experiment files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    #[command(flatten)]
    places: Places,
}

/// Arguments of `parse`.
#[derive(clap::Args)]
pub struct ParseArgs {
    /// An experiment file
    file: String,
}

/// Checks every file; the exit code says whether one has errors.
pub fn check(library: &Library, args: &CheckArgs) -> u8 {
    let mut code = 0;
    for file in &args.files {
        let target = Target {
            file: file.clone(),
            set: Vec::new(),
            limit: None,
            places: args.places.clone(),
        };
        let workspace = Workspace::open(library, &target);
        match workspace.report() {
            Some(failed) => code = failed,
            None => {
                let designs: Vec<String> = workspace
                    .plans
                    .iter()
                    .map(|plan| format!("{} ({})", plan.design, plural(plan.trials.len(), "run")))
                    .collect();
                prompt::print(&format!("{file}: sound: {}\n", designs.join(", ")));
            }
        }
    }
    code
}

/// Prints the tree of a file.
pub fn parse(args: &ParseArgs) -> u8 {
    let text = match std::fs::read(&args.file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => {
            prompt::eprint(&format!("{}: {error}\n", args.file));
            return exit::DIAGNOSTICS;
        }
    };
    let mut sources = Sources::default();
    let file = sources.add(Source { name: args.file.clone(), text: text.clone() });
    let (tree, diagnostics) = syntax::parse(file, &text);
    prompt::print(&syntax::print(&tree));
    prompt::diagnose(&sources, &diagnostics);
    if diagnostics.is_empty() { 0 } else { exit::DIAGNOSTICS }
}
