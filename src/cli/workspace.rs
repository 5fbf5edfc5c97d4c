//! A command's file worked out: read, resolved, checked and planned, with what is known here.

use std::path::{Path, PathBuf};

use super::{Places, Target, exit, prompt};
use crate::catalog::{Bound, Facts};
use crate::diag::{Diagnostic, Source, Sources, codes, has_errors};
use crate::library::dataset::Dataset;
use crate::library::{self, Library};
use crate::plan::{Plan, check};
use crate::resolve::{Kept, Options, Search, load, resolve, searches, seeds_as_field};
use crate::store::Store;
use crate::syntax::parse_assignment;

/// A file worked out as far as it goes.
pub struct Workspace {
    pub sources: Sources,
    pub plans: Vec<Plan>,
    /// Checked, and not run.
    pub searches: Vec<Search>,
    pub diagnostics: Vec<Diagnostic>,
}

impl Workspace {
    /// Works out `target`, with every problem found on the way.
    pub fn open(library: &Library, target: &Target) -> Self {
        let mut sources = Sources::default();
        let (path, only) = split_target(&target.file);
        let reader = |path: &Path| std::fs::read(path);
        let (program, mut diagnostics) = load(&path, &mut sources, &reader);
        let (options, mut found) = options(target, only, &mut sources);
        diagnostics.append(&mut found);
        let (mut plans, mut found_searches) = (Vec::new(), Vec::new());
        if program.root().is_some() {
            let (designs, mut found) = resolve(&program, &library.catalog(), &options);
            diagnostics.append(&mut found);
            // What is wrong with them was said above.
            (found_searches, _) = searches(&program, &library.catalog(), &options);
            let facts = facts(library, &target.places);
            let is_sound = !has_errors(&diagnostics);
            for design in &designs {
                let (plan, mut found) = check(design, &facts, target.limit);
                plans.extend(plan.filter(|_| is_sound));
                diagnostics.append(&mut found);
            }
        }
        Self { sources, plans, searches: found_searches, diagnostics }
    }

    /// Shows the diagnostics; gives the exit code when some of them are errors.
    pub fn report(&self) -> Option<u8> {
        prompt::diagnose(&self.sources, &self.diagnostics);
        has_errors(&self.diagnostics).then_some(exit::DIAGNOSTICS)
    }

    /// What was only a warning before is an error for a command that needs the data.
    pub fn require_data(&mut self) {
        let missing = self.diagnostics.iter_mut().filter(|it| it.code == &codes::DATA);
        for diagnostic in missing {
            diagnostic.code = &codes::NO_DATA;
        }
    }
}

/// What the command line changes and picks, and what is wrong with it.
fn options(
    target: &Target,
    only: Option<String>,
    sources: &mut Sources,
) -> (Options, Vec<Diagnostic>) {
    let mut options = Options { only, ..Options::default() };
    let mut diagnostics = Vec::new();
    for text in &target.set {
        let file = sources.add(Source { name: "--set".into(), text: text.clone() });
        match parse_assignment(file, text) {
            Ok(field) => options.set.push(field),
            Err(mut errors) => diagnostics.append(&mut errors),
        }
    }
    for text in &target.only {
        let file = sources.add(Source { name: "--only".into(), text: text.clone() });
        match Kept::parse(file, text) {
            Ok(kept) => options.levels.push(kept),
            Err(error) => diagnostics.push(error),
        }
    }
    if let Some(text) = target.seeds.as_deref().map(seeds_as_field) {
        let file = sources.add(Source { name: "--seeds".into(), text: text.clone() });
        match parse_assignment(file, &text) {
            Ok(field) => options.seeds = Some(field),
            Err(mut errors) => diagnostics.append(&mut errors),
        }
    }
    (options, diagnostics)
}

/// `FILE:NAME` to the file and the name; a file whose own name has a colon wins.
fn split_target(text: &str) -> (PathBuf, Option<String>) {
    match text.rsplit_once(':') {
        Some((file, name))
            if !Path::new(text).exists() && !name.is_empty() && !name.contains('/') =>
        {
            (file.into(), Some(name.to_owned()))
        }
        _ => (text.into(), None),
    }
}

/// What is known of every dataset of the library, given the folder that holds all data.
fn facts(library: &Library, places: &Places) -> Facts {
    let mut facts = Facts::default();
    for entry in &library.datasets {
        let dataset: Box<dyn Dataset> =
            library::build(&library.datasets, &Bound::defaults(&entry.spec));
        let mut known = dataset.facts(&data_root(places));
        if let (Some(how), Some(folder)) = (&mut known.absent, &places.data) {
            // The command that is advised has to bring the data to where they were looked for.
            *how = match how.strip_suffix('`') {
                Some(command) => format!("{command} --data {}`", folder.display()),
                None => how.clone(),
            };
        }
        facts.datasets.insert(entry.spec.name.to_owned(), known);
    }
    facts
}

/// The folder datasets are in.
pub fn data_root(places: &Places) -> PathBuf {
    places.data.clone().unwrap_or_else(crate::data::data_root)
}

/// The store for the experiments of `file`: as told, or `.balance` in its project.
pub fn store(places: &Places, file: &str) -> Store {
    let told = places.store.clone().or_else(|| std::env::var_os("BALANCE_STORE").map(Into::into));
    Store::new(told.unwrap_or_else(|| project(&split_target(file).0).join(".balance")))
}

/// The nearest folder above `file` with a `balance.toml` or a `.git`, else the file's own.
fn project(file: &Path) -> PathBuf {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let own = file.parent().unwrap_or(Path::new(".")).to_owned();
    let is_project =
        |folder: &&Path| folder.join("balance.toml").exists() || folder.join(".git").exists();
    own.ancestors().find(is_project).map_or(own.clone(), Path::to_owned)
}
