//! What `explain`, `show`, `diff` and `graph` say of the cases under `tests/golden`.
//!
//! A case begins with the command it stands for, `# $ balance …`, run in its folder; what the
//! command prints is kept beside it. `UPDATE_EXPECT=1 cargo test --release tools` writes it anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use expect_test::expect_file;

use crate::lab::Lab;

const FOLDERS: &[&str] = &["diff", "explain", "graph", "show"];

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

const TEXT: &str = r#"
edition 1
experiment short {
  data = digits(train=64 samples)
  encoder = mlp(widths=[16], out=16)
  loss { class = cross_entropy() }
  train { optimizer = adamw(lr=1e-3); batch = 64; for = 2 steps }
  eval { near = knn(labels=fine) }
}
"#;

#[test]
fn a_file_is_compared_with_its_run() {
    let lab = Lab::new();
    let file = lab.file("a.exp", TEXT);
    let said = lab.say(&["diff", &file, "--run"]).ended(2);
    assert!(said.err.contains("`short` has no finished run in the store"), "{said:?}");
    lab.say(&["run", &file]).ended(0);
    let said = lab.say(&["diff", &file, "--run"]).ended(0);
    assert_eq!(said.out, "no difference that changes results\n");
    lab.file("a.exp", &TEXT.replace("2 steps", "3 steps"));
    let said = lab.say(&["diff", &file, "--run", "--exit-code"]).ended(10);
    assert!(said.out.contains("train.steps    2 → 3"), "{said:?}");
    assert!(said.out.contains("stale: main 1 of 1, near 1 of 1"), "{said:?}");
}

#[test]
fn a_file_is_compared_with_its_revision() {
    let lab = Lab::new();
    lab.file("lib.exp", "edition 1\nparam rate: positive = 1e-3\n");
    let import = "edition 1\nimport \"lib.exp\" as lib\n";
    let text = TEXT.replace("edition 1\n", import).replace("1e-3", "lib.rate");
    lab.file("a.exp", text.trim_start());
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
        let mut command = Command::new("git");
        command.args(identity).args(arguments).current_dir(lab.path(""));
        assert!(command.output().unwrap().status.success(), "{arguments:?}");
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "first"]);
    lab.file("lib.exp", "edition 1\nparam rate: positive = 2e-3\n");
    let diff = |before: &str| {
        let mut command = lab.balance(&["diff", before, "a.exp"]);
        let output = command.current_dir(lab.path("")).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, out, _) = diff("HEAD:a.exp");
    assert_eq!(code, Some(0));
    assert!(out.starts_with("  rate                  1e-3 → 2e-3      lib.exp:2\n"), "{out}");
    assert!(out.contains("train.optimizer.lr    0.001 → 0.002    follows rate\n"), "{out}");
    let (code, _, err) = diff("HEAD:b.exp");
    assert_eq!(code, Some(1));
    assert!(err.contains("`b.exp` cannot be read") && err.contains("HEAD:b.exp"), "{err}");
    assert_eq!(diff("-x:a.exp").0, Some(2));
}

#[test]
fn a_plan_is_compared_with_the_file_it_was_of() {
    let lab = Lab::new();
    let file = lab.file("a.exp", TEXT);
    let plan = lab.say(&["plan", &file, "--json"]).ended(0).out;
    let plan = lab.file("plan.json", &plan);
    let said = lab.say(&["diff", &plan, &file]).ended(0);
    assert_eq!(said.out, "no difference that changes results\n");
    let damaged = lab.file("damaged.json", "{");
    assert!(lab.say(&["diff", &damaged, &file]).ended(1).err.contains("as a plan"));
    lab.say(&["diff", &lab.file("other.json", "{}"), &file]).ended(1);
}

#[test]
fn a_picture_is_of_one_design() {
    let lab = Lab::new();
    let file = lab.file("a.exp", &format!("{TEXT}experiment other extends short {{ }}\n"));
    let said = lab.say(&["graph", &file]).ended(2);
    assert!(said.err.contains("name one") && said.err.contains("short, other"), "{said:?}");
    let (picture, one) = (lab.path("a.svg"), format!("{file}:other"));
    lab.say(&["graph", &one, "--out", &picture.display().to_string()]).ended(0);
    assert_eq!(fs::read_to_string(picture).unwrap(), lab.say(&["graph", &one]).ended(0).out);
}

#[test]
fn a_search_has_no_plan() {
    let lab = Lab::new();
    let search = "search t of short {\n  maximize = val.near.accuracy\n  \
                  space { train.batch = [32, 64] }\n  method = grid()\n}\n";
    let file = lab.file("a.exp", &format!("{TEXT}{search}"));
    let one = format!("{file}:t");
    let ran = lab.say(&["run", &one]).ended(1);
    assert!(ran.err.contains("B0590") && ran.err.contains("no plan"), "{ran:?}");
    for words in [&["graph", &one][..], &["diff", &one, &file]] {
        assert!(lab.say(words).ended(1).err.contains("`t` is a search, which has no plan"));
    }
    let planned = lab.say(&["plan", &one]).ended(0).out;
    assert!(planned.contains("a search") && planned == lab.say(&["show", &one]).ended(0).out);
}
