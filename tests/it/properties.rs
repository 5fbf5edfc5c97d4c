//! What holds for every text: nothing panics, nothing runs away, and every diagnostic points into
//! its file.

use std::fs;
use std::path::{Path, PathBuf};

use balance::diag::{Diagnostic, Look, Sources, render};
use balance::report::diagnostics::{Checked, github, json, sarif};
use balance::syntax::{self, Statement};
use proptest::prelude::*;

use crate::worked::{Asked, Worked, mended, work, work_all, work_text};

/// Whatever was made of a text can be shown, and every label lies in its file on character borders.
fn check_sound(worked: &Worked) {
    for diagnostic in &worked.diagnostics {
        check_labels(&worked.sources, diagnostic);
    }
    check_formats(worked);
    let rendered = worked.rendered();
    assert_eq!(rendered.is_empty(), worked.diagnostics.is_empty());
    for plan in &worked.plans {
        assert!(!plan.to_string().is_empty());
        serde_json::to_string(plan).unwrap();
    }
    assert!(!worked.plans.is_empty() || !worked.diagnostics.is_empty(), "neither plan nor reason");
}

/// Whatever is found can be told to programs, in ASCII, and in colour.
fn check_formats(worked: &Worked) {
    let Worked { sources, diagnostics, .. } = worked;
    let checked = [Checked { path: "a.exp", sources, diagnostics }];
    let told: serde_json::Value = serde_json::from_str(&json(&checked)).unwrap();
    assert_eq!(told["diagnostics"].as_array().unwrap().len(), diagnostics.len());
    let log: serde_json::Value = serde_json::from_str(&sarif(&checked)).unwrap();
    assert_eq!(log["runs"][0]["results"].as_array().unwrap().len(), diagnostics.len());
    assert_eq!(github(&checked).lines().count(), diagnostics.len());
    for (color, unicode) in [(false, false), (true, true)] {
        render(sources, diagnostics, Look { color, unicode, width: 60 });
    }
}

fn check_labels(sources: &Sources, diagnostic: &Diagnostic) {
    assert!(!diagnostic.message.is_empty());
    for (span, _) in &diagnostic.labels {
        let text = &sources.get(span.file).text;
        let range = span.range();
        assert!(range.start <= range.end && range.end <= text.len(), "{diagnostic:?}");
        let borders = [range.start, range.end];
        assert!(borders.iter().all(|at| text.is_char_boundary(*at)), "{diagnostic:?}");
    }
}

/// Experiments as they are written: those of the repository and of the goldens.
fn real_files() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [
        "experiments",
        "tests/golden/plan",
        "tests/golden/syntax",
        "tests/golden/errors",
        "tests/golden/format",
    ];
    let entries = folders.iter().flat_map(|folder| fs::read_dir(root.join(folder)).unwrap());
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "exp"));
    paths.sort();
    let read = |path: PathBuf| Some((path.clone(), fs::read_to_string(path).ok()?));
    paths.into_iter().filter_map(read).collect()
}

/// Works out `text` as if it stood in the file at `path`, with what that imports.
fn work_as(path: &Path, text: &str) -> Worked {
    let folder = path.parent().unwrap();
    let reader = |it: &Path| match it == Path::new("edited.exp") {
        true => Ok(text.as_bytes().to_vec()),
        false => fs::read(folder.join(it)),
    };
    work("edited.exp", &reader, &Asked::default())
}

/// What an edit may put into a file.
const TOKENS: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "=",
    "==",
    ",",
    ";",
    "\n",
    "#",
    ":",
    ".",
    "..",
    "..=",
    "±",
    "+",
    "-",
    "*",
    "/",
    "%",
    "é",
    "\u{feff}",
    "\r\n",
    "\t",
    "\0",
    "0",
    "1e999",
    "99999999999999999999",
    "-1",
    "none",
    "true",
    "not ",
    "if ",
    " then ",
    " else ",
    " and ",
    "in",
    "let ",
    "param ",
    "extends ",
    "of ",
    "import ",
    "experiment ",
    "stage ",
    "sweep ",
    "grid ",
    "zip ",
    "choose ",
    "toggle ",
    "where ",
    "seeds",
    "expect ",
    "train",
    "loss",
    "augment",
    "eval",
    "data",
    "encoder",
    "views",
    "weight",
    "alpha",
    "lib",
    "a",
    "5 epochs",
    "3 samples",
    "concat(",
    "group({",
    "linspace(0, 1, 3)",
    "0..1000000000",
    "supcon()",
    "vit()",
    "cifar10()",
];

#[derive(Debug, Clone)]
struct Edit {
    place: f64,
    /// How many characters go.
    removed: usize,
    token: &'static str,
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let token = prop_oneof![prop::sample::select(TOKENS), Just("")];
    let edit = (0.0..1.0, prop_oneof![Just(0), 1usize..12], token);
    let edit = edit.prop_map(|(place, removed, token)| Edit { place, removed, token });
    prop::collection::vec(edit, 1..4)
}

