//! `explain FILE PATH`: where a value of an experiment comes from.

use super::workspace::Workspace;
use super::{Places, Target, audit, exit, prompt};
use crate::catalog::Catalog;
use crate::diag::closest;
use crate::library::Library;
use crate::report::origins;
use crate::resolve::{Cell, Design, Link, Origins, Valued};

/// What of `explain` is about a value of a file.
#[derive(clap::Args)]
pub struct OriginArgs {
    /// After `loss`, the experiment file. The path of a value, such as train.batch; `balance show FILE --paths` lists them
    path: Option<String>,
    /// With PATH: override a value first, --set train.batch=64
    #[arg(long = "set", value_name = "PATH=VALUE", requires = "path")]
    set: Vec<String>,
    /// With PATH: only the cells of a sweep with this level, --only alpha=25%
    #[arg(long, value_name = "AXIS=LEVEL", requires = "path")]
    only: Vec<String>,
    /// With PATH: a folder outside the project that files may import from; may be repeated
    #[arg(long, value_name = "FOLDER", requires = "path")]
    allow_import: Vec<std::path::PathBuf>,
}

impl OriginArgs {
    /// The experiment whose losses are asked for, when `name` is the word for that: the file then
    /// stands where a path does.
    pub fn target_of_audit(&self, name: &str) -> Option<Target> {
        let file = self.path.as_ref().filter(|_| name == audit::WORD)?;
        Some(target(file, self))
    }

    /// Whether a value's origin is asked for.
    pub fn is_asked(&self) -> bool {
        self.path.is_some()
    }
}

/// A value with its origin, and the cells that have it so.
struct Answer {
    path: String,
    value: String,
    links: Vec<Link>,
    /// The levels of each.
    cells: Vec<Vec<String>>,
}

/// Prints where the value at the path comes from, for each way it comes about in a sweep.
pub fn explain(library: &Library, file: &str, args: &OriginArgs) -> u8 {
    let path = args.path.as_deref().unwrap_or_default();
    let target = target(file, args);
    let workspace = Workspace::open(library, &target);
    if let Some(code) = workspace.report_errors() {
        return code;
    }
    let catalog = library.catalog();
    let mut any = false;
    for design in &workspace.designs {
        let answers = answers(&workspace, &catalog, design, path);
        any |= !answers.is_empty();
        prompt::print(&written(&workspace, design, &answers));
    }
    if any {
        return 0;
    }
    prompt::eprint(&unknown(&workspace, path));
    exit::USAGE
}

fn target(file: &str, args: &OriginArgs) -> Target {
    let places = Places { allow_import: args.allow_import.clone(), ..Places::default() };
    let (set, only) = (args.set.clone(), args.only.clone());
    Target { file: file.into(), set, only, places, ..Target::default() }
}

/// The name and the label of a cell's level on each axis.
fn cell_levels<'d>(design: &'d Design, cell: &'d Cell) -> impl Iterator<Item = (&'d str, &'d str)> {
    design.axes.iter().zip(&cell.levels).flat_map(|(axis, level)| {
        axis.names.iter().map(String::as_str).zip(axis.levels[*level].iter().map(String::as_str))
    })
}

fn answers(workspace: &Workspace, catalog: &Catalog, design: &Design, path: &str) -> Vec<Answer> {
    let mut answers: Vec<Answer> = Vec::new();
    let Workspace { program, options, .. } = workspace;
    let Some(tracer) = Origins::of(program, catalog, options, design) else { return answers };
    let mut add = |cell: &Cell, path: String, value: String, links: Vec<Link>| {
        let levels = cell_levels(design, cell).map(|(name, level)| format!("{name}={level}"));
        let cell: Vec<String> = levels.collect();
        let is_same = |it: &&mut Answer| it.value == value && it.links == links;
        match answers.iter_mut().find(is_same) {
            Some(known) if known.cells.contains(&cell) => known.path = shared(&known.path, &path),
            Some(known) => known.cells.push(cell),
            None => answers.push(Answer { path, value, links, cells: vec![cell] }),
        }
    };
    for cell in &design.cells {
        for value in matching(cell, path) {
            let links = tracer.value(cell, &value);
            add(cell, value.path(), value.value, links);
        }
        if let Some(mut links) = tracer.param(cell, path) {
            let value = links.remove(0);
            let text = value.text.clone();
            links.insert(0, Link { name: String::new(), ..value });
            add(cell, path.to_owned(), text, links);
        }
    }
    answers
}

/// What two paths have in common at their ends: what they are called for every stage.
fn shared(a: &str, b: &str) -> String {
    let same = a.rsplit('.').zip(b.rsplit('.')).take_while(|(a, b)| a == b);
    let mut parts: Vec<&str> = same.map(|(part, _)| part).collect();
    parts.reverse();
    parts.join(".")
}

/// The values that `path` names: of one stage or evaluation, or of every stage.
fn matching(cell: &Cell, path: &str) -> Vec<Valued> {
    let mut values = cell.experiment.values();
    let path = path.strip_prefix("eval.").unwrap_or(path);
    values.retain(|it| it.path() == path || it.shared_path().as_deref() == Some(path));
    values
}

/// As many ways to come about are shown.
const MOST: usize = 12;

fn written(workspace: &Workspace, design: &Design, answers: &[Answer]) -> String {
    let mut out = String::new();
    let is_single = answers.len() == 1 && workspace.designs.len() == 1;
    for answer in answers.iter().take(MOST) {
        if !is_single {
            let cells = in_common(design, answer);
            out += &format!("{} {}{cells}\n", design.name.node, answer.path);
        }
        out += &origins(&workspace.sources, &answer.value, &answer.links);
    }
    if answers.len() > MOST {
        let more = answers.len() - MOST;
        out += &format!("and {more} more; `--only AXIS=LEVEL` picks some\n");
    }
    out
}

/// The levels that all cells of an answer have: `  alpha=0%, in 2 of 10 cells`.
fn in_common(design: &Design, answer: &Answer) -> String {
    let (some, all) = (answer.cells.len(), design.cells.len());
    let Some((first, rest)) = answer.cells.split_first().filter(|_| some < all) else {
        return String::new();
    };
    let is_common = |level: &&String| rest.iter().all(|cell| cell.contains(level));
    let levels: Vec<&str> = first.iter().filter(is_common).map(String::as_str).collect();
    match levels[..] {
        [] => format!("  in {some} of {all} cells"),
        _ => format!("  {}, in {some} of {all} cells", levels.join(", ")),
    }
}

fn unknown(workspace: &Workspace, path: &str) -> String {
    let mut known: Vec<String> = Vec::new();
    for cell in workspace.designs.iter().filter_map(|design| design.cells.first()) {
        for value in cell.experiment.values() {
            known.extend(value.shared_path());
            known.push(value.path());
        }
    }
    let near = closest(path, known.iter().map(String::as_str));
    match near {
        Some(near) => format!("no value is called `{path}`; did you mean `{near}`?\n"),
        None => format!("no value is called `{path}`; `balance show FILE --paths` lists all\n"),
    }
}
