//! The page of every diagnostic, run: its bad file raises it, and the mended one does not.

use std::fs;
use std::io;
use std::path::Path;

use balance::diag::{ALL, Code, has_errors};

use crate::worked::{Asked, Worked, work};

/// A fence of a page that holds an experiment.
struct Block<'a> {
    /// What stands behind `exp`: `bad`, the name of a file that is imported, or nothing.
    word: &'a str,
    text: &'a str,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let fences = page.split("\n```exp").skip(1);
    let block = |fence| {
        let (word, rest): (&str, &str) = str::split_once(fence, '\n').unwrap();
        Block { word: word.trim(), text: &rest[..rest.find("```").unwrap()] }
    };
    fences.map(block).collect()
}

/// Works out a block as the file that is asked for, with the named blocks beside it.
fn worked(block: &Block, all: &[Block]) -> Worked {
    let reader = |path: &Path| {
        let name = path.to_str().unwrap();
        let found = match name {
            "page.exp" => Some(block),
            name => all.iter().find(|it| it.word == name),
        };
        found.map(bytes).ok_or(io::Error::from(io::ErrorKind::NotFound))
    };
    work("page.exp", &reader, &Asked::of(block.text))
}

/// The text in the encoding that its first comment names.
fn bytes(block: &Block) -> Vec<u8> {
    match block.text.starts_with("# --latin-1\n") {
        true => block.text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect(),
        false => block.text.as_bytes().to_vec(),
    }
}

#[test]
fn the_bad_file_of_a_page_raises_its_code_and_the_mended_one_does_not() {
    let mut wrong = Vec::new();
    for code in ALL {
        let blocks = blocks(code.page);
        let words: Vec<&str> = blocks.iter().map(|it| it.word).collect();
        if !words.starts_with(&["bad", ""]) {
            wrong.push(format!("{}: the fences are {words:?}", code.name));
            continue;
        }
        let (bad, good) = (worked(&blocks[0], &blocks), worked(&blocks[1], &blocks));
        if !bad.codes().contains(&code.number) {
            wrong.push(format!("{} is not raised\n{}", code.name, bad.rendered()));
        }
        if good.codes().contains(&code.number) || has_errors(&good.diagnostics) {
            wrong.push(format!("{}: the mended file\n{}", code.name, good.rendered()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_page_has_its_form() {
    for code in ALL {
        let page = code.page;
        assert!(page.starts_with(&format!("# {} {}\n\n", code.number, code.name)), "{page}");
        let why = page.split("\n\n").nth(1).unwrap();
        assert!(why.len() > 80 && !why.starts_with("```"), "{}: {why}", code.name);
        let order = ["\n```exp bad\n", "\nWhat to write:\n\n```exp\n"].map(|it| page.find(it));
        assert!(order.is_sorted() && order[0].is_some(), "{}", code.name);
        assert!(Code::find(&code.number.to_lowercase()) == Some(code));
        assert!(Code::find(code.name) == Some(code));
    }
}

#[test]
fn every_page_belongs_to_a_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/diagnostics");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(Code::find(name).is_some(), "no code is called `{name}`");
    }
}

#[test]
fn the_json_is_as_its_schema_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &Path| -> serde_json::Value {
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    };
    let schema = read(&root.join("docs/reference/check-1.schema.json"));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut fixes = 0;
    for entry in fs::read_dir(root.join("tests/golden/told")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "json") {
            let told = read(&path);
            let errors: Vec<String> =
                validator.iter_errors(&told).map(|it| it.to_string()).collect();
            assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
            let all = told["diagnostics"].as_array().unwrap();
            fixes += all.iter().filter(|it| it["fixes"] != serde_json::json!([])).count();
        }
    }
    assert!(fixes > 0, "no golden tells of a fix");
    for wrong in [r#"{"version": 2, "files": [], "diagnostics": []}"#, "{}"] {
        assert!(!validator.is_valid(&serde_json::from_str(wrong).unwrap()), "{wrong}");
    }
}

#[test]
fn links_of_pages_lead_somewhere() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/diagnostics");
    for code in ALL {
        for rest in code.page.split("](").skip(1) {
            let target = rest.split([')', '#']).next().unwrap();
            assert!(folder.join(target).exists(), "{} links to {target}", code.name);
        }
    }
}