fn apply(text: &str, edits: &[Edit]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for edit in edits {
        let start = (edit.place * (chars.len() + 1) as f64) as usize;
        let end = (start + edit.removed).min(chars.len());
        chars.splice(start.min(end)..end, edit.token.chars());
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_text_panics(text in any::<String>()) {
        check_sound(&work_text(&text));
    }

    #[test]
    fn no_row_of_tokens_panics(tokens in prop::collection::vec(prop::sample::select(TOKENS), 0..60)) {
        check_sound(&work_text(&tokens.concat()));
        check_sound(&work_text(&format!("edition 1\nexperiment a {{\n  {}\n}}\n", tokens.join(" "))));
    }

    #[test]
    fn no_edit_of_a_real_file_panics(file in any::<prop::sample::Index>(), edits in edits()) {
        let files = real_files();
        let (path, text) = &files[file.index(files.len())];
        check_sound(&work_as(path, &apply(text, &edits)));
    }

    #[test]
    fn no_override_panics(tokens in prop::collection::vec(prop::sample::select(TOKENS), 0..8)) {
        let text = include_str!("../golden/plan/grid.exp");
        for set in [tokens.concat(), format!("train.batch={}", tokens.concat()), format!("{}=3", tokens.join("."))] {
            let asked = Asked { set: vec![set], ..Asked::default() };
            check_sound(&work_all(&[("a.exp", text)], &asked));
        }
    }

    #[test]
    fn formatting_keeps_what_is_said(
        file in any::<prop::sample::Index>(),
        places in prop::collection::vec((0.0..1.0, prop::sample::select(LAYOUT)), 0..6),
    ) {
        let files = real_files();
        let (_, text) = &files[file.index(files.len())];
        let edit = |(place, token)| Edit { place, removed: 0, token };
        check_formatted(&apply(text, &places.into_iter().map(edit).collect::<Vec<_>>()));
    }

    /// Mends come to an end, and what could be read before can be read after.
    #[test]
    fn mends_settle(file in any::<prop::sample::Index>(), edits in edits()) {
        let files = real_files();
        let (path, text) = &files[file.index(files.len())];
        check_mends(path, &apply(text, &edits));
    }

    /// What is written after a broken statement is still read.
    #[test]
    fn a_broken_line_does_not_hide_the_rest(junk in "[a-z =+*:()\\[\\]\"]{0,30}[a-z)(]") {
        let text = format!("edition 1\n{junk}\n\nexperimant a {{ }}\n");
        let worked = work_text(&text);
        check_sound(&worked);
        let is_seen = worked.diagnostics.iter().any(|it| it.message.contains("experimant"));
        prop_assert!(is_seen, "{}", worked.rendered());
    }
}

/// A tree with all its places left out.
fn bare(statements: &[Statement]) -> String {
    let text = format!("{statements:?}");
    let mut parts = text.split("Span {");
    let first = parts.next().unwrap_or_default().to_owned();
    first + &parts.filter_map(|part| Some(part.split_once('}')?.1)).collect::<String>()
}

fn comments(text: &str) -> Vec<&str> {
    syntax::parse(0, text).0.comments.iter().map(|span| &text[span.range()]).collect()
}

/// Whether `text` could be formatted: then it says the same, with the same comments, and formatting
/// it again changes nothing.
#[track_caller]
fn check_formatted(text: &str) -> bool {
    let Ok(formatted) = syntax::format(0, text) else { return false };
    let before = syntax::parse(0, text).0.statements;
    let (after, diagnostics) = syntax::parse(0, &formatted);
    assert!(diagnostics.is_empty(), "{text}\nbecomes\n{formatted}\n{diagnostics:?}");
    let is_edition = |it: &Statement| matches!(it, Statement::Edition(_));
    let has_edition = before.is_empty() || before.iter().any(is_edition);
    let after = if has_edition { &after.statements[..] } else { &after.statements[1..] };
    assert_eq!(bare(&before), bare(after), "{text}\nbecomes\n{formatted}");
    assert_eq!(comments(text), comments(&formatted), "{text}\nbecomes\n{formatted}");
    assert_eq!(syntax::format(0, &formatted).as_ref(), Ok(&formatted), "from\n{text}");
    true
}

#[test]
fn formatting_real_files_keeps_what_they_say() {
    let sound = real_files().iter().filter(|(_, text)| check_formatted(text)).count();
    assert!(sound > 80, "{sound} files");
}

/// What people put between the words of a statement.
const LAYOUT: &[&str] =
    &[" ", "  ", "\t", "\n", "\n\n\n", "\r\n", "# c\n", " # (\n", "\n# own line\n", ";", ", ", "-"];

/// Every mend is made in a few rounds, and what could be read before can be read after. A bracket or
/// a header that is mended may bring mistakes to light that it hid.
fn check_mends(path: &Path, text: &str) {
    let read = |text: &str| read(&syntax::parse(0, text).0.statements);
    let (mended, left) = mended(path.parent().unwrap(), text);
    let is_no_worse = read(&mended) >= read(text);
    assert!(is_no_worse, "{text}\nis mended to\n{mended}\n{}", left.rendered());
}

/// Both are sure by themselves; without its `:` the field would take the next line for its value.
#[test]
fn a_mend_that_hides_a_statement_is_not_made() {
    let text = |call: &str| {
        let head = "edition 1\nexperiment a {\n  data = digits()\n  encoder = mlp()\n";
        let body = format!("  loss {{ a = supcon() }}\n  train {{ {call}; for = :\n");
        format!("{head}{body}  eval {{ fine = linear(labels=fine) }}\n}}\n")
    };
    let (mended, _) = mended(Path::new("."), &text("opt(imizer = adamw()"));
    assert_eq!(mended, text("opt(imizer = adamw())"));
}

/// How many statements could be read, those in blocks included.
fn read(statements: &[Statement]) -> usize {
    let of = |statement: &Statement| match statement {
        Statement::Unreadable(_) => 0,
        Statement::Block(block) => {
            1 + read(&block.body) + block.otherwise.as_deref().map_or(0, read)
        }
        _ => 1,
    };
    statements.iter().map(of).sum()
}

#[test]
fn real_files_are_worked_out() {
    let files = real_files();
    assert!(files.len() > 100);
    for (path, text) in &files {
        check_sound(&work_as(path, text));
        check_mends(path, text);
    }
}

/// Every text here ends in diagnostics: in bounded time, and in the two megabytes of stack that
/// the thread of a test has.
#[test]
fn nothing_runs_away() {
    const MANY: usize = 100_000;
    let value = |text: String| format!("edition 1\nexperiment a {{ encoder = mlp(out={text}) }}\n");
    let mut texts: Vec<String> =
        ["(", "[", "{", "-", "not ", "if ", "if x then ", "if x then 1 else ", "1 + ", "x and "]
            .iter()
            .flat_map(|piece| {
                let many = piece.repeat(MANY / piece.len());
                [
                    value(many.clone()),
                    value(format!("{many}1")),
                    many.clone(),
                    format!("let a = {many}1\n"),
                ]
            })
            .collect();
    for piece in [
        ")",
        "]",
        "}",
        "\"",
        "\"\n",
        "#",
        ";",
        ",",
        "a ",
        "a\n",
        "a = 1\n",
        "a {\n",
        "a {} ",
        "é",
        "\n",
        "experiment a { }\n",
    ] {
        texts.push(piece.repeat(MANY / piece.len()));
        texts.push(format!("let a = ({}", piece.repeat(MANY / piece.len())));
    }
    texts.push(value("9".repeat(MANY)));
    texts.push(value(format!("1e{}", "9".repeat(1000))));
    texts.push(value("a".repeat(MANY)));
    texts.push(format!("experiment a extends {} {{ }}", "a.".repeat(MANY / 2)));
    texts.push(value(format!("[{}]", "1, ".repeat(MANY / 3))));
    for text in texts {
        let worked = work_text(&text);
        assert!(!worked.diagnostics.is_empty(), "{} …", &text.chars().take(40).collect::<String>());
        check_sound(&worked);
    }
}

/// Names that stand for names, chains of files, and designs that grow too large.
#[test]
fn nothing_grows_without_bound() {
    let chain: String = (0..5000).map(|n| format!("let l{n} = l{}\n", n + 1)).collect();
    let tree: String = (0..60).map(|n| format!("let l{n} = l{} + l{}\n", n + 1, n + 1)).collect();
    let truths: String =
        (0..60).map(|n| format!("let l{n} = l{} and l{}\n", n + 1, n + 1)).collect();
    let extends: String =
        (0..2000).map(|n| format!("experiment e{n} extends e{} {{ }}\n", n + 1)).collect();
    let experiment = |field: &str| {
        format!(
            "experiment a {{ data = digits()\n encoder = mlp({field})\n train {{ drop_last = l0 }} }}\n"
        )
    };
    for (names, field) in [(&chain, "out=l0"), (&tree, "out=l0"), (&truths, "out=1")] {
        let worked = work_text(&format!("{names}{}", experiment(field)));
        assert!(worked.codes().contains(&"B0023"), "{}", worked.rendered());
        check_sound(&worked);
    }
    check_sound(&work_text(&extends));

    let axis = |n: usize| format!("grid {{ x{n}.y = 0..1000 }}\n");
    let axes: String = (0..50).map(axis).collect();
    let worked =
        work_text(&format!("{}sweep s of a {{ {axes} seeds = 0..1000 }}\n", experiment("")));
    assert!(worked.codes().contains(&"B0523"), "{}", worked.rendered());

    let names: Vec<String> = (0..200).map(|n| format!("f{n}.exp")).collect();
    let texts: Vec<String> =
        (0..200).map(|n| format!("edition 1\nimport \"f{}.exp\" as next\n", n + 1)).collect();
    let files: Vec<(&str, &str)> =
        names.iter().zip(&texts).map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let worked = work_all(&files, &Asked::default());
    assert!(worked.codes().contains(&"B0021"), "{}", worked.rendered());
    check_sound(&worked);
}
