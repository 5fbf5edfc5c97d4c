//! `check --fix`: what has one sure mend is mended.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::workspace::{Workspace, read};
use super::{Target, prompt};
use crate::diag::{Diagnostic, Mending, Source, Sources};
use crate::library::Library;
use crate::store;
use crate::syntax;

/// Mends that wait for others are made in the next round; more rounds than any file needs.
const MOST_ROUNDS: usize = 16;

/// A file that mends have changed.
#[derive(Clone)]
struct Changed {
    /// What it is called where it was found first.
    name: PathBuf,
    before: String,
    after: String,
}

/// Texts that mends have changed.
#[derive(Default)]
pub struct Changes {
    /// By the path that is the same for all names of a file.
    files: BTreeMap<PathBuf, Changed>,
    /// What was mended, a line each.
    done: Vec<String>,
}

impl Changes {
    /// Works out `target` with every mend made, on top of those of `self`, and keeps them in mind.
    pub fn mend(&mut self, library: &Library, target: &Target) -> Workspace {
        let mut workspace = self.open(library, target);
        let mut mending = Mending::new(&syntax::readable);
        for _ in 0..MOST_ROUNDS {
            let Workspace { sources, diagnostics, .. } = &workspace;
            let Some(round) = mending.next(sources, diagnostics) else { break };
            let files = self.files.clone();
            for (file, text) in &round.texts {
                self.change(sources.get(*file), text.clone());
            }
            let next = self.open(library, target);
            if mending.helped(&round, &next.sources, &next.diagnostics) {
                self.done.extend(round.done.iter().map(|it| line(sources, it)));
                workspace = next;
            } else {
                self.files = files;
            }
        }
        workspace
    }

    fn change(&mut self, source: &Source, text: String) {
        let name = PathBuf::from(&source.name);
        let before = source.text.clone();
        let changed = || Changed { name: name.clone(), before, after: String::new() };
        self.files.entry(same(&name)).or_insert_with(changed).after = text;
    }

    fn open(&self, library: &Library, target: &Target) -> Workspace {
        Workspace::open_through(library, target, &|path| match self.files.get(&same(path)) {
            Some(changed) => Ok(changed.after.as_bytes().to_vec()),
            None => read(path),
        })
    }

    /// The changes as a unified diff.
    pub fn diff(&self) -> String {
        let diff = |it: &Changed| {
            let name = it.name.display().to_string();
            let lines = similar::TextDiff::from_lines(it.before.as_str(), it.after.as_str());
            lines.unified_diff().header(&name, &name).to_string()
        };
        self.files.values().map(diff).collect()
    }

    /// Writes the files and tells what was mended; whether all could be written.
    pub fn write(&self, tell: impl Fn(&str)) -> bool {
        let mut is_written = true;
        for (path, Changed { name, before, after }) in &self.files {
            if let Err(error) = replace(path, before, after) {
                prompt::eprint(&format!("{} is left as it is: {error}\n", name.display()));
                is_written = false;
            }
        }
        if is_written {
            self.done.iter().for_each(|line| tell(line));
        }
        is_written
    }
}

/// The path of a file whatever it is called: behind a link the file is changed, not the link.
fn same(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// `a.exp:4: mended B0102: …`
fn line(sources: &Sources, diagnostic: &Diagnostic) -> String {
    let span = diagnostic.fixes[0].span;
    let (name, line) = (&sources.get(span.file).name, sources.line(span));
    format!("{name}:{line}: mended {}: {}\n", diagnostic.code.number, diagnostic.message)
}

/// Puts a new text in the place of the one that was checked, in one step.
fn replace(path: &Path, before: &str, after: &str) -> io::Result<()> {
    if std::fs::read(path)? != before.as_bytes() {
        return Err(io::Error::other("it has changed since it was checked"));
    }
    let permissions = std::fs::metadata(path)?.permissions();
    store::write(path, after.as_bytes())?;
    std::fs::set_permissions(path, permissions)
}
