//! The layering that Cargo cannot enforce inside one crate, and who may touch what outside it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module with the modules below it that it imports: no more, and no fewer.
const LAYERS: &[(&str, &[&str])] = &[
    ("diag", &[]),
    ("seed", &[]),
    ("digest", &[]),
    ("syntax", &["diag"]),
    ("catalog", &["diag"]),
    ("data", &["diag", "digest"]),
    ("tensor", &["seed"]),
    ("kernel", &[]),
    ("measure", &["kernel", "seed"]),
    ("theory", &[]),
    ("statistics", &[]),
    ("nn", &["kernel", "seed", "tensor"]),
    ("resolve", &["catalog", "diag", "syntax"]),
    ("plan", &["catalog", "diag", "digest", "resolve", "statistics", "theory"]),
    (
        "library",
        &[
            "catalog",
            "data",
            "digest",
            "kernel",
            "measure",
            "nn",
            "seed",
            "statistics",
            "tensor",
            "theory",
        ],
    ),
    ("graph", &["catalog", "kernel", "library", "nn", "plan", "seed", "tensor"]),
    ("process", &[]),
    ("store", &["plan"]),
    (
        "run",
        &[
            "catalog", "data", "graph", "kernel", "library", "measure", "plan", "process", "seed",
            "store",
        ],
    ),
    ("analysis", &["plan", "run"]),
    ("report", &["analysis", "catalog", "diag", "plan", "resolve", "run"]),
    (
        "cli",
        &[
            "analysis", "catalog", "data", "diag", "digest", "kernel", "library", "plan",
            "process", "report", "resolve", "run", "seed", "store", "syntax",
        ],
    ),
];

/// Paths of the world outside begin with these words; the modules that may name them.
const CONFINED: &[(&[&str], &[&str])] = &[
    (&["pest", "pest_derive"], &["syntax"]),
    (&["miette"], &["diag"]),
    (&["clap", "indicatif", "signal_hook"], &["cli"]),
    (&["comfy_table"], &["report", "cli"]),
    (&["ureq", "flate2", "tar", "png", "zip", "zune_jpeg"], &["data"]),
    (&["candle_core"], &["kernel", "tensor", "nn", "library", "graph", "run", "cli"]),
    (&["rayon"], &["data", "kernel", "measure", "nn", "library", "process", "run"]),
    (&["libmimalloc_sys"], &["process"]),
    (&["Instant", "SystemTime"], &["cli"]),
    (&["fs"], &["data", "store", "run", "cli"]),
];

/// Lines a file of the program may have.
const LONGEST_FILE: usize = 400;

