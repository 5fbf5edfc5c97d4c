//! Diagnostics as workflow commands: GitHub shows them beside the lines of a pull request.

use super::{Checked, Place};
use crate::diag::{Diagnostic, Positions, Severity};

/// One line for each diagnostic.
pub fn github(checked: &[Checked]) -> String {
    let lines = checked.iter().flat_map(|file| {
        let positions = Positions::new(file.sources);
        let line = move |it: &Diagnostic| command(file, &positions, it);
        file.diagnostics.iter().map(line).collect::<Vec<_>>()
    });
    lines.collect()
}

/// `::error file=a.exp,line=1,…,title=B0102 unknown-name::message`
fn command(checked: &Checked, positions: &Positions, diagnostic: &Diagnostic) -> String {
    let severity = match diagnostic.code.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut properties = Vec::new();
    if let Some((span, _)) = diagnostic.labels.first() {
        let Place { file, start, end } = Place::of(positions, checked.sources, *span);
        properties.push(("file", file.to_owned()));
        properties.push(("line", start.line.to_string()));
        properties.push(("endLine", end.line.to_string()));
        properties.push(("col", start.column.to_string()));
        properties.push(("endColumn", end.column.to_string()));
    } else {
        properties.push(("file", checked.path.to_owned()));
    }
    properties.push(("title", format!("{} {}", diagnostic.code.number, diagnostic.code.name)));
    let properties = properties.into_iter().map(|(name, value)| {
        format!("{name}={}", data(&value).replace(':', "%3A").replace(',', "%2C"))
    });
    let properties = properties.collect::<Vec<_>>().join(",");
    format!("::{severity} {properties}::{}\n", data(&text(diagnostic)))
}

/// The message, what is to be said of its main place, and what to write.
fn text(diagnostic: &Diagnostic) -> String {
    let label = diagnostic.labels.first().map(|(_, text)| text.clone());
    let label = label.filter(|text| !text.is_empty());
    let first = [Some(diagnostic.message.clone()), label].into_iter().flatten();
    let first = first.collect::<Vec<_>>().join(": ");
    [std::slice::from_ref(&first), &diagnostic.help[..]].concat().join("\n")
}

/// What would end a command is written as GitHub reads it.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}
