//! `check` and `parse`: what can be said of files without training.

use super::workspace::Workspace;
use super::{Places, Target, exit, prompt};
use crate::diag::{Source, Sources, Span, codes};
use crate::library::Library;
use crate::plan::{Plan, plural};
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
            only: Vec::new(),
            seeds: None,
            limit: None,
            places: args.places.clone(),
        };
        let mut workspace = Workspace::open(library, &target);
        let is_library = forgive_library(&mut workspace);
        match workspace.report() {
            Some(failed) => code = failed,
            None if is_library => prompt::print(&format!("{file}: sound: nothing to run\n")),
            None => prompt::print(&format!("{file}: sound: {}\n", designs(&workspace))),
        }
    }
    code
}

/// A file that only declares what others import is sound, though there is nothing to run in it;
/// whether this is one.
fn forgive_library(workspace: &mut Workspace) -> bool {
    let Workspace { sources, diagnostics, .. } = workspace;
    let before = diagnostics.len();
    diagnostics.retain(|diagnostic| {
        let start = diagnostic.labels.first().map(|(span, _)| *span);
        let whole = start.filter(|span| span.range() == (0..0));
        let is_empty = |span: Span| sources.get(span.file).text.trim().is_empty();
        diagnostic.code != &codes::EMPTY || whole.is_none_or(is_empty)
    });
    diagnostics.len() < before
}

/// `first (3 runs), second (1 run)`
fn designs(workspace: &Workspace) -> String {
    let design = |plan: &Plan| format!("{} ({})", plan.design, plural(plan.trials.len(), "run"));
    let searches = workspace.searches.iter().map(|it| format!("{} ({})", it.name, it.size()));
    workspace.plans.iter().map(design).chain(searches).collect::<Vec<_>>().join(", ")
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
