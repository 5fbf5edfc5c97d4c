//! The share of one-character edits that are reported where they were made.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use balance::diag::{Diagnostic, Severity};
use balance::seed::Stream;

use crate::locality::Edit;
use crate::worked::{Asked, Worked, work};

/// What came of the edits.
#[derive(Default)]
pub struct Survey {
    files: usize,
    edits: u64,
    /// Those after which the file was wrong, and those of them that were reported in their place.
    pub wrong: u64,
    pub met: u64,
    /// The others, to be looked at.
    pub missed: Vec<String>,
}

impl fmt::Display for Survey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for missed in &self.missed {
            writeln!(f, "{missed}")?;
        }
        let share = 100.0 * self.share();
        let Self { files, edits, wrong, met, .. } = self;
        write!(
            f,
            "{edits} edits of {files} files: {wrong} made one wrong, {met} of them ({share:.1}%) were reported where they were made"
        )
    }
}

impl Survey {
    /// The share of edits that were reported where they were made.
    pub fn share(&self) -> f64 {
        self.met as f64 / self.wrong.max(1) as f64
    }
}

/// Makes `edits` edits of each experiment below `root` that is good.
pub fn survey(root: &Path, edits: u64) -> Survey {
    let mut survey = Survey::default();
    for (path, text) in good_files(root) {
        survey.files += 1;
        let run = Stream::new(8).named(path.file_name().unwrap().to_str().unwrap());
        for index in 0..edits {
            let edit = Edit::sample(&text, &run, index);
            survey.edits += 1;
            let after = edit.apply(&text);
            let worked = work_as(&path, &after);
            let Some(first) = first_error(&worked) else { continue };
            survey.wrong += 1;
            if edit.is_met_by(&text, first) {
                survey.met += 1;
            } else {
                survey.missed.push(describe(&path, &text, &edit, first, &after));
            }
        }
    }
    survey
}

fn good_files(root: &Path) -> Vec<(PathBuf, String)> {
    let folders = ["experiments", "tests/golden/plan", "tests/golden/plan/lib"];
    let entries = folders.iter().flat_map(|it| fs::read_dir(root.join(it)).unwrap());
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "exp"));
    paths.sort();
    let files = paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap()));
    files.filter(|(path, text)| first_error(&work_as(path, text)).is_none()).collect()
}

/// The first error a user sees; that nothing is to be run in a library is none.
fn first_error(worked: &Worked) -> Option<&Diagnostic> {
    let is_wrong =
        |it: &&Diagnostic| it.code.severity == Severity::Error && it.code.name != "nothing-to-run";
    worked.diagnostics.iter().find(is_wrong)
}

fn work_as(path: &Path, text: &str) -> Worked {
    let folder = path.parent().unwrap();
    let reader = |it: &Path| match it == Path::new("edited.exp") {
        true => Ok(text.as_bytes().to_vec()),
        false => fs::read(folder.join(it)),
    };
    let asked = Asked::of(&fs::read_to_string(path).unwrap());
    work("edited.exp", &reader, &asked)
}

fn describe(path: &Path, text: &str, edit: &Edit, first: &Diagnostic, after: &str) -> String {
    let line = |text: &str, at: usize| text[..at].matches('\n').count() + 1;
    let name = path.file_name().unwrap().to_string_lossy();
    let removed = &text[edit.at..edit.at + edit.removed];
    let place = first.labels.first().map_or(0, |(span, _)| span.range().start.min(after.len()));
    format!(
        "{name}:{}: {removed:?} became {:?}: {} in line {}",
        line(text, edit.at),
        edit.inserted,
        first.message,
        line(after, place)
    )
}
