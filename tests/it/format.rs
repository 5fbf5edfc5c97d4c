//! The formatter: its style by files, and the command that applies it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use balance::syntax::format;
use expect_test::{expect, expect_file};

use crate::lab::{Lab, Said};

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|it| it == extension)).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

#[test]
fn golden_format() {
    for case in files("tests/golden/format", "exp") {
        let formatted = format(0, &fs::read_to_string(&case).unwrap()).unwrap();
        expect_file![case.with_extension("fmt")].assert_eq(&formatted);
        assert_eq!(format(0, &formatted).as_ref(), Ok(&formatted), "{}", case.display());
    }
    for formatted in files("tests/golden/format", "fmt") {
        assert!(formatted.with_extension("exp").exists(), "{} has no case", formatted.display());
    }
}

#[test]
fn a_comment_is_kept_to_its_last_character() {
    // Only ASCII's spaces end a comment, for the parser too.
    let text = "edition 1\n\n# a\u{a0}\nlet a = 1  # b\u{3000}\n";
    assert_eq!(format(0, text).as_deref(), Ok(text));
}

#[test]
fn committed_experiments_are_in_the_common_style() {
    for file in files("experiments", "exp") {
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(format(0, &text).as_ref(), Ok(&text), "{}", file.display());
    }
}

const MESSY: &str = "edition 1\r\nlet a=[1,2 ]\r\n";
const NEAT: &str = "edition 1\nlet a = [1, 2]\n";

#[test]
fn a_wrong_edition_is_left_to_its_author() {
    let lab = Lab::new();
    for text in ["edition 2\nlet a=1\n", "let a=1\nedition 1\n"] {
        let file = lab.file("a.exp", text);
        let said = lab.say(&["fmt", &file]).ended(1);
        assert!(said.err.contains("B0020"), "{said:?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
}

#[test]
fn files_are_rewritten_in_place() {
    let lab = Lab::new();
    let (messy, neat) = (lab.file("messy.exp", MESSY), lab.file("neat.exp", NEAT));
    let before = fs::metadata(&neat).unwrap().modified().unwrap();
    assert_eq!(lab.say(&["fmt", &messy, &neat]).ended(0).out, "");
    assert_eq!(fs::read_to_string(&messy).unwrap(), NEAT);
    assert_eq!(fs::metadata(&neat).unwrap().modified().unwrap(), before);
}

#[test]
fn a_check_lists_what_differs_and_writes_nothing() {
    let lab = Lab::new();
    let (messy, neat) = (lab.file("messy.exp", MESSY), lab.file("neat.exp", NEAT));
    let said = lab.say(&["fmt", "--check", &messy, &neat]).ended(1);
    assert_eq!(said.out, format!("{messy}\n"));
    lab.say(&["fmt", "--check", &neat]).ended(0);
    let said = lab.say(&["fmt", "--diff", &messy, &neat]).ended(0);
    let shown = said.out.replace(&messy, "messy.exp").replace('\r', "␍");
    expect![[r#"
        --- messy.exp
        +++ messy.exp, formatted
        @@ -1,2 +1,2 @@
        -edition 1␍
        -let a=[1,2 ]␍
        +edition 1
        +let a = [1, 2]
    "#]]
    .assert_eq(&shown);
    assert_eq!(fs::read_to_string(&messy).unwrap(), MESSY);
}

#[test]
fn what_cannot_be_read_is_left_as_it_is() {
    let lab = Lab::new();
    let text = "let a=1\nlet b=(\n";
    let file = lab.file("broken.exp", text);
    let said = lab.say(&["fmt", &file]).ended(1);
    assert!(said.err.contains("`(` is never closed"), "{said:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    let said = lab.say(&["fmt", "gone.exp"]).ended(1);
    assert!(said.err.contains("there is no such file"), "{said:?}");
}

#[test]
fn standard_input_goes_to_standard_output() {
    let lab = Lab::new();
    let mut command = lab.balance(&["fmt", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(MESSY.as_bytes()).unwrap();
    assert_eq!(Said::at_end(child).ended(0).out, NEAT);
}
