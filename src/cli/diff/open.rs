//! What can be compared: files, revisions of files, plans that were written down, and runs.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::super::workspace::{Workspace, store};
use super::super::{Places, Target, exit, prompt};
use crate::library::Library;
use crate::report::Side;

/// One of the two, opened.
pub(super) enum Opened {
    /// A file worked out.
    File(Box<Workspace>),
    /// Plans as JSON.
    Written(Vec<Value>),
}

impl Opened {
    /// Whether it is a plan that was written down, which has no places.
    pub fn is_written(&self) -> bool {
        matches!(self, Self::Written(_))
    }

    /// Its designs; as plans have them when `is_written`, so that both sides say the same things.
    pub fn sides(&self, is_written: bool) -> Vec<Side> {
        match self {
            Self::Written(plans) => plans.iter().map(Side::of_plan).collect(),
            Self::File(workspace) => {
                let designs = workspace.designs.iter().zip(&workspace.plans);
                let side = |(design, plan)| match is_written {
                    false => Side::of_design(design, plan),
                    true => Side::of_plan(&serde_json::to_value(plan).unwrap_or_default()),
                };
                designs.map(side).collect()
            }
        }
    }
}

/// Opens what `text` names; what is wrong with it is printed, and gives an exit code.
pub(super) fn open(library: &Library, text: &str, places: &Places) -> Result<Opened, u8> {
    if text.ends_with(".json") {
        return written(Path::new(text), None);
    }
    if let Some((file, name)) = text.rsplit_once(':').filter(|(file, _)| file.ends_with(".json")) {
        return written(Path::new(file), Some(name));
    }
    let target =
        |file: &str| Target { file: file.into(), places: places.clone(), ..Target::default() };
    let workspace = match text.split_once(':') {
        Some((revision, file)) if !Path::new(text).exists() && !Path::new(revision).exists() => {
            if revision.is_empty() || revision.starts_with('-') || file.is_empty() {
                prompt::eprint(&format!("`{text}` is neither a file nor REVISION:FILE\n"));
                return Err(exit::USAGE);
            }
            Workspace::open_through(library, &target(file), &|path| of_revision(revision, path))
        }
        _ => Workspace::open(library, &target(text)),
    };
    match workspace.report_errors().or_else(|| workspace.report_no_plan()) {
        Some(code) => {
            prompt::eprint(&format!("in `{text}`\n"));
            Err(code)
        }
        None => Ok(Opened::File(Box::new(workspace))),
    }
}

/// A file as it was in a revision of the git repository around the current folder.
fn of_revision(revision: &str, path: &Path) -> io::Result<Vec<u8>> {
    if path.is_absolute() {
        return Err(io::Error::other("a revision holds no absolute paths"));
    }
    let object = format!("{revision}:./{}", path.display());
    let output = Command::new("git").args(["show", "--end-of-options", &object]).output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().next().unwrap_or("git failed").trim_start_matches("fatal: ");
    Err(io::Error::other(line.to_owned()))
}

/// The plans in a JSON file, one after the other; that of the design `name` alone, if there is a name.
fn written(path: &Path, name: Option<&str>) -> Result<Opened, u8> {
    let fail = |why: String| {
        prompt::eprint(&format!("`{}` cannot be read as a plan: {why}\n", path.display()));
        exit::DIAGNOSTICS
    };
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => fail("there is no such file".to_owned()),
        _ => fail(error.to_string()),
    })?;
    let plans = serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>();
    let plans: Vec<Value> =
        plans.collect::<Result<_, _>>().map_err(|error| fail(error.to_string()))?;
    let plans = match name {
        Some(name) => named(plans, name).map(|plan| vec![plan]),
        None => one_of_each(plans),
    };
    let plans = plans.map_err(fail)?;
    match plans.iter().find(|plan| plan["plan_version"] != 1) {
        Some(_) => Err(fail("it is not of plan version 1".to_owned())),
        None => Ok(Opened::Written(plans)),
    }
}

/// The plan of a design, alone or in an array.
fn named(plans: Vec<Value>, name: &str) -> Result<Value, String> {
    let all: Vec<Value> = plans
        .into_iter()
        .flat_map(|plan| match plan {
            Value::Array(all) => all,
            plan => vec![plan],
        })
        .collect();
    let found = all.iter().find(|plan| plan["design"] == name).cloned();
    found.ok_or_else(|| format!("it holds no design `{name}`, but {}", designs(&all)))
}

/// The plans, where each that stands in an array stands there alone.
fn one_of_each(plans: Vec<Value>) -> Result<Vec<Value>, String> {
    let one = |plan: Value| match plan {
        Value::Array(mut all) if all.len() == 1 => Ok(all.remove(0)),
        Value::Array(all) if all.is_empty() => Err("it holds no design".to_owned()),
        Value::Array(all) => {
            let names = designs(&all);
            Err(format!("it holds several designs; name one, `FILE.json:NAME`, of {names}"))
        }
        plan => Ok(plan),
    };
    plans.into_iter().map(one).collect()
}

/// The names of the designs of plans.
fn designs(plans: &[Value]) -> String {
    let names = plans.iter().filter_map(|it| it["design"].as_str());
    names.collect::<Vec<_>>().join(", ")
}

/// The plans of the last runs of what `file` declares.
pub(super) fn stored(after: &Opened, places: &Places, file: &str) -> Result<Opened, u8> {
    let store = store(places, file);
    let mut plans = Vec::new();
    for side in after.sides(true) {
        let path: PathBuf = store.report(&side.name).join("plan.json");
        if !path.exists() {
            prompt::eprint(&format!("`{}` has no finished run in the store\n", side.name));
            continue;
        }
        match written(&path, None)? {
            Opened::Written(found) => plans.extend(found),
            Opened::File(_) => {}
        }
    }
    if plans.is_empty() { Err(exit::USAGE) } else { Ok(Opened::Written(plans)) }
}
