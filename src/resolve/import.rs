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
    /// The name of each import, and the file it stands for.
    pub imports: Vec<(String, u16)>,
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

/// Reads `path` and what it imports through `reader`.
pub fn load(path: &Path, sources: &mut Sources, reader: Reader) -> (Program, Vec<Diagnostic>) {
    let mut loader =
        Loader { sources, reader, program: Program::default(), diagnostics: Vec::new() };
    loader.module(path, None, &mut Vec::new());
    (loader.program, loader.diagnostics)
}

struct Loader<'a> {
    sources: &'a mut Sources,
    reader: Reader<'a>,
    program: Program,
    diagnostics: Vec<Diagnostic>,
}

impl Loader<'_> {
    /// The number of the file at `path`, which `from` imports; none when it cannot be read.
    fn module(&mut self, path: &Path, from: Option<Span>, above: &mut Vec<PathBuf>) -> Option<u16> {
        if above.iter().any(|it| it == path) {
            self.report(&codes::IMPORT, "these files import each other in a circle", from);
            return None;
        }
        if let Some(known) = self.program.files.iter().find(|module| module.path == path) {
            return Some(known.file);
        }
        let text = self.read(path, from)?;
        let file = self.sources.add(Source { name: shown(path), text: text.clone() });
        let (tree, mut errors) = parse(file, &text);
        self.diagnostics.append(&mut errors);
        let at = self.program.files.len();
        self.program.files.push(Module { file, path: path.into(), tree, imports: Vec::new() });
        above.push(path.to_owned());
        let imports = self.imports(at, path, above);
        above.pop();
        self.program.files[at].imports = imports;
        Some(file)
    }

    fn imports(&mut self, at: usize, path: &Path, above: &mut Vec<PathBuf>) -> Vec<(String, u16)> {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let statements = self.program.files[at].tree.statements.clone();
        let mut imports = Vec::new();
        for statement in &statements {
            let Statement::Import { path, name } = statement else { continue };
            let target = tidy(&folder.join(&path.node));
            if let Some(file) = self.module(&target, Some(path.span), above) {
                imports.push((name.node.clone(), file));
            }
        }
        imports
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
                self.report(code, &message, from);
                return None;
            }
        };
        match String::from_utf8(bytes) {
            Ok(text) => Some(text),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let message =
                    format!("`{}` is not UTF-8 text: byte {at} is no character", shown(path));
                self.report(&codes::UNREADABLE, &message, from);
                None
            }
        }
    }

    fn report(&mut self, code: &'static crate::diag::Code, message: &str, from: Option<Span>) {
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
