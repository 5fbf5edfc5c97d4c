//! Diagnostics as text: for a terminal, or plain as golden files and logs need them.

use std::fmt;

use super::{Diagnostic, Fix, Severity, Sources, Span};

/// How diagnostics are drawn.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    pub color: bool,
    pub unicode: bool,
    /// Columns available.
    pub width: usize,
}

impl Look {
    /// Unicode without colour at 88 columns.
    pub fn plain() -> Self {
        Self { color: false, unicode: true, width: 88 }
    }

    fn theme(self) -> miette::GraphicalTheme {
        match (self.unicode, self.color) {
            (true, true) => miette::GraphicalTheme::unicode(),
            (true, false) => miette::GraphicalTheme::unicode_nocolor(),
            (false, true) => miette::GraphicalTheme {
                characters: miette::ThemeCharacters::ascii(),
                styles: miette::ThemeStyles::ansi(),
            },
            (false, false) => miette::GraphicalTheme::none(),
        }
    }
}

const WRITES: &str = "a String takes every write";

/// More diagnostics than this are counted, not drawn.
const MOST_DRAWN: usize = 50;

/// Draws `diagnostics`, each with the lines it points at.
pub fn render(sources: &Sources, diagnostics: &[Diagnostic], look: Look) -> String {
    let handler = miette::GraphicalReportHandler::new_themed(look.theme())
        .with_width(look.width)
        .without_syntax_highlighting();
    let mut out = String::new();
    for diagnostic in diagnostics.iter().take(MOST_DRAWN) {
        let spelt = if look.unicode { diagnostic } else { &in_ascii(diagnostic) };
        let shown = Shown::new(sources, spelt);
        handler.render_report(&mut out, &shown).expect(WRITES);
        out.push('\n');
        for elsewhere in &shown.elsewhere {
            handler.render_report(&mut out, elsewhere).expect(WRITES);
            out.push('\n');
        }
    }
    if diagnostics.len() > MOST_DRAWN {
        out.push_str(&format!("and {} more\n", diagnostics.len() - MOST_DRAWN));
    }
    out
}

/// The same without the signs that messages use and ASCII has not.
fn in_ascii(diagnostic: &Diagnostic) -> Diagnostic {
    let spell = |text: &str| {
        text.replace('…', "...").replace('×', "x").replace('±', "+-").replace('–', "-")
    };
    let label = |(span, text): &(Span, String)| (*span, spell(text));
    Diagnostic {
        message: spell(&diagnostic.message),
        labels: diagnostic.labels.iter().map(label).collect(),
        help: diagnostic.help.iter().map(|line| spell(line)).collect(),
        ..diagnostic.clone()
    }
}

/// One diagnostic beside the text of its main file; places in other files are drawn below it.
#[derive(Debug)]
struct Shown<'a> {
    diagnostic: &'a Diagnostic,
    code: String,
    help: Option<String>,
    source: Option<miette::NamedSource<String>>,
    labels: Vec<miette::LabeledSpan>,
    elsewhere: Vec<Elsewhere>,
}

/// A label that points into another file than the main one.
#[derive(Debug)]
struct Elsewhere {
    text: String,
    source: miette::NamedSource<String>,
    label: miette::LabeledSpan,
}

/// Lines of more bytes than this are not drawn.
const LONGEST_LINE: usize = 400;

impl<'a> Shown<'a> {
    /// A diagnostic with the places it points at, or with their line numbers where a line is too
    /// long to be looked at.
    fn new(sources: &Sources, diagnostic: &'a Diagnostic) -> Self {
        let is_long = |(span, _): &&(Span, String)| line_around(sources, *span) > LONGEST_LINE;
        match diagnostic.labels.iter().find(is_long) {
            Some(_) => Self::without_lines(sources, diagnostic),
            None => Self::with_lines(sources, diagnostic),
        }
    }

