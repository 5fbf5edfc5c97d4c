//! What the language makes of each `.exp` file under `tests/golden`, kept beside it.
//!
//! A case is a pair of files and no code. `UPDATE_EXPECT=1 cargo test --release golden` writes what
//! is found, to be read before it is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use balance::diag::{ALL, Diagnostic, Source, Sources, has_errors};
use balance::report::diagnostics::{Checked, github, json, sarif};
use balance::syntax;
use expect_test::expect_file;

use crate::worked::{Asked, Worked, mended, work};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The `.exp` files of a folder, in order.
fn cases(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|it| it == "exp")).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no case in {folder}");
    paths
}

/// A case worked out as the comments at its top ask.
fn worked(case: &Path) -> Worked {
    let folder = case.parent().unwrap();
    let name = case.file_name().unwrap().to_str().unwrap();
    let asked = Asked::of(&String::from_utf8_lossy(&fs::read(case).unwrap()));
    work(name, &|path| fs::read(folder.join(path)), &asked)
}

#[test]
fn golden_syntax() {
    for case in cases("syntax") {
        let text = fs::read_to_string(&case).unwrap();
        let mut sources = Sources::default();
        let file = sources.add(Source { name: "case.exp".into(), text: text.clone() });
        let (tree, diagnostics) = syntax::parse(file, &text);
        assert!(diagnostics.is_empty(), "{}: {diagnostics:?}", case.display());
        expect_file![case.with_extension("ast")].assert_eq(&syntax::print(&tree));
    }
}

#[test]
fn golden_plans() {
    for case in cases("plan") {
        let worked = worked(&case);
        assert!(!has_errors(&worked.diagnostics), "{}\n{}", case.display(), worked.rendered());
        let plans: Vec<String> = worked.plans.iter().map(ToString::to_string).collect();
        // Warnings and notes are part of what a user sees of a sound file.
        let parts = [plans, vec![worked.rendered()]].concat();
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        expect_file![case.with_extension("plan")].assert_eq(&parts.join("\n"));
    }
}

#[test]
fn golden_errors() {
    let mut misnamed = Vec::new();
    for case in cases("errors") {
        let worked = worked(&case);
        let name = case.file_stem().unwrap().to_str().unwrap();
        let code = ALL.iter().find(|code| name.starts_with(&format!("{}__", code.name)));
        let codes = worked.codes();
        let fits = code.map_or(name.starts_with("several__"), |it| codes.contains(&it.number));
        misnamed.extend((!fits).then(|| format!("{name} has {codes:?}")));
        expect_file![case.with_extension("stderr")].assert_eq(&worked.rendered());
    }
    assert!(misnamed.is_empty(), "{misnamed:#?}");
}

#[test]
fn golden_fixes() {
    for case in cases("fix") {
        let folder = case.parent().unwrap();
        let (text, left) = mended(folder, &fs::read_to_string(&case).unwrap());
        expect_file![case.with_extension("fixed")].assert_eq(&text);
        let is_mended = left.diagnostics.is_empty();
        assert_eq!(is_mended, !case.ends_with("left_alone.exp"), "{}", left.rendered());
    }
}

#[test]
fn golden_formats() {
    for case in cases("told") {
        let worked = worked(&case);
        let path = case.file_name().unwrap().to_str().unwrap();
        let Worked { sources, diagnostics, .. } = &worked;
        let checked = [Checked { path, sources, diagnostics }];
        expect_file![case.with_extension("json")].assert_eq(&json(&checked));
        expect_file![case.with_extension("github")].assert_eq(&github(&checked));
        // The version of the program is no part of the format.
        let version = format!("\"{}\"", env!("CARGO_PKG_VERSION"));
        let log = sarif(&checked).replace(&version, "\"VERSION\"");
        expect_file![case.with_extension("sarif")].assert_eq(&log);
    }
}

/// Labels are not wrapped, so they are short; what the user wrote is as wide as it is.
#[test]
fn golden_errors_are_no_wider_than_a_page() {
    const WIDTH: usize = 88;
    let mut wide = Vec::new();
    for case in cases("errors") {
        let shown = fs::read_to_string(case.with_extension("stderr")).unwrap();
        let widest = |line: &str| match line.split_once("╰── ") {
            // Where the label stands is the user's matter.
            Some((_, label)) => label.chars().count() > LONGEST_LABEL,
            None => !is_of_a_file(line) && line.chars().count() > WIDTH,
        };
        let lines = shown.lines().filter(|line| widest(line));
        wide.extend(lines.map(|line| format!("{}\n{line}", case.display())));
    }
    assert!(wide.is_empty(), "{}", wide.join("\n"));
}

/// A label wider than this does not fit beside its place.
const LONGEST_LABEL: usize = 72;

/// Whether a line shows, or marks, what stands in a file.
fn is_of_a_file(line: &str) -> bool {
    let line = line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
    line.starts_with(['│', '·', '╭']) || line.starts_with("× `")
}

#[test]
fn every_code_has_a_golden() {
    let cases = cases("errors");
    let names: Vec<_> = cases.iter().map(|it| it.file_stem().unwrap().to_str().unwrap()).collect();
    for code in ALL {
        let prefix = format!("{}__", code.name);
        let found = names.iter().any(|name| name.starts_with(&prefix));
        assert!(found, "no golden file {prefix}….exp for {}", code.number);
    }
}

/// A file without its case is a case that was lost.
#[test]
fn no_golden_is_left_over() {
    for (folder, extension) in [
        ("syntax", "ast"),
        ("plan", "plan"),
        ("errors", "stderr"),
        ("fix", "fixed"),
        ("told", "json"),
        ("told", "github"),
        ("told", "sarif"),
    ] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|it| it == extension) {
                assert!(path.with_extension("exp").exists(), "{} has no case", path.display());
            }
        }
    }
}

/// Each case of a mistake is there for a reason that no other gives in the same words.
#[test]
fn no_two_golden_errors_say_the_same() {
    let mut known: BTreeMap<BTreeSet<String>, PathBuf> = BTreeMap::new();
    for case in cases("errors") {
        let told = worked(&case).diagnostics.iter().map(reason).collect();
        if let Some(other) = known.insert(told, case.clone()) {
            panic!("{} and {} say the same", other.display(), case.display());
        }
    }
    assert!(known.len() >= 150, "{} bad files", known.len());
}

/// A diagnostic in its words, wherever it points.
fn reason(diagnostic: &Diagnostic) -> String {
    let labels: Vec<&str> = diagnostic.labels.iter().map(|(_, text)| text.as_str()).collect();
    format!("{} {} | {}", diagnostic.code.number, diagnostic.message, labels.join(" | "))
}

/// Sound files of every kind, all of which some test works out.
#[test]
fn there_are_many_sound_files() {
    let count = |folder: &str| cases(folder).len();
    let sound = count("syntax") + count("plan") + count("format");
    assert!(sound >= 60, "{sound} good files");
}
