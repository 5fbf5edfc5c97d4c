//! A place to run experiments: a store of its own, files from text, and observers that interrupt.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use balance::catalog::Facts;
use balance::diag::Sources;
use balance::library::Library;
use balance::plan::{Plan, check};
use balance::resolve::{Design, Options, load, resolve};
use balance::run::{Division, Event, Observer, Outcome, Session, Surroundings, run_beside};
use balance::store::Store;
use candle_core::Device;
use tempfile::TempDir;

/// A folder with a store and a file, both gone when it is dropped.
pub struct Lab {
    folder: TempDir,
    pub library: Library,
}

impl Lab {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), library: Library::standard() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// Writes a file and gives its path.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder");
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    }

    /// The only plan of `text`.
    pub fn plan(&self, text: &str) -> Plan {
        let mut plans = self.plans(text);
        assert_eq!(plans.len(), 1, "{text}");
        plans.remove(0)
    }

    pub fn plans(&self, text: &str) -> Vec<Plan> {
        let mut sources = Sources::default();
        let reader = |_: &Path| Ok(text.as_bytes().to_vec());
        let (program, mut found) = load(Path::new("lab.exp"), &mut sources, &reader);
        let (designs, more) = resolve(&program, &self.library.catalog(), &Options::default());
        found.extend(more);
        let facts = facts(&self.library, &designs, self.folder.path());
        let mut plans = Vec::new();
        for design in &designs {
            let (plan, more) = check(design, &facts, None);
            plans.extend(plan);
            found.extend(more);
        }
        assert!(!balance::diag::has_errors(&found), "{found:#?}");
        plans
    }

    /// Runs `plan` to its end, or to where `observer` stops it.
    pub fn run(&self, plan: &Plan, watch: &mut Watch) -> Outcome {
        self.run_divided(plan, watch, Division::undivided())
    }

    /// The same with the cores divided.
    pub fn run_divided(&self, plan: &Plan, watch: &mut Watch, division: Division) -> Outcome {
        let (store, stop) = (Store::new(self.store()), AtomicBool::new(false));
        let looks = AtomicUsize::new(0);
        // Every look at the clock takes half a second: a checkpoint after every few steps.
        let clock = || 1.0e9 + 0.5 * looks.fetch_add(1, Ordering::Relaxed) as f64;
        let around = Surroundings {
            library: &self.library,
            store: &store,
            data_root: self.folder.path(),
            device: &Device::Cpu,
            device_name: "cpu",
            stop: &stop,
            halt: None,
            clock: &clock,
        };
        let mut interrupting = Interrupting { watch, stop: &stop };
        run_beside(&mut Session::new(around, &mut interrupting), plan, division)
    }

    /// Runs every design of `text`; nothing may fail.
    pub fn complete(&self, text: &str) -> Vec<Outcome> {
        let run = |plan| {
            let outcome = self.run(plan, &mut Watch::default());
            assert_eq!(outcome.failures(), 0, "{:?}", outcome.trials);
            outcome
        };
        self.plans(text).iter().map(run).collect()
    }

    /// The bytes of every result, log and checkpoint in the store, by path; not where and when they
    /// were made.
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        contents(&self.store())
    }

    /// The folder of the only training called `name`.
    pub fn stage(&self, name: &str) -> PathBuf {
        let found: Vec<_> = folders(&self.store().join("stages"))
            .into_iter()
            .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(name))
            .collect();
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        found[0].clone()
    }

    /// The program with this lab's store and data.
    pub fn balance(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_balance"));
        command.args(arguments).current_dir(self.folder.path());
        command.env("BALANCE_STORE", self.store()).env("BALANCE_DATA", self.path("data"));
        command.env("LC_ALL", "C.UTF-8").env_remove("RUST_BACKTRACE").stdin(Stdio::null());
        command
    }

    /// What the program says and its exit code.
    pub fn say(&self, arguments: &[&str]) -> Said {
        Said::of(self.balance(arguments).output().expect("the program starts"))
    }
}

