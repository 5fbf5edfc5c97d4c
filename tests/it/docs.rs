//! The documentation, run: experiments on pages check, console sessions show what they say, links
//! lead somewhere, and the first screen's table is the one its experiment gives.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::worked::{Asked, work_all};

/// A fenced block of a page.
struct Block {
    /// The word behind the fence.
    language: String,
    /// The file it is, on pages whose blocks import each other.
    name: Option<String>,
    text: String,
    line: usize,
}

#[test]
fn experiments_on_pages_check() {
    let mut count = 0;
    for page in pages() {
        let blocks = blocks_of(&page, "exp");
        for block in &blocks {
            count += 1;
            let own = (block.name.as_deref().unwrap_or("page.exp"), block.text.as_str());
            let named =
                blocks.iter().filter_map(|it| Some((it.name.as_deref()?, it.text.as_str())));
            let others = named.filter(|(name, _)| *name != own.0);
            let place = format!("{}:{}", page.display(), block.line);
            assert_sound(&[own].into_iter().chain(others).collect::<Vec<_>>(), &place);
        }
    }
    assert!(count > 10, "{count} experiments");
}

#[test]
fn committed_experiments_check() {
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(&path).unwrap())
    };
    let folder = fs::read_dir(root().join("experiments")).unwrap();
    let files: Vec<(String, String)> = folder.map(|entry| read(entry.unwrap().path())).collect();
    for own in &files {
        let others = files.iter().filter(|other| other.0 != own.0);
        let names =
            [own].into_iter().chain(others).map(|(name, text)| (name.as_str(), text.as_str()));
        assert_sound(&names.collect::<Vec<_>>(), &own.0);
    }
}

/// Nothing is to be said of the first of `files`, except that a file made of declarations, for
/// others to import, runs nothing, and that an analysis is not computed yet.
#[track_caller]
fn assert_sound(files: &[(&str, &str)], place: &str) {
    let worked = work_all(files, &Asked::default());
    let is_library = worked.designs.is_empty();
    let mut told = worked.diagnostics.iter().map(|it| it.code.name);
    let may_be_told = |it| it == "not-computed" || is_library && it == "nothing-to-run";
    assert!(told.all(may_be_told), "{place}\n{}", worked.rendered());
}

#[test]
fn sessions_show_what_they_say() {
    let mut count = 0;
    for page in pages() {
        let blocks = blocks_of(&page, "console");
        if blocks.is_empty() {
            continue;
        }
        let place = project(&page);
        for (line, command, expected) in blocks.iter().flat_map(commands) {
            count += 1;
            let found = run(&command, place.path());
            let (expected, found) = (lines(&expected), lines(&found));
            let page = page.display();
            let shown = found.join("\n");
            assert!(matches(&expected, &found), "{page}:{line}: $ {command}\nshows\n{shown}\n");
        }
    }
    assert!(count > 10, "{count} commands");
}

#[test]
fn links_lead_somewhere() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split(')').next().unwrap();
            if target.contains("://") || target.starts_with('#') {
                continue;
            }
            let path = page.parent().unwrap().join(target.split('#').next().unwrap());
            assert!(path.exists(), "{} links to {target}", page.display());
        }
    }
}

#[test]
fn invariants_name_tests_that_exist() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let section = page.split("## Invariants").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut count = 0;
    for word in section.split('`').skip(1).step_by(2) {
        let Some((module, test)) = word.rsplit_once("::") else { continue };
        if test.starts_with(char::is_uppercase) {
            continue;
        }
        count += 1;
        let file = root().join("tests/it").join(module.replace("::", "/")).with_extension("rs");
        let text = fs::read_to_string(&file).unwrap_or_default();
        assert!(text.contains(&format!("#[test]\nfn {test}()")), "no test is called `{word}`");
    }
    assert!(count > 10, "{count} tests");
}

#[test]
fn the_first_screen_shows_the_nine_lines() {
    let file = fs::read_to_string(root().join(NINE_LINES)).unwrap();
    assert_eq!(file.lines().count(), 9);
    let readme = blocks_of(&root().join("README.md"), "exp");
    assert_eq!(readme[0].text, file);
}

/// The numbers may differ a little where another processor rounds otherwise.
#[test]
fn the_first_screen_shows_the_table_they_give() {
    let readme = root().join("README.md");
    let shown = &blocks_of(&readme, "text")[0].text;
    let place = project(&readme);
    let output = run(&format!("balance run {NINE_LINES}"), place.path());
    let table = output.split_once("\n\n").unwrap().1;
    // Below it stands what was computed and where it was written.
    let table: String = table.split_inclusive('\n').take(shown.lines().count()).collect();
    let (shown_words, shown_means) = parts(shown);
    let (words, means) = parts(&table);
    assert_eq!(shown_words, words, "README.md shows\n{shown}\nand the run gives\n{table}");
    for (shown, found) in shown_means.iter().zip(&means) {
        assert!((shown - found).abs() < 6.0, "README.md shows {shown}, the run gives\n{table}");
    }
}

