//! Text to the terminal. A reader that goes away ends the output, not the program.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;

use crate::diag::{Diagnostic, Look, Severity, Sources, render};

/// How the program speaks to a person.
#[derive(clap::Args, Clone, Copy, Default)]
pub struct Style {
    /// When to colour [default: auto, which heeds NO_COLOR]
    #[arg(long, global = true, value_name = "WHEN", hide_default_value = true)]
    #[arg(value_enum, default_value_t)]
    color: Color,
    /// Draw diagnostics with ASCII signs only
    #[arg(long, global = true)]
    ascii: bool,
    /// Leave out notes, and what is sound
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(clap::ValueEnum, Clone, Copy, Default)]
enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

static STYLE: OnceLock<Style> = OnceLock::new();

/// Why standard output did not take all of it.
static LOST: OnceLock<String> = OnceLock::new();

/// Sets how to speak, once, before anything is said.
pub fn speak(style: Style) {
    let _ = STYLE.set(style);
}

fn style() -> Style {
    STYLE.get().copied().unwrap_or_default()
}

/// Whether only problems are to be told.
pub fn is_quiet() -> bool {
    style().quiet
}

/// Writes to standard output. What is lost there is told by `finish`, so that a training goes on.
pub fn print(text: &str) {
    remember(std::io::stdout().write_all(text.as_bytes()));
}

/// Writes what is held back; says whether all that was printed has arrived, or has no reader.
pub fn finish() -> bool {
    remember(std::io::stdout().flush());
    if let Some(why) = LOST.get() {
        eprint(&format!("standard output cannot be written: {why}\n"));
    }
    LOST.get().is_none()
}

fn remember(written: io::Result<()>) {
    if let Some(error) = written.err().filter(|it| it.kind() != ErrorKind::BrokenPipe) {
        let _ = LOST.set(error.to_string());
    }
}

/// Writes to standard error.
pub fn eprint(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Draws diagnostics on standard error, notes last, with a line that counts them.
pub fn diagnose(sources: &Sources, diagnostics: &[Diagnostic]) {
    let mut sorted: Vec<Diagnostic> = diagnostics.to_vec();
    sorted.retain(|it| !is_quiet() || it.code.severity != Severity::Note);
    if sorted.is_empty() {
        return;
    }
    sorted.sort_by_key(|diagnostic| match diagnostic.code.severity {
        Severity::Error => 0,
        Severity::Warning => 1,
        Severity::Note => 2,
    });
    eprint(&render(sources, &sorted, look()));
    eprint(&format!("{}\n", count(&sorted)));
}

fn look() -> Look {
    let is_terminal = std::io::stderr().is_terminal();
    let color = match style().color {
        Color::Auto => is_terminal && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty()),
        Color::Always => true,
        Color::Never => false,
    };
    let width = if is_terminal { terminal_width() } else { 88 };
    Look { color, unicode: !style().ascii && is_unicode(), width }
}

/// Whether the locale, if one is set, is written in UTF-8.
fn is_unicode() -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(std::env::var_os);
    let first = set.map(|it| it.to_string_lossy().to_lowercase()).find(|it| !it.is_empty());
    first.is_none_or(|it| it.contains("utf-8") || it.contains("utf8"))
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
