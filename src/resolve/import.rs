//! A file with everything it imports.

use std::path::{Path, PathBuf};

use crate::diag::{Diagnostic, Source, Sources, Span, codes};
use crate::syntax::{File, Statement, parse};

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
}

impl Module {
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

/// Most files one after the other that import each other; recursion relies on it.
const DEEPEST: usize = 32;
/// Most files of one program.
const MOST_FILES: usize = 1000;

/// Reads `path` and what it imports through `reader`.
pub fn load(path: &Path, sources: &mut Sources, reader: Reader) -> (Program, Vec<Diagnostic>) {
    let program = Program::default();
    let mut loader =
        Loader { sources, reader, program, above: Vec::new(), diagnostics: Vec::new() };
    loader.module(path, None);
    (loader.program, loader.diagnostics)
}

struct Loader<'a> {
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
        let at = self.program.files.len();
        self.program.files.push(Module { file, path: path.into(), tree, imports: Vec::new() });
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
        let bytes = match (self.reader)(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                let why = match error.kind() {
                    std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
                    _ => error.to_string(),
                };
                let message = format!("`{}` cannot be read: {why}", shown(path));
                let code = if from.is_some() { &codes::IMPORT } else { &codes::UNREADABLE };
                self.report(code, message, from);
                return None;
            }
        };
        String::from_utf8(bytes).map_err(|error| self.not_text(path, error, from)).ok()
    }

    fn not_text(&mut self, path: &Path, error: std::string::FromUtf8Error, from: Option<Span>) {
        let at = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..at];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let byte = error.as_bytes()[at];
        let message =
            format!("`{}` is not UTF-8 text: line {line} holds the byte {byte:#04x}", shown(path));
        self.report(&codes::UNREADABLE, message, from);
        if let Some(last) = self.diagnostics.last_mut() {
            last.help.push("save it as UTF-8".to_owned());
        }
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
fn tidy(path: &Path) -> PathBuf {
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
