//! `show`: an experiment with every value worked out, or some of its values.

use super::ceiling::ceilings;
use super::plan::json;
use super::workspace::{Workspace, data_root};
use super::{Target, exit, prompt};
use crate::diag::closest;
use crate::library::Library;
use crate::plan::Plan;
use crate::report::{Row, listing, rows, rows_json};
use crate::resolve::{Design, Origins};

/// Arguments of `show`.
#[derive(clap::Args)]
pub struct ShowArgs {
    #[command(flatten)]
    target: Target,
    /// Only the value at this path, or those below it: train, contrast.loss.cnce.weight
    path: Option<String>,
    /// List every path that --set may touch, with its value and type
    #[arg(long)]
    paths: bool,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// Prints the experiment, or what is asked of it, with every value worked out.
pub fn show(library: &Library, args: &ShowArgs) -> u8 {
    let workspace = Workspace::open(library, &args.target);
    if args.path.is_some() || args.paths {
        return values(library, &workspace, args);
    }
    if let Some(code) = workspace.report() {
        return code;
    }
    let root = data_root(&args.target.places);
    let text = |plan: &Plan| format!("{plan}{}", ceilings(library, plan, &root));
    prompt::print(&match args.json {
        true => json(&workspace.plans),
        false => workspace.plans.iter().map(text).collect(),
    });
    if !args.json {
        prompt::print(&workspace.listed_searches());
    }
    0
}

fn values(library: &Library, workspace: &Workspace, args: &ShowArgs) -> u8 {
    if let Some(code) = workspace.report_errors() {
        return code;
    }
    let found = |design: &Design| {
        let all = all_rows(library, workspace, design);
        args.path.as_ref().map_or(all.clone(), |path| below(&all, path))
    };
    let name = |design: &Design| design.name.node.clone();
    let all: Vec<(String, Vec<Row>)> =
        workspace.designs.iter().map(|it| (name(it), found(it))).collect();
    match &args.path {
        Some(path) if all.iter().all(|(_, rows)| rows.is_empty()) => {
            return unknown(library, workspace, path);
        }
        _ if args.json => prompt::print(&rows_json(&all)),
        _ => list(&all, args),
    }
    0
}

/// The rows of each design, under its name where there are several.
fn list(designs: &[(String, Vec<Row>)], args: &ShowArgs) {
    for (name, found) in designs {
        if designs.len() > 1 && !found.is_empty() {
            prompt::print(&format!("{name}\n"));
        }
        let is_value = found.len() == 1 && Some(&found[0].path) == args.path.as_ref();
        prompt::print(&match &found[..] {
            [only] if is_value && !args.paths => format!("{}\n", only.shown()),
            found => listing(found, args.paths),
        });
    }
}

fn all_rows(library: &Library, workspace: &Workspace, design: &Design) -> Vec<Row> {
    let (catalog, Workspace { program, options, .. }) = (library.catalog(), workspace);
    let origins = Origins::of(program, &catalog, options, design);
    origins.map_or(Vec::new(), |origins| rows(design, &origins))
}

/// The rows at `path` and below it.
fn below(rows: &[Row], path: &str) -> Vec<Row> {
    let path = path.strip_prefix("eval.").unwrap_or(path);
    let is_below = |row: &&Row| {
        let inside = |it: &str| {
            it.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        inside(&row.path) || row.shared.as_deref().is_some_and(inside)
    };
    rows.iter().filter(is_below).cloned().collect()
}

fn unknown(library: &Library, workspace: &Workspace, path: &str) -> u8 {
    let rows = workspace.designs.iter().flat_map(|it| all_rows(library, workspace, it));
    let rows: Vec<Row> = rows.collect();
    let known = rows.iter().flat_map(|row| row.shared.iter().chain([&row.path]));
    let advice = match closest(path, known.map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`--paths` lists all".to_owned(),
    };
    prompt::eprint(&format!("no value is called `{path}`; {advice}\n"));
    exit::USAGE
}