const NINE_LINES: &str = "experiments/nine_lines.exp";

/// The words of a table, and the numbers before each `±`.
fn parts(table: &str) -> (Vec<&str>, Vec<f64>) {
    let cells = || table.split_whitespace().filter(|it| !it.starts_with(['─', '═']));
    let words = cells().filter(|it| !it.contains('.') || it.parse::<f64>().is_err()).collect();
    let means = cells().zip(cells().skip(1)).filter(|(_, next)| *next == "±");
    (words, means.filter_map(|(mean, _)| mean.parse().ok()).collect())
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages people write; those of the reference are generated, and their examples are tested
/// with their components.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    for folder in ["docs", "docs/guide"] {
        let paths = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        pages.extend(paths.filter(|path| path.extension().is_some_and(|it| it == "md")));
    }
    pages.sort();
    pages
}

fn blocks_of(page: &Path, language: &str) -> Vec<Block> {
    let text = fs::read_to_string(page).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (at, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(info), None) => {
                let mut words = info.split_whitespace().map(str::to_owned);
                let language = words.next().unwrap_or_default();
                let (name, text) = (words.next(), String::new());
                open = Some(Block { language, name, text, line: at + 1 });
            }
            (None, Some(block)) => block.text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{}: a block is never closed", page.display());
    blocks.retain(|block| block.language == language);
    blocks
}

/// A folder with the experiments of this repository and those that the page names.
fn project(page: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let experiments = folder.path().join("experiments");
    fs::create_dir(&experiments).unwrap();
    for entry in fs::read_dir(root().join("experiments")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, experiments.join(path.file_name().unwrap())).unwrap();
    }
    fs::write(folder.path().join("balance.toml"), "").unwrap();
    for block in blocks_of(page, "exp") {
        if let Some(name) = block.name {
            fs::write(folder.path().join(name), block.text).unwrap();
        }
    }
    folder
}

/// The commands of a session with their line and what they show.
fn commands(block: &Block) -> Vec<(usize, String, String)> {
    let mut commands: Vec<(usize, String, String)> = Vec::new();
    for (at, line) in block.text.lines().enumerate() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => {
                commands.push((block.line + 1 + at, command.to_owned(), String::new()));
            }
            (None, Some((_, _, expected))) => *expected += &format!("{line}\n"),
            (None, None) => panic!("a session begins with `$ `, not with `{line}`"),
        }
    }
    commands
}

/// What a command writes, standard output and error in the order they come.
fn run(command: &str, folder: &Path) -> String {
    let path = folder.join(".output");
    let output = File::create(&path).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_balance")).parent().unwrap();
    let search = std::env::var("PATH").unwrap_or_default();
    Command::new("sh")
        .args(["-c", command])
        .current_dir(folder)
        .env("PATH", format!("{}:{search}", program.display()))
        .env("BALANCE_DATA", folder.join("data"))
        .env_remove("BALANCE_STORE")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stderr(output.try_clone().unwrap())
        .stdout(output)
        .status()
        .unwrap();
    let text = fs::read_to_string(&path).unwrap();
    text.replace(&format!("{}/", folder.display()), "")
}

/// The lines without the space at their ends, and without empty ones at the end.
fn lines(text: &str) -> Vec<&str> {
    text.trim_end().lines().map(str::trim_end).collect()
}

/// Whether lines are as expected; `...` stands for any lines, `[..]` for any text within one.
fn matches(expected: &[&str], found: &[&str]) -> bool {
    match expected.split_first() {
        None => found.is_empty(),
        Some((&"...", rest)) => (0..=found.len()).any(|at| matches(rest, &found[at..])),
        Some((first, rest)) => {
            found.first().is_some_and(|line| matches_line(first, line))
                && matches(rest, &found[1..])
        }
    }
}

fn matches_line(expected: &str, found: &str) -> bool {
    match expected.split_once("[..]") {
        None => expected == found,
        Some((before, after)) => found.strip_prefix(before).is_some_and(|found| {
            let ends = found.char_indices().map(|(at, _)| at).chain([found.len()]);
            ends.into_iter().any(|at| matches_line(after, &found[at..]))
        }),
    }
}
