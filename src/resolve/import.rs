//! A file with everything it imports.

#![allow(clippy::disallowed_types, reason = "names are looked up, and never listed from here")]

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use super::scope::declared_by;
use crate::diag::{Diagnostic, Source, Sources, Span, codes};
use crate::syntax::{File, Statement, parse, place_of_edition};

/// How files are read; the core itself does no input.
pub type Reader<'a> = &'a dyn Fn(&Path) -> std::io::Result<Vec<u8>>;

/// A file and the files it imports, each read once.
#[derive(Debug, Clone, Default)]
pub struct Program {
    pub files: Vec<Module>,
}

/// One file of a program.
#[derive(Debug, Clone)]
pub struct Module {
    /// Its number among the sources.
    pub file: u16,
    pub path: PathBuf,
    pub tree: File,
    /// The name of each import, and the file it stands for; none when that cannot be read.
    pub imports: Vec<(String, Option<u16>)>,
    /// The number of the statement that declares each name, the first if there are several.
    pub names: HashMap<String, usize>,
    /// The numbers of the parameters whose value to begin with depends on something.
    pub linked: Vec<usize>,
}

impl Module {
    fn new(file: u16, path: &Path, tree: File) -> Self {
        let (mut names, mut linked) = (HashMap::new(), Vec::new());
        for (at, statement) in tree.statements.iter().enumerate() {
            let Some((name, meaning)) = declared_by(statement) else { continue };
            names.entry(name.node.clone()).or_insert(at);
            linked.extend(meaning.is_linked_param().then_some(at));
        }
        Self { file, path: path.into(), tree, imports: Vec::new(), names, linked }
    }

    /// The file imported as `alias`.
    pub fn import(&self, alias: &str) -> Option<u16> {
        let found = self.imports.iter().find(|(name, _)| name == alias);
        found.and_then(|(_, file)| *file)
    }
}

impl Program {
    /// The file that was asked for.
    pub fn root(&self) -> Option<&Module> {
        self.files.first()
    }

    /// The file of number `file`; text from elsewhere, such as `--set`, speaks as the root file.
    pub fn module(&self, file: u16) -> Option<&Module> {
        self.files.iter().find(|module| module.file == file).or_else(|| self.root())
    }
}

/// Where files may be imported from; everywhere when no folder is given.
#[derive(Debug, Clone, Default)]
pub struct Bounds {
    /// The folder that paths which are not absolute start from.
    pub here: PathBuf,
    /// The project's folder, and those the user allows.
    pub folders: Vec<PathBuf>,
}

impl Bounds {
    fn allow(&self, path: &Path) -> bool {
        let path = tidy(&self.here.join(path));
        self.folders.is_empty() || self.folders.iter().any(|folder| path.starts_with(tidy(folder)))
    }
}

/// Most bytes of a file.
pub const MOST_BYTES: u64 = 64 << 20;
/// Most files one after the other that import each other; recursion relies on it.
const DEEPEST: usize = 32;
/// Most files of one program.
const MOST_FILES: usize = 1000;

/// Reads `path` and what it imports through `reader`.
pub fn load(path: &Path, sources: &mut Sources, reader: Reader) -> (Program, Vec<Diagnostic>) {
    load_within(&Bounds::default(), path, sources, reader)
}

/// The same with imports from within `bounds` only.
pub fn load_within(
    bounds: &Bounds,
    path: &Path,
    sources: &mut Sources,
    reader: Reader,
) -> (Program, Vec<Diagnostic>) {
    let program = Program::default();
    let (above, diagnostics) = (Vec::new(), Vec::new());
    let mut loader = Loader { bounds, sources, reader, program, above, diagnostics };
    loader.module(path, None);
    (loader.program, loader.diagnostics)
}

/// The text of the file at `path`, of which `found` was read.
///
/// # Errors
/// When it could not be read, is too large to be one that a person writes, or is no text.
pub fn decode(path: &Path, found: io::Result<Vec<u8>>) -> Result<String, Diagnostic> {
    let found = found.and_then(|bytes| match bytes.len() as u64 {
        size if size > MOST_BYTES => Err(too_large(size)),
        _ => Ok(bytes),
    });
    match found {
        Ok(bytes) => String::from_utf8(bytes).map_err(|error| not_text(path, &error)),
        Err(error) => {
            let why = match error.kind() {
                io::ErrorKind::NotFound => "there is no such file".to_owned(),
                _ => error.to_string(),
            };
            let message = format!("`{}` cannot be read: {why}", shown(path));
            Err(Diagnostic::new(&codes::UNREADABLE, message))
        }
    }
}

/// Why a file of `size` bytes is not read.
pub fn too_large(size: u64) -> io::Error {
    let mib = |size: u64| size as f64 / f64::from(1 << 20);
    let (size, most) = (mib(size), mib(MOST_BYTES));
    let why = format!("it has {size:.1} MiB, and a file may have {most}");
    io::Error::new(io::ErrorKind::FileTooLarge, why)
}

