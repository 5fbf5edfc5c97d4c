//! Diagnostics: what went wrong, where, and what to write instead.

mod code;
mod fix;
mod position;
mod render;
mod suggest;
mod words;

pub use code::{ALL, Code, Severity, codes};
pub use fix::{Mending, Round};
pub use position::{Position, Positions};
pub use render::{Look, render};
pub use suggest::{certain, closest};
pub(crate) use words::or_list;
pub use words::plural;

/// A byte range of one source file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// Index into [`Sources`].
    pub file: u16,
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// The span from byte `start` to byte `end` of file number `file`.
    pub fn new(file: u16, start: usize, end: usize) -> Self {
        Self { file, start: start as u32, end: end as u32 }
    }

    /// The smallest span that holds both; `other` must be of the same file to matter.
    pub fn to(self, other: Self) -> Self {
        if self.file != other.file {
            return self;
        }
        Self { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// The bytes covered.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A node of the syntax tree with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Spanned<T> {
    pub node: T,
    pub span: Span,
}

/// One file as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The name shown to the user.
    pub name: String,
    pub text: String,
}

impl Source {
    /// Whether this is a file, and not an argument of the command line such as `--set`.
    pub fn is_file(&self) -> bool {
        !self.name.starts_with("--")
    }
}

/// All files of one run; [`Span::file`] indexes them.
#[derive(Debug, Clone, Default)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// Adds a file and returns its number.
    pub fn add(&mut self, source: Source) -> u16 {
        self.0.push(source);
        (self.0.len() - 1) as u16
    }

    /// The file of number `file`.
    pub fn get(&self, file: u16) -> &Source {
        &self.0[usize::from(file)]
    }

    /// Every file, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.0.iter()
    }

    /// The text a span covers.
    pub fn text(&self, span: Span) -> &str {
        self.get(span.file).text.get(span.range()).unwrap_or_default()
    }

    /// The one-based line a span begins on.
    pub fn line(&self, span: Span) -> usize {
        let text = &self.get(span.file).text;
        text.as_bytes()[..(span.start as usize).min(text.len())]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1
    }
}

/// One problem found in an experiment file, or in the world it asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnostic {
    pub code: &'static Code,
    pub message: String,
    /// Places with what is to be said there; the first is the main one.
    pub labels: Vec<(Span, String)>,
    /// What to write instead, one line each.
    pub help: Vec<String>,
    /// What `balance explain` says more about, where that is worth reading.
    pub more: Option<&'static str>,
    /// Edits that together mend it without changing what was meant; none when that takes a person.
    pub fixes: Vec<Fix>,
}

/// An edit of one file: the bytes of `span` become `text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    pub span: Span,
    pub text: String,
}

impl Diagnostic {
    /// A problem of kind `code` without a place yet.
    pub fn new(code: &'static Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            labels: Vec::new(),
            help: Vec::new(),
            more: None,
            fixes: Vec::new(),
        }
    }

    /// Points at `span` and says what is there.
    pub fn at(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push((span, text.into()));
        self
    }

    /// Adds a line of advice.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Says which page of `balance explain` to read.
    pub fn more(mut self, page: &'static str) -> Self {
        self.more = Some(page);
        self
    }

    /// Offers to write `text` in place of `span`; for edits that are safe without a look.
    pub fn fix(mut self, span: Span, text: impl Into<String>) -> Self {
        self.fixes.push(Fix { span, text: text.into() });
        self
    }

    /// Takes back the edits: what is right here may be wrong where the same text is read again.
    pub fn without_fix(mut self) -> Self {
        self.fixes.clear();
        self
    }

    /// Points at `span`, where `written` stands for none of `names`, and says what could: the near
    /// one, or all of them.
    pub fn expected<'n>(
        self,
        span: Span,
        written: &str,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Self {
        let mut names: Vec<&str> = names.into_iter().collect();
        names.dedup();
        if let Some(near) = closest(written, names.iter().copied()) {
            let is_whole = span.range().len() == written.len();
            let mend = certain(written, names.iter().copied()).filter(|_| is_whole);
            let at = self.at(span, format!("did you mean `{near}`?"));
            return match mend {
                Some(near) => at.fix(span, near),
                None => at,
            };
        }
        let list = or_list(&names);
        match list.len() {
            0 => self.at(span, "there is nothing of this kind"),
            1..=48 => self.at(span, format!("expected {list}")),
            _ => self.at(span, "not one of them").help(format!("expected {list}")),
        }
    }

    /// Whether this stops the run.
    pub fn is_error(&self) -> bool {
        self.code.severity == Severity::Error
    }
}

/// Each problem once: the cells of a sweep share most of what can be wrong with them.
pub fn distinct(diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut seen = std::collections::BTreeSet::new();
    let is_new = |it: &Diagnostic| {
        seen.insert((it.code.number, it.message.clone(), it.labels.first().cloned()))
    };
    let mut diagnostics = diagnostics;
    diagnostics.retain(is_new);
    diagnostics
}

/// Whether any of `diagnostics` stops the run.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(Diagnostic::is_error)
}

/// What was only a warning before is an error for a command that needs the data.
pub fn require_data(diagnostics: &mut [Diagnostic]) {
    for diagnostic in diagnostics.iter_mut().filter(|it| it.code == &codes::DATA) {
        diagnostic.code = &codes::NO_DATA;
    }
}