#[test]
fn modules_import_what_their_layer_lists() {
    let mut differences = Vec::new();
    for (module, listed) in LAYERS {
        let mut imports = BTreeSet::new();
        for file in sources().iter().filter(|file| file.module == *module) {
            imports.extend(file.imports());
        }
        imports.remove(*module);
        if !imports.iter().eq(listed.iter()) {
            differences.push(format!("`{module}` imports {imports:?}, listed are {listed:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn layers_are_listed_bottom_up() {
    for (at, (module, imports)) in LAYERS.iter().enumerate() {
        for import in *imports {
            let is_below = LAYERS[..at].iter().any(|(below, _)| below == import);
            assert!(is_below, "`{module}` imports `{import}`, which is not below it");
        }
    }
}

#[test]
fn every_module_has_a_layer() {
    let files = sources();
    let modules: BTreeSet<&str> = files.iter().map(|file| file.module.as_str()).collect();
    let layers = LAYERS.iter().map(|(module, _)| *module);
    assert_eq!(modules, layers.chain(["lib", "main"]).collect());
}

#[test]
fn dependencies_stay_in_their_modules() {
    for (words, modules) in CONFINED {
        for file in sources() {
            if ["lib", "main"].contains(&file.module.as_str()) {
                continue;
            }
            for word in words.iter().filter(|word| file.names(word)) {
                let path = file.path.display();
                assert!(modules.contains(&file.module.as_str()), "{path} names `{word}`");
            }
        }
    }
}

#[test]
fn confined_words_occur_where_they_may() {
    let files = sources();
    for (words, _) in CONFINED {
        for word in *words {
            let occurs = files.iter().any(|file| file.names(word));
            assert!(occurs || is_clock(word), "`{word}` is named nowhere: the check is void");
        }
    }
}

fn is_clock(word: &str) -> bool {
    ["Instant", "SystemTime"].contains(&word)
}

#[test]
fn a_component_imports_no_other_component() {
    let files = sources();
    let components: Vec<&Code> =
        files.iter().filter(|file| file.text.contains("\ncomponent! {")).collect();
    assert!(components.len() > 20);
    for file in &components {
        let folder = file.path.parent().unwrap();
        for other in components.iter().filter(|other| other.path != file.path) {
            let name = other.path.file_stem().unwrap().to_str().unwrap();
            let kind = other.path.parent().unwrap();
            let from_here = folder == kind && file.text.contains(&format!("super::{name}::"));
            let kind = kind.file_name().unwrap().to_str().unwrap();
            let from_afar = file.text.contains(&format!("::{kind}::{name}::"));
            let path = file.path.display();
            assert!(!from_here && !from_afar, "{path} imports the component `{name}`");
        }
    }
}

#[test]
fn files_are_short() {
    let mut long = Vec::new();
    for file in sources() {
        let lines = fs::read_to_string(&file.path).unwrap().lines().count();
        if lines > LONGEST_FILE {
            long.push(format!("{} has {lines} lines", file.path.display()));
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn every_public_item_is_documented() {
    let kinds = ["fn", "struct", "enum", "trait", "type", "static", "const", "unsafe"];
    for file in sources() {
        let text = fs::read_to_string(&file.path).unwrap();
        // Methods of a type that is not public are for its own module.
        let has_types = ["\npub struct", "\npub enum"].iter().any(|it| text.contains(it));
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let Some(item) = line.trim_start().strip_prefix("pub ") else { continue };
            let is_item = kinds.iter().any(|kind| item.starts_with(&format!("{kind} ")));
            if is_item && (has_types || !line.starts_with(' ')) {
                let mut before = lines[..at].iter().rev().map(|line| line.trim());
                let above = before.find(|line| !line.starts_with("#[")).unwrap_or_default();
                let is_documented = above.starts_with("///") || above.contains("#[doc");
                assert!(is_documented, "{}: `{line}` has no sentence", file.path.display());
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is() {
    for file in sources() {
        let text = fs::read_to_string(&file.path).unwrap();
        assert!(text.starts_with("//! "), "{} does not", file.path.display());
    }
}

#[test]
fn the_grammar_names_no_component() {
    let grammar = fs::read_to_string(root().join("grammar/experiment.pest")).unwrap();
    let literals: BTreeSet<&str> = grammar.split('"').skip(1).step_by(2).collect();
    assert!(literals.contains("experiment") || literals.contains("import"));
    for spec in balance::library::Library::standard().catalog().all() {
        // `step` is a unit as well as a schedule.
        let is_unit = spec.name == "step";
        assert!(is_unit || !literals.contains(spec.name), "the grammar names `{}`", spec.name);
    }
}

/// A file of the program without its comments and its tests.
struct Code {
    path: PathBuf,
    /// The first part of its path below `src`.
    module: String,
    text: String,
}

impl Code {
    /// Whether a path in it begins, or goes on, with `word`.
    fn names(&self, word: &str) -> bool {
        let mut before = self.text.match_indices("::").map(|(at, _)| &self.text[..at]);
        before.any(|text| text.rsplit(is_no_name).next() == Some(word))
    }

    /// The modules it names by `crate::…`, those of the macros it uses included.
    fn imports(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for (_, rest) in
            self.text.match_indices("crate::").map(|(at, it)| self.text.split_at(at + it.len()))
        {
            match rest.strip_prefix('{') {
                Some(list) => {
                    let list = list.split('}').next().unwrap();
                    names.extend(list.split(',').filter_map(|item| words(item).next()));
                }
                None => names.extend(words(rest).next()),
            }
        }
        let home = |name: &str| match name {
            "arguments" | "component" | "choice" => "catalog".to_owned(),
            name => name.to_owned(),
        };
        names.into_iter().map(home).collect()
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_no_name).filter(|word| !word.is_empty())
}

fn is_no_name(c: char) -> bool {
    !c.is_alphanumeric() && c != '_'
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Code> {
    let mut files = Vec::new();
    collect(&root().join("src"), &mut files);
    files
}

fn collect(folder: &Path, files: &mut Vec<Code>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let below = path.strip_prefix(root().join("src")).unwrap();
            let module = below.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
            let text = fs::read_to_string(&path).unwrap();
            files.push(Code { module: module.to_owned(), text: program(&text), path });
        }
    }
}

/// The text without comments and without what only tests see.
fn program(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]").next().unwrap();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| format!("{line}\n")).collect()
}
