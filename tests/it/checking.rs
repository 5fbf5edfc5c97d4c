//! Experiment text through the whole front half: parsed, resolved and checked, with every dataset
//! taken to be at hand.

use std::path::Path;

use balance::catalog::{Bound, Facts};
use balance::diag::{Diagnostic, Look, Source, Sources, render};
use balance::library::dataset::Dataset;
use balance::library::{Library, build};
use balance::plan::{Plan, check};
use balance::resolve::{Design, Options, load, resolve};
use balance::syntax::parse_assignment;

/// What became of a text.
pub struct Checked {
    pub sources: Sources,
    pub designs: Vec<Design>,
    pub plans: Vec<Plan>,
    pub diagnostics: Vec<Diagnostic>,
}

impl Checked {
    /// The diagnostics as a reader of a file sees them.
    pub fn shown(&self) -> String {
        let look = Look { color: false, unicode: true, width: 88 };
        render(&self.sources, &self.diagnostics, look)
    }
}

/// Checks the first of `files` (name and text), which may import the others, with the assignments
/// of `set` applied last.
pub fn checked(files: &[(&str, &str)], set: &[&str]) -> Checked {
    checked_with(&Library::standard(), files, set)
}

/// The same with the components of `library`.
pub fn checked_with(library: &Library, files: &[(&str, &str)], set: &[&str]) -> Checked {
    let mut sources = Sources::default();
    let reader = |path: &Path| {
        let found = files.iter().find(|(name, _)| Path::new(name) == path);
        found.map(|(_, text)| text.as_bytes().to_vec()).ok_or(std::io::ErrorKind::NotFound.into())
    };
    let (program, mut diagnostics) = load(Path::new(files[0].0), &mut sources, &reader);
    let mut options = Options::default();
    for text in set {
        let file = sources.add(Source { name: "--set".into(), text: (*text).to_owned() });
        options.set.push(parse_assignment(file, text).unwrap());
    }
    let (designs, mut found) = resolve(&program, &library.catalog(), &options);
    diagnostics.append(&mut found);
    let facts = facts(library);
    let mut plans = Vec::new();
    for design in &designs {
        let (plan, mut found) = check(design, &facts, None);
        plans.extend(plan);
        diagnostics.append(&mut found);
    }
    Checked { sources, designs, plans, diagnostics }
}

fn facts(library: &Library) -> Facts {
    let mut facts = Facts::default();
    for entry in &library.datasets {
        let defaults = Bound::defaults(&entry.spec);
        let dataset: Box<dyn Dataset> = build(&library.datasets, &defaults);
        let mut known = dataset.facts(Path::new("/nonexistent"));
        known.absent = None;
        facts.datasets.insert(entry.spec.name.to_owned(), known);
    }
    facts
}
