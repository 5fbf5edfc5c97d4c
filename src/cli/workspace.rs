//! A command's file worked out: read, resolved, checked and planned, with what is known here.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::device::is_on_card;
use super::format::{Deny, Format};
use super::machine::{disk_free, memory, speed};
use super::{Places, Target, exit, prompt};
use crate::catalog::{Catalog, Facts, MachineFacts, WeightsFacts};
use crate::diag::{Diagnostic, Severity, Source, Sources, codes, has_errors, require_data};
use crate::digest::blake3;
use crate::library::Library;
use crate::plan::theory::theory_notes;
use crate::plan::{Origin, OriginFile, Plan, check, disk};
use crate::report::diagnostics::Checked;
use crate::resolve::{
    Bounds, Design, Kept, MOST_BYTES, Options, Program, Reader, Search, allow, load_within,
    resolve, searches, seeds_as_field, too_large, unsaid, unused,
};
use crate::store::Store;
use crate::syntax::parse_assignment;

/// A file worked out as far as it goes.
pub struct Workspace {
    pub sources: Sources,
    pub program: Program,
    pub options: Options,
    /// What the file declares; each has its plan only when nothing is wrong.
    pub designs: Vec<Design>,
    pub plans: Vec<Plan>,
    /// Checked, and not run.
    pub searches: Vec<Search>,
    pub diagnostics: Vec<Diagnostic>,
    /// How the diagnostics are told.
    pub format: Format,
    /// Whether warnings stop as errors do.
    pub deny: Option<Deny>,
}

impl Workspace {
    /// Works out `target`, with every problem found on the way.
    pub fn open(library: &Library, target: &Target) -> Self {
        Self::open_through(library, target, &read)
    }

    /// The same with files that `reader` reads.
    pub fn open_through(library: &Library, target: &Target, reader: Reader) -> Self {
        let mut sources = Sources::default();
        let (path, only) = split_target(&target.file);
        let bounds = bounds(&target.places, &path);
        let (program, mut diagnostics) = load_within(&bounds, &path, &mut sources, reader);
        let (options, mut found) = options(target, only, &mut sources);
        diagnostics.append(&mut found);
        let (mut plans, mut designs, mut found_searches) = (Vec::new(), Vec::new(), Vec::new());
        if program.root().is_some() {
            let mut facts = facts(library, &target.places, &sources);
            let catalog = library.catalog().knowing(&facts);
            let mut found;
            (designs, found) = resolve(&program, &catalog, &options);
            diagnostics.append(&mut found);
            facts.calls = asked(library, &designs, &target.places).calls;
            // What is wrong with them was said above.
            (found_searches, _) = searches(&program, &catalog, &options);
            let root = store(&target.places, &target.file).root().to_owned();
            facts.machine = machine(&designs, &root);
            facts.weights = weights(&designs);
            let origin = origin(&sources, &path, &target.set);
            let is_sound = !has_errors(&diagnostics);
            for design in &designs {
                let (plan, mut found) = checked(design, &mut facts, target.limit);
                found.extend(plan.as_ref().and_then(|plan| over_disk(design, plan, &root)));
                if target.theory && is_sound && plan.is_some() {
                    found.extend(theory_notes(design, &facts));
                }
                let plan = plan.filter(|_| is_sound);
                plans.extend(plan.map(|plan| Plan { source: origin.clone(), ..plan }));
                // A plan of what was mended by guess says nothing of the file.
                found.retain(|it| is_sound || it.is_error());
                diagnostics.append(&mut found);
            }
            if target.all {
                let around = (library, &target.places);
                diagnostics.extend(of_unused(
                    around,
                    &program,
                    &catalog,
                    &options,
                    &facts,
                    &diagnostics,
                ));
            }
        }
        let diagnostics = allow(&program, &sources, &options, diagnostics);
        let (format, deny, searches) = (Format::default(), None, found_searches);
        Self { sources, program, options, designs, plans, searches, diagnostics, format, deny }
    }

