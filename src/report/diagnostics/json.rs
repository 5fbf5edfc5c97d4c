//! Diagnostics as JSON: stable within a version; fields may be added.

use serde_json::{Value, json};

use super::{Checked, Place, severity};
use crate::diag::{Diagnostic, Fix, Positions, Severity, Sources, Span};

/// Raised when a field changes its meaning or goes.
const VERSION: u32 = 1;

/// One object for everything that was checked.
pub fn json(checked: &[Checked]) -> String {
    let files: Vec<Value> = checked.iter().map(file).collect();
    let diagnostics: Vec<Value> = checked.iter().flat_map(diagnostics).collect();
    let all = json!({ "version": VERSION, "files": files, "diagnostics": diagnostics });
    format!("{:#}\n", all)
}

fn file(checked: &Checked) -> Value {
    let count =
        |severity| checked.diagnostics.iter().filter(|it| it.code.severity == severity).count();
    json!({
        "path": checked.path,
        "errors": count(Severity::Error),
        "warnings": count(Severity::Warning),
        "notes": count(Severity::Note),
    })
}

fn diagnostics(checked: &Checked) -> Vec<Value> {
    let positions = Positions::new(checked.sources);
    checked.diagnostics.iter().map(|it| diagnostic(checked, &positions, it)).collect()
}

fn diagnostic(checked: &Checked, positions: &Positions, diagnostic: &Diagnostic) -> Value {
    let label = |(span, text): &(Span, String)| {
        let mut value = place(positions, checked.sources, *span);
        value["text"] = text.as_str().into();
        value
    };
    let fix = |fix: &Fix| {
        let mut value = place(positions, checked.sources, fix.span);
        value["insert"] = fix.text.as_str().into();
        value
    };
    json!({
        "code": diagnostic.code.number,
        "name": diagnostic.code.name,
        "severity": severity(diagnostic),
        "message": diagnostic.message,
        "labels": diagnostic.labels.iter().map(label).collect::<Vec<_>>(),
        "help": diagnostic.help,
        "more": diagnostic.more,
        "fixes": diagnostic.fixes.iter().map(fix).collect::<Vec<_>>(),
    })
}

fn place(positions: &Positions, sources: &Sources, span: Span) -> Value {
    let Place { file, start, end } = Place::of(positions, sources, span);
    json!({
        "file": file,
        "bytes": [span.start, span.end],
        "start": { "line": start.line, "column": start.column },
        "end": { "line": end.line, "column": end.column },
    })
}