    fn without_lines(sources: &Sources, diagnostic: &'a Diagnostic) -> Self {
        let place = |(span, text): &(Span, String)| {
            format!("{}:{}: {text}", sources.get(span.file).name, sources.line(*span))
        };
        let lines: Vec<String> = diagnostic.labels.iter().map(place).collect();
        Self {
            diagnostic,
            code: format!("{} {}", diagnostic.code.number, diagnostic.code.name),
            help: Some([lines, help(sources, diagnostic)].concat().join("\n")),
            source: None,
            labels: Vec::new(),
            elsewhere: Vec::new(),
        }
    }

    fn with_lines(sources: &Sources, diagnostic: &'a Diagnostic) -> Self {
        let file = diagnostic.labels.first().map(|(span, _)| span.file);
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            diagnostic.labels.iter().partition(|(span, _)| Some(span.file) == file);
        Self {
            diagnostic,
            code: format!("{} {}", diagnostic.code.number, diagnostic.code.name),
            help: Some(help(sources, diagnostic).join("\n")).filter(|help| !help.is_empty()),
            source: file.map(|file| named(sources, file)),
            labels: here.into_iter().map(|(span, text)| label(sources, *span, text)).collect(),
            elsewhere: elsewhere
                .into_iter()
                .map(|(span, text)| Elsewhere {
                    text: text.clone(),
                    source: named(sources, span.file),
                    label: label(sources, *span, ""),
                })
                .collect(),
        }
    }
}

/// The lines of advice; the last says what the program itself can do about it.
fn help(sources: &Sources, diagnostic: &Diagnostic) -> Vec<String> {
    let is_fixable = |fix: &Fix| sources.get(fix.span.file).is_file();
    let fix = (!diagnostic.fixes.is_empty() && diagnostic.fixes.iter().all(is_fixable))
        .then(|| "fix available: `balance check --fix`".to_owned());
    let more = diagnostic.more.map(|page| format!("more: `balance explain {page}`"));
    let last = [fix, more].into_iter().flatten().collect::<Vec<_>>().join("   ");
    let last = Some(last).filter(|line| !line.is_empty());
    diagnostic.help.iter().cloned().chain(last).collect()
}

fn named(sources: &Sources, file: u16) -> miette::NamedSource<String> {
    let source = sources.get(file);
    // Without a last newline a label at the end of the file would not be drawn.
    let end = if source.text.ends_with('\n') { "" } else { "\n" };
    miette::NamedSource::new(&source.name, format!("{}{end}", source.text))
}

/// The length of the longest of the line of `span` and its neighbours, in bytes.
fn line_around(sources: &Sources, span: Span) -> usize {
    let text = &sources.get(span.file).text;
    let line = sources.line(span) - 1;
    text.lines().skip(line.saturating_sub(1)).take(3).map(str::len).max().unwrap_or_default()
}

/// A label on one line of the text, on character borders, whatever span it was made from.
fn label(sources: &Sources, span: Span, text: &str) -> miette::LabeledSpan {
    let source = &sources.get(span.file).text;
    let border = |mut at: usize| {
        at = at.min(source.len());
        while !source.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (start, end) = (border(span.start as usize), border(span.end as usize));
    let line = source.get(start..end).and_then(|text| text.lines().next()).unwrap_or_default();
    let end = start + line.len();
    let text = (!text.is_empty()).then(|| text.to_owned());
    miette::LabeledSpan::new(text, start, end - start)
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.diagnostic.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::Diagnostic for Shown<'_> {
    fn code<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        Some(Box::new(&self.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.code.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Note => miette::Severity::Advice,
        })
    }

    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        self.help.as_ref().map(|help| Box::new(help) as _)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.source.as_ref().map(|source| source as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        (!self.labels.is_empty()).then(|| Box::new(self.labels.iter().cloned()) as _)
    }
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Elsewhere {}

impl miette::Diagnostic for Elsewhere {
    fn severity(&self) -> Option<miette::Severity> {
        Some(miette::Severity::Advice)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        Some(Box::new(std::iter::once(self.label.clone())))
    }
}