    /// Shows the diagnostics; gives the exit code when some of them stop the command.
    pub fn report(&self) -> Option<u8> {
        match self.format {
            Format::Human => prompt::diagnose(&self.sources, &self.diagnostics),
            _ if self.diagnostics.is_empty() => {}
            format => prompt::eprint(&format.text(&[self.checked("")])),
        }
        self.failure()
    }

    /// The exit code when some of the diagnostics stop the command.
    pub fn failure(&self) -> Option<u8> {
        let is_warning = |it: &Diagnostic| it.code.severity == Severity::Warning;
        let is_denied = self.deny.is_some() && self.diagnostics.iter().any(is_warning);
        (is_denied || has_errors(&self.diagnostics)).then_some(exit::DIAGNOSTICS)
    }

    /// What was found, as the file `path`.
    pub fn checked<'a>(&'a self, path: &'a str) -> Checked<'a> {
        Checked { path, sources: &self.sources, diagnostics: &self.diagnostics }
    }

    /// Shows the diagnostics only when some of them are errors; gives the exit code then.
    pub fn report_errors(&self) -> Option<u8> {
        has_errors(&self.diagnostics).then(|| self.report()).flatten()
    }

    /// Says that a search has no plan; gives the exit code when there is nothing else.
    pub fn report_no_plan(&self) -> Option<u8> {
        let search = self.searches.first().filter(|_| self.plans.is_empty())?;
        let name = &search.name;
        prompt::eprint(&format!("`{name}` is a search, which has no plan in this version\n"));
        Some(exit::DIAGNOSTICS)
    }

    /// The searches, as they stand below the plans.
    pub fn listed_searches(&self) -> String {
        let gap = if self.plans.is_empty() { "" } else { "\n" };
        self.searches.iter().map(|search| format!("{gap}{search}")).collect()
    }

    /// What was only a warning before is an error for a command that needs the data.
    pub fn require_data(&mut self) {
        require_data(&mut self.diagnostics);
    }
}

/// What is wrong with the experiments that would not be run, besides what is `known`.
fn of_unused(
    (library, places): (&Library, &Places),
    program: &Program,
    catalog: &Catalog,
    options: &Options,
    facts: &Facts,
    known: &[Diagnostic],
) -> Vec<Diagnostic> {
    let (designs, mut found) = unused(program, catalog, options, known);
    if !has_errors(known) && !has_errors(&found) {
        let mut facts = Facts { weights: weights(&designs), ..facts.clone() };
        facts.calls.extend(asked(library, &designs, places).calls);
        let planned = designs.iter().flat_map(|design| check(design, &facts, None).1).collect();
        found.extend(unsaid(known, planned));
    }
    found
}

/// The bytes of a file, if it is not larger than an experiment can be.
pub fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    let size = file.metadata()?.len();
    if size > MOST_BYTES {
        return Err(too_large(size));
    }
    let mut bytes = Vec::with_capacity(size as usize + 1);
    // Not every file has the size it says: a device goes on for ever.
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Where `file` may import from: its project, and what the user allows.
fn bounds(places: &Places, file: &Path) -> Bounds {
    let here = std::env::current_dir().unwrap_or_default();
    let allowed = places.allow_import.iter().map(|folder| here.join(folder));
    let folders = [project(file)].into_iter().chain(allowed).collect();
    Bounds { here, folders }
}

