//! Diagnostics for programs: JSON, annotations of GitHub, SARIF.

mod github;
mod json;
mod sarif;

pub use github::github;
pub use json::json;
pub use sarif::sarif;

use crate::diag::{Diagnostic, Position, Positions, Severity, Sources, Span};

/// One file that was checked, and what was found.
#[derive(Clone, Copy)]
pub struct Checked<'a> {
    /// As it was asked for.
    pub path: &'a str,
    pub sources: &'a Sources,
    pub diagnostics: &'a [Diagnostic],
}

/// A span as programs want it: the file's name, and both ends.
struct Place<'a> {
    file: &'a str,
    start: Position,
    end: Position,
}

impl<'a> Place<'a> {
    fn of(positions: &Positions, sources: &'a Sources, span: Span) -> Self {
        let file = &sources.get(span.file).name;
        let of = |at| positions.of(span.file, at);
        Self { file, start: of(span.start), end: of(span.end) }
    }
}

fn severity(diagnostic: &Diagnostic) -> &'static str {
    match diagnostic.code.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}