/// What to say of a file without an edition.
fn no_edition(file: u16, tree: &File, text: &str) -> Option<Diagnostic> {
    let at = place_of_edition(tree, text)?;
    let place = Span::new(file, at, at);
    Some(
        Diagnostic::new(
            &codes::NO_EDITION,
            "this file does not say which edition it is written in",
        )
        .at(place, "expected `edition 1`")
        .help("without it the newest is taken, which may one day read the file otherwise")
        .fix(place, "edition 1\n\n"),
    )
}

fn not_text(path: &Path, error: &std::string::FromUtf8Error) -> Diagnostic {
    let at = error.utf8_error().valid_up_to();
    let line = error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
    let byte = error.as_bytes()[at];
    let message =
        format!("`{}` is not UTF-8 text: line {line} holds the byte {byte:#04x}", shown(path));
    Diagnostic::new(&codes::UNREADABLE, message).help("save it as UTF-8")
}

struct Loader<'a> {
    bounds: &'a Bounds,
    sources: &'a mut Sources,
    reader: Reader<'a>,
    program: Program,
    /// The files that are being read, each importing the next, and where each is imported.
    above: Vec<(PathBuf, Option<Span>)>,
    diagnostics: Vec<Diagnostic>,
}

impl Loader<'_> {
    /// The number of the file at `path`, imported at `from`; none when it cannot be read.
    fn module(&mut self, path: &Path, from: Option<Span>) -> Option<u16> {
        if let Some(at) = self.above.iter().position(|(it, _)| it == path) {
            self.circle(at, from);
            return None;
        }
        if let Some(known) = self.program.files.iter().find(|module| module.path == path) {
            return Some(known.file);
        }
        if self.above.len() >= DEEPEST || self.program.files.len() >= MOST_FILES {
            self.report(&codes::IMPORT, "these imports go too deep".to_owned(), from);
            return None;
        }
        let text = self.read(path, from)?;
        let file = self.sources.add(Source { name: shown(path), text: text.clone() });
        let (tree, mut errors) = parse(file, &text);
        self.diagnostics.append(&mut errors);
        self.diagnostics.extend(no_edition(file, &tree, &text));
        let at = self.program.files.len();
        self.program.files.push(Module::new(file, path, tree));
        self.above.push((path.to_owned(), from));
        let imports = self.imports(at, path);
        self.above.pop();
        self.program.files[at].imports = imports;
        Some(file)
    }

    fn imports(&mut self, at: usize, path: &Path) -> Vec<(String, Option<u16>)> {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let statements = self.program.files[at].tree.statements.iter();
        let imports: Vec<_> = statements
            .filter_map(|statement| match statement {
                Statement::Import { path, name } => Some((path.clone(), name.node.clone())),
                _ => None,
            })
            .collect();
        let load = |(path, name): (crate::diag::Spanned<String>, String)| {
            (name, self.module(&tidy(&folder.join(&path.node)), Some(path.span)))
        };
        imports.into_iter().map(load).collect()
    }

    fn circle(&mut self, at: usize, from: Option<Span>) {
        let names: Vec<String> = self.above[at..].iter().map(|(path, _)| shown(path)).collect();
        let message = match &names[..] {
            [only] => format!("`{only}` imports itself"),
            names => format!("these files import each other: {}", names.join(", ")),
        };
        self.report(&codes::IMPORT, message, from);
        if let (Some(last), true) = (self.diagnostics.last_mut(), names.len() > 1) {
            let spans = self.above[at + 1..].iter().filter_map(|(_, span)| *span);
            last.labels.extend(spans.map(|span| (span, "and here".to_owned())));
            last.help.push("move what they share into a file that imports neither".to_owned());
        }
    }

    fn read(&mut self, path: &Path, from: Option<Span>) -> Option<String> {
        let found = match from {
            Some(_) if !self.bounds.allow(path) => Err(self.outside(path)),
            // What is missing is the fault of the line that asks for it.
            Some(_) => match (self.reader)(path) {
                Err(error) => {
                    decode(path, Err(error)).map_err(|it| Diagnostic { code: &codes::IMPORT, ..it })
                }
                found => decode(path, found),
            },
            None => decode(path, (self.reader)(path)),
        };
        let at = |it: Diagnostic| match from {
            Some(span) => it.at(span, "imported here"),
            None => it,
        };
        found.map_err(|diagnostic| self.diagnostics.push(at(diagnostic))).ok()
    }

    fn outside(&self, path: &Path) -> Diagnostic {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.map_or_else(|| ".".to_owned(), shown);
        let message = format!("`{}` lies outside the project", shown(path));
        Diagnostic::new(&codes::IMPORT, message)
            .help("copy it into the project, so that the experiment is whole wherever that goes")
            .help(format!("or allow it: `--allow-import {folder}`"))
    }

    fn report(&mut self, code: &'static crate::diag::Code, message: String, from: Option<Span>) {
        let diagnostic = Diagnostic::new(code, message);
        self.diagnostics.push(match from {
            Some(span) => diagnostic.at(span, "imported here"),
            None => diagnostic,
        });
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The path without `.` and `folder/..`.
pub(super) fn tidy(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir
                if matches!(
                    out.components().next_back(),
                    Some(std::path::Component::Normal(_))
                ) =>
            {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}
