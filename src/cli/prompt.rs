//! Text to the terminal. A reader that goes away ends the output, not the program.

use std::io::{IsTerminal, Write};

use crate::diag::{Diagnostic, Look, Severity, Sources, render};

/// Writes to standard output.
pub fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Writes to standard error.
pub fn eprint(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Draws diagnostics on standard error, notes last, with a line that counts them.
pub fn diagnose(sources: &Sources, diagnostics: &[Diagnostic]) {
    if diagnostics.is_empty() {
        return;
    }
    let is_terminal = std::io::stderr().is_terminal();
    let color = is_terminal && std::env::var_os("NO_COLOR").is_none();
    let width = if is_terminal { terminal_width() } else { 88 };
    let mut sorted: Vec<Diagnostic> = diagnostics.to_vec();
    sorted.sort_by_key(|diagnostic| match diagnostic.code.severity {
        Severity::Error => 0,
        Severity::Warning => 1,
        Severity::Note => 2,
    });
    eprint(&render(sources, &sorted, Look { color, unicode: true, width }));
    eprint(&format!("{}\n", count(&sorted)));
}

fn terminal_width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    columns.unwrap_or(96usize).clamp(60, 120)
}

/// `2 errors, 1 warning`
fn count(diagnostics: &[Diagnostic]) -> String {
    let kinds =
        [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")];
    let counts = kinds.iter().filter_map(|(severity, word)| {
        let n = diagnostics.iter().filter(|it| it.code.severity == *severity).count();
        (n > 0).then(|| crate::plan::plural(n, word))
    });
    counts.collect::<Vec<_>>().join(", ")
}