/// What the command line changes and picks, and what is wrong with it.
fn options(
    target: &Target,
    only: Option<String>,
    sources: &mut Sources,
) -> (Options, Vec<Diagnostic>) {
    let mut options = Options { only, theory: target.theory, ..Options::default() };
    let mut diagnostics = Vec::new();
    for text in &target.set {
        let file = sources.add(Source { name: SET.into(), text: text.clone() });
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

/// What is known of every dataset that `sources` could mean.
fn facts(library: &Library, places: &Places, sources: &Sources) -> Facts {
    let is_asked = |name: &str| sources.iter().any(|source| source.text.contains(name));
    fetched_to(library.facts(&data_root(places), is_asked), places)
}

/// What is known of the data that `designs` ask for.
fn asked(library: &Library, designs: &[Design], places: &Places) -> Facts {
    let stages = designs.iter().flat_map(|it| &it.cells).flat_map(|it| &it.experiment.stages);
    let calls = stages.map(|stage| &stage.data.bound);
    fetched_to(library.facts_of(calls, &data_root(places)), places)
}

/// The command that is advised has to bring the data to where they were looked for.
fn fetched_to(mut facts: Facts, places: &Places) -> Facts {
    let Some(folder) = &places.data else { return facts };
    let known = facts.datasets.values_mut().chain(facts.calls.values_mut());
    for how in known.filter_map(|known| known.absent.as_mut()) {
        if let Some(command) = how.strip_suffix('`') {
            *how = format!("{command} --data {}`", folder.display());
        }
    }
    facts
}

/// What plans were worked out from, wherever the project lies.
fn origin(sources: &Sources, root: &Path, set: &[String]) -> Origin {
    let folder = root.parent().unwrap_or(Path::new(""));
    let file = |source: &Source| {
        let path = Path::new(&source.name);
        let path = path.strip_prefix(folder).unwrap_or(path).display().to_string();
        OriginFile { path, blake3: blake3(source.text.as_bytes()) }
    };
    let files = sources.iter().filter(|source| source.name != SET);
    Origin { files: files.map(file).collect(), set: set.to_vec() }
}

/// The name of what the command line sets.
const SET: &str = "--set";

/// What is known of this machine, as far as `designs` ask.
fn machine(designs: &[Design], root: &Path) -> MachineFacts {
    let has_limit =
        designs.iter().flat_map(|it| &it.cells).any(|it| it.experiment.machine.limit.is_some());
    MachineFacts {
        memory: memory(),
        disk_free: None,
        flops_per_second: if has_limit { speed(root) } else { None },
    }
}

/// What is known of the files of weights that encoders of `designs` begin with.
fn weights(designs: &[Design]) -> BTreeMap<String, Result<WeightsFacts, String>> {
    let cells = designs.iter().flat_map(|design| &design.cells);
    let stages = cells.flat_map(|cell| &cell.experiment.stages);
    let paths: BTreeSet<&String> =
        stages.filter_map(|stage| stage.encoder.bound.weights()).map(|file| &file.path).collect();
    let known = |path: &String| {
        let found = crate::data::weights(Path::new(path));
        let facts = found.map(|it| WeightsFacts { digest: it.digest, tensors: it.tensors });
        (path.clone(), facts)
    };
    paths.into_iter().map(known).collect()
}

/// The plan of a design, and what is wrong with it. What holds more memory than the machine has may go
/// to a card, and `run` says if that has less.
fn checked(
    design: &Design,
    facts: &mut Facts,
    limit: Option<usize>,
) -> (Option<Plan>, Vec<Diagnostic>) {
    let (plan, found) = check(design, facts, limit);
    let is_short = found.iter().any(|it| it.code == &codes::MEMORY);
    let wish = design.cells.first().and_then(|cell| cell.experiment.machine.device);
    if !is_short || !is_on_card(wish) {
        return (plan, found);
    }
    let memory = facts.machine.memory.take();
    let checked = check(design, facts, limit);
    facts.machine.memory = memory;
    checked
}

/// Bytes of results for which it is worth a process to ask what is free.
const LARGE: u64 = 64 << 20;

/// Results that do not fit on the disk that `root` is on.
fn over_disk(design: &Design, plan: &Plan, root: &Path) -> Option<Diagnostic> {
    let is_large = plan.disk_bytes() > LARGE;
    disk(design, plan, is_large.then(|| disk_free(root)).flatten())
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
