//! `check` and `parse`: what can be said of files without training.

use super::fix::Changes;
use super::format::{Deny, Format};
use super::workspace::{Workspace, read};
use super::{Places, Target, exit, prompt};
use crate::diag::{Source, Sources, Span, codes, has_errors};
use crate::library::Library;
use crate::plan::{Plan, plural};
use crate::resolve::decode;
use crate::syntax;

/// Arguments of `check`.
#[derive(clap::Args)]
pub struct CheckArgs {
    /// Experiment files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Mend what has one sure mend
    #[arg(long)]
    fix: bool,
    /// With --fix: print the changes, and make none
    #[arg(long, requires = "fix")]
    diff: bool,
    /// The form of what is found
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// What stops besides errors
    #[arg(long, value_enum, value_name = "WHAT")]
    deny: Option<Deny>,
    /// Also say what theory expects of the losses
    #[arg(long)]
    theory: bool,
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
    let mut changes = Changes::default();
    let mut checked = Vec::new();
    for file in &args.files {
        let target = Target {
            file: file.clone(),
            set: Vec::new(),
            only: Vec::new(),
            seeds: None,
            limit: None,
            theory: args.theory,
            all: true,
            places: args.places.clone(),
        };
        let mut workspace = match args.fix {
            true => changes.mend(library, &target),
            false => Workspace::open(library, &target),
        };
        workspace.deny = args.deny;
        let is_library = forgive_library(&mut workspace);
        checked.push((file, workspace, is_library));
    }
    if args.diff {
        let diff = changes.diff();
        prompt::print(&diff);
        return if diff.is_empty() { 0 } else { exit::DIAGNOSTICS };
    }
    // What programs read is told alone.
    let is_drawn = args.format == Format::Human;
    if !changes.write(if is_drawn { prompt::print } else { prompt::eprint }) {
        return exit::FAILED;
    }
    tell(&checked, args.format);
    let code = checked.iter().find_map(|(_, workspace, _)| workspace.failure());
    // The process ends here: to free what a large file came to, node by node, is of no use.
    std::mem::forget(checked);
    code.unwrap_or_default()
}

/// Says of each file what was found in it, or that it is sound.
fn tell(checked: &[(&String, Workspace, bool)], format: Format) {
    if format != Format::Human {
        let all: Vec<_> = checked.iter().map(|(file, it, _)| it.checked(file)).collect();
        return prompt::print(&format.text(&all));
    }
    for (file, workspace, is_library) in checked {
        let says = match is_library {
            true => "nothing to run".to_owned(),
            false => designs(workspace),
        };
        match workspace.report() {
            Some(_) if has_errors(&workspace.diagnostics) => {}
            Some(_) => prompt::eprint(&format!("{file}: warnings are denied\n")),
            None if prompt::is_quiet() => {}
            None => prompt::print(&format!("{file}: sound: {says}\n")),
        }
    }
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
    let mut sources = Sources::default();
    let path = std::path::Path::new(&args.file);
    let text = match decode(path, read(path)) {
        Ok(text) => text,
        Err(diagnostic) => {
            prompt::diagnose(&sources, &[diagnostic]);
            return exit::DIAGNOSTICS;
        }
    };
    let file = sources.add(Source { name: args.file.clone(), text: text.clone() });
    let (tree, diagnostics) = syntax::parse(file, &text);
    prompt::print(&syntax::print(&tree));
    prompt::diagnose(&sources, &diagnostics);
    if diagnostics.is_empty() { 0 } else { exit::DIAGNOSTICS }
}
