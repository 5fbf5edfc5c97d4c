//! Texts no person would write, and what has to hold for them all the same. Shared by the tests, by
//! the program that runs for longer, and by the target of cargo-fuzz.

use std::fs;
use std::path::{Path, PathBuf};

use balance::diag::Diagnostic;
use balance::seed::Stream;
use balance::syntax::{self, Statement};

/// Every experiment file below `root`, with its path, in order.
pub fn corpus(root: &Path) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for folder in ["experiments", "tests/golden"] {
        collect(&root.join(folder), &mut files);
    }
    files.sort();
    files
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|it| it == "exp") {
            files.extend(fs::read_to_string(&path).ok().map(|text| (path, text)));
        }
    }
}

/// What a mutation puts in.
const TOKENS: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "=",
    "==",
    ",",
    ";",
    ":",
    ".",
    "..",
    "..=",
    "±",
    "+-",
    "+",
    "-",
    "*",
    "/",
    "%",
    "\\",
    "$",
    "#",
    "# c\n",
    "\n",
    "\n\n",
    "\r\n",
    "\t",
    " ",
    "\0",
    "\u{feff}",
    "\u{a0}",
    "é",
    "−",
    "“",
    "🦀",
    "0",
    "1e999",
    "1e",
    "5.",
    ".5",
    "0x1",
    "1_000",
    "99999999999999999999",
    "5 epochs",
    "5epocs",
    "10 %",
    "true",
    "True",
    "none",
    "not ",
    "if ",
    " then ",
    " else ",
    " and ",
    " in ",
    "let a = ",
    "param a: fraction in 0..1 = ",
    " doc \"x\"",
    "edition 1\n",
    "import \"a.exp\" as a\n",
    "experiment a ",
    "sweep s of a ",
    "stage ",
    "grid ",
    "choose c ",
    "toggle ",
    "where ",
    "expect ",
    "claim \"c\" ",
    "extends ",
    "of ",
    "for a in ",
    "range(5)",
    "f(x=1)",
    "a.b.c",
    "a[b == 1]",
    "lambda x: ",
    "key: ",
    "- ",
];

/// The `index`th text of a run.
pub fn text(corpus: &[(PathBuf, String)], run: &Stream, index: u64) -> Vec<u8> {
    let mut stream = run.at(index);
    if stream.below(4) == 0 {
        let length = stream.below(40);
        return (0..length).flat_map(|_| token(&mut stream).bytes()).collect();
    }
    let mut bytes = corpus[stream.below(corpus.len())].1.clone().into_bytes();
    for _ in 0..=stream.below(4) {
        mutate(&mut bytes, &mut stream);
    }
    bytes
}

fn token(stream: &mut Stream) -> &'static str {
    TOKENS[stream.below(TOKENS.len())]
}

fn mutate(bytes: &mut Vec<u8>, stream: &mut Stream) {
    let at = stream.below(bytes.len() + 1);
    let end = (at + stream.below(12)).min(bytes.len());
    match stream.below(6) {
        0 => bytes.truncate(at),
        1 => drop(bytes.splice(at..at, token(stream).bytes())),
        2 => drop(bytes.splice(at..end, token(stream).bytes())),
        3 => drop(bytes.drain(at..end)),
        4 if at < bytes.len() => bytes[at] = stream.bits() as u8,
        _ => {
            let piece = bytes[at..end].to_vec();
            let to = stream.below(bytes.len() + 1);
            drop(bytes.splice(to..to, piece));
        }
    }
}

/// Reads `bytes` as an experiment file; panics when a promise is broken. Gives whether it could be
/// formatted.
pub fn examine(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let (tree, diagnostics) = syntax::parse(0, text);
    for diagnostic in &diagnostics {
        check_places(text, diagnostic);
    }
    match syntax::format(0, text) {
        Ok(formatted) => check_formatted(text, &tree, &formatted),
        Err(found) => assert_eq!(found, diagnostics),
    }
    diagnostics.is_empty()
}

/// Every place lies in the text, on the borders of characters.
pub fn check_places(text: &str, diagnostic: &Diagnostic) {
    assert!(!diagnostic.message.is_empty() && !diagnostic.labels.is_empty(), "{diagnostic:?}");
    let labels = diagnostic.labels.iter().map(|(span, _)| *span);
    for span in labels.chain(diagnostic.fixes.iter().map(|fix| fix.span)) {
        let range = span.range();
        assert!(text.get(range).is_some(), "{diagnostic:?} in {text:?}");
    }
}

fn check_formatted(text: &str, tree: &syntax::File, formatted: &str) {
    let (after, diagnostics) = syntax::parse(0, formatted);
    assert!(diagnostics.is_empty(), "{text:?} became {formatted:?}: {diagnostics:?}");
    let is_edition = |it: &Statement| matches!(it, Statement::Edition(_));
    let is_added = !tree.statements.is_empty() && !tree.statements.iter().any(is_edition);
    let statements = &after.statements[usize::from(is_added)..];
    assert_eq!(bare(&tree.statements), bare(statements), "{text:?} became {formatted:?}");
    let comments = |text: &str, tree: &syntax::File| -> Vec<String> {
        tree.comments.iter().map(|span| text[span.range()].to_owned()).collect()
    };
    let (before, behind) = (comments(text, tree), comments(formatted, &after));
    assert_eq!(before, behind, "{text:?} became {formatted:?}");
    let again = syntax::format(0, formatted);
    assert_eq!(again.as_deref(), Ok(formatted), "{text:?}");
}

/// A tree with all its places left out.
fn bare(statements: &[Statement]) -> String {
    let text = format!("{statements:?}");
    let mut parts = text.split("Span {");
    let first = parts.next().unwrap_or_default().to_owned();
    first + &parts.filter_map(|part| Some(part.split_once('}')?.1)).collect::<String>()
}