/// What is known of every dataset, and of the data that `designs` ask for.
pub fn facts(library: &Library, designs: &[Design], root: &Path) -> Facts {
    let stages = designs.iter().flat_map(|it| &it.cells).flat_map(|it| &it.experiment.stages);
    let mut facts = library.facts(root, |_| true);
    let calls = stages.map(|stage| &stage.data.bound);
    facts.calls = library.facts_of(calls, root).calls;
    facts
}

/// The folders in `path`, by name.
pub fn folders(path: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        fs::read_dir(path).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

pub fn contents(store: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut contents = BTreeMap::new();
    for kind in ["stages", "evaluations"] {
        for folder in folders(&store.join(kind)) {
            for file in folders(&folder) {
                let name = file.strip_prefix(store).unwrap().display().to_string();
                if !name.ends_with("machine.json") && !name.ends_with("lock") {
                    contents.insert(name, fs::read(file).unwrap());
                }
            }
        }
    }
    contents
}

/// Fails with the name of the file that differs, not with its bytes.
pub fn assert_same(a: &BTreeMap<String, Vec<u8>>, b: &BTreeMap<String, Vec<u8>>) {
    assert!(!a.is_empty());
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, bytes) in a {
        assert!(bytes == &b[name], "{name} differs");
    }
}

/// What a program said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Waits for the end of a program whose output is piped.
    pub fn at_end(mut child: Child) -> Self {
        let mut said = Self { code: None, out: String::new(), err: String::new() };
        child.stdout.take().expect("piped").read_to_string(&mut said.out).expect("text");
        child.stderr.take().expect("piped").read_to_string(&mut said.err).expect("text");
        said.code = child.wait().expect("an end").code();
        said
    }

    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }
}

/// What to do when something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    GoOn,
    Stop,
    /// As a kill would: nothing is done any more.
    Die,
}

type Reaction<'a> = Box<dyn FnMut(&Event) -> Act + Send + 'a>;

/// Counts what happens, and acts on it.
pub struct Watch<'a> {
    pub trained: Vec<String>,
    pub evaluated: Vec<String>,
    pub steps: Vec<usize>,
    pub failures: Vec<String>,
    react: Reaction<'a>,
}

impl Default for Watch<'_> {
    fn default() -> Self {
        Self::reacting(|_| Act::GoOn)
    }
}

impl<'a> Watch<'a> {
    pub fn reacting(react: impl FnMut(&Event) -> Act + Send + 'a) -> Self {
        let (trained, evaluated) = (Vec::new(), Vec::new());
        let (steps, failures) = (Vec::new(), Vec::new());
        Self { trained, evaluated, steps, failures, react: Box::new(react) }
    }

    /// Acts at a step.
    pub fn at_step(wanted: usize, act: Act) -> Self {
        Self::reacting(move |event| match event {
            Event::Step { step, .. } if *step == wanted => act,
            _ => Act::GoOn,
        })
    }
}

struct Interrupting<'a, 'b> {
    watch: &'a mut Watch<'b>,
    stop: &'a AtomicBool,
}

impl Observer for Interrupting<'_, '_> {
    fn observe(&mut self, event: Event) {
        match &event {
            Event::StageBegins { stage, .. } => self.watch.trained.push(stage.name.clone()),
            Event::Step { step, .. } => self.watch.steps.push(*step),
            Event::EvaluationBegins { evaluation, .. } => {
                self.watch.evaluated.push(evaluation.name.clone());
            }
            Event::Failed { name, message, help, .. } => {
                let help = help.unwrap_or_default();
                self.watch.failures.push(format!("{name}: {message} | {help}"));
            }
            _ => {}
        }
        match (self.watch.react)(&event) {
            Act::GoOn => {}
            Act::Stop => self.stop.store(true, Ordering::Relaxed),
            // Without the message of a panic.
            Act::Die => std::panic::resume_unwind(Box::new("killed")),
        }
    }
}

/// Runs `f`, which may die.
pub fn survive<T>(f: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).ok()
}
