//! What `explain`, `show`, `diff` and `graph` say of the cases under `tests/golden`.
//!
//! A case begins with the command it stands for, `# $ balance …`, run in its folder; what the
//! command prints is kept beside it. `UPDATE_EXPECT=1 cargo test --release tools` writes it anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use expect_test::expect_file;

const FOLDERS: &[&str] = &["explain", "show"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The cases of a folder with the arguments they stand for; files without any are read by others.
fn cases(folder: &str) -> Vec<(PathBuf, Vec<String>)> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let exp = paths.filter(|path| path.extension().is_some_and(|it| it == "exp"));
    let case = |path: PathBuf| Some((arguments(&fs::read_to_string(&path).unwrap())?, path));
    let mut cases: Vec<_> = exp.filter_map(case).map(|(words, path)| (path, words)).collect();
    cases.sort();
    assert!(!cases.is_empty(), "no case in {folder}");
    cases
}

fn arguments(text: &str) -> Option<Vec<String>> {
    let line = text.lines().next()?.strip_prefix("# $ balance ")?;
    Some(line.split(' ').map(str::to_owned).collect())
}

/// What kind of text a command prints.
fn extension(arguments: &[String]) -> &'static str {
    let format = arguments.iter().position(|it| it == "--format").map(|at| &*arguments[at + 1]);
    match (arguments[0].as_str(), format) {
        ("graph", Some("dot")) => "dot",
        ("graph", Some("mermaid")) => "mmd",
        ("graph", _) => "svg",
        (_, Some("json")) => "json",
        _ => "out",
    }
}

/// Standard output; standard error too, and the exit code, where that is not 0.
fn said(case: &Path, arguments: &[String]) -> String {
    let nowhere = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_balance"))
        .args(arguments)
        .current_dir(case.parent().unwrap())
        .env("BALANCE_DATA", nowhere.path())
        .env("BALANCE_STORE", nowhere.path())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    match output.status.code() {
        Some(0) => text(output.stdout),
        code => {
            let code = code.map_or("by a signal".to_owned(), |code| code.to_string());
            format!("{}{}exit {code}\n", text(output.stdout), text(output.stderr))
        }
    }
}

#[test]
fn commands_print_what_their_goldens_say() {
    for folder in FOLDERS {
        for (case, arguments) in cases(folder) {
            assert_eq!(arguments[0], *folder, "{}", case.display());
            let expected = case.with_extension(extension(&arguments));
            expect_file![expected].assert_eq(&said(&case, &arguments));
        }
    }
}

/// A file without its case is a case that was lost.
#[test]
fn no_golden_is_left_over() {
    for folder in FOLDERS {
        let kept: Vec<PathBuf> = cases(folder)
            .into_iter()
            .flat_map(|(case, words)| [case.with_extension(extension(&words)), case])
            .collect();
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let is_read = path.extension().is_some_and(|it| it == "exp") || path.is_dir();
            assert!(is_read || kept.contains(&path), "{} has no case", path.display());
        }
    }
}
