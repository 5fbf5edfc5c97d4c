//! `check --fix`: what has one sure mend is mended.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::workspace::{Workspace, read};
use super::{Target, prompt};
use crate::diag::{Diagnostic, Sources, mend};
use crate::library::Library;
use crate::store;

/// Mends that wait for others are made in the next round; more rounds than any file needs.
const MOST_ROUNDS: usize = 16;

/// Texts that mends have changed.
#[derive(Default)]
pub struct Changes {
    /// Each with what the file held before, and what it is to hold.
    files: BTreeMap<PathBuf, (String, String)>,
    /// What was mended, a line each.
    done: Vec<String>,
    /// Texts that were mended already: two mends that undo each other come to an end.
    seen: BTreeSet<String>,
}

impl Changes {
    /// Works out `target` with every mend made, on top of those of `self`, and keeps them in mind.
    pub fn mend(&mut self, library: &Library, target: &Target) -> Workspace {
        let mut workspace = self.open(library, target);
        for _ in 0..MOST_ROUNDS {
            let Workspace { sources, diagnostics, .. } = &workspace;
            let mended = mend(sources, diagnostics);
            let is_known = |text| self.seen.contains(text);
            if mended.done.is_empty() || mended.texts.values().any(is_known) {
                break;
            }
            let before = mended.texts.keys().map(|file| sources.get(*file).text.clone());
            self.seen.extend(before);
            self.done.extend(mended.done.iter().map(|at| line(sources, &diagnostics[*at])));
            for (file, text) in mended.texts {
                let source = sources.get(file);
                let before = || (source.text.clone(), String::new());
                self.files.entry(PathBuf::from(&source.name)).or_insert_with(before).1 = text;
            }
            workspace = self.open(library, target);
        }
        workspace
    }

    fn open(&self, library: &Library, target: &Target) -> Workspace {
        Workspace::open_through(library, target, &|path| match self.files.get(path) {
            Some((_, text)) => Ok(text.as_bytes().to_vec()),
            None => read(path),
        })
    }

    /// The changes as a unified diff.
    pub fn diff(&self) -> String {
        let diff = |(path, (before, after)): (&PathBuf, &(String, String))| {
            let name = path.display().to_string();
            let lines = similar::TextDiff::from_lines(before.as_str(), after.as_str());
            lines.unified_diff().header(&name, &name).to_string()
        };
        self.files.iter().map(diff).collect()
    }

    /// Writes the files and tells what was mended; whether all could be written.
    pub fn write(&self, tell: impl Fn(&str)) -> bool {
        let mut is_written = true;
        for (path, (before, after)) in &self.files {
            if let Err(error) = replace(path, before, after) {
                prompt::eprint(&format!("{} is left as it is: {error}\n", path.display()));
                is_written = false;
            }
        }
        if is_written {
            self.done.iter().for_each(|line| tell(line));
        }
        is_written
    }
}

/// `a.exp:4: mended B0102: …`
fn line(sources: &Sources, diagnostic: &Diagnostic) -> String {
    let span = diagnostic.fixes[0].span;
    let (name, line) = (&sources.get(span.file).name, sources.line(span));
    format!("{name}:{line}: mended {}: {}\n", diagnostic.code.number, diagnostic.message)
}

/// Puts a new text in the place of the one that was checked, in one step.
fn replace(path: &Path, before: &str, after: &str) -> io::Result<()> {
    // Behind a link the file is replaced, not the link.
    let path = std::fs::canonicalize(path)?;
    if std::fs::read(&path)? != before.as_bytes() {
        return Err(io::Error::other("it has changed since it was checked"));
    }
    let permissions = std::fs::metadata(&path)?.permissions();
    store::write(&path, after.as_bytes())?;
    std::fs::set_permissions(&path, permissions)
}
