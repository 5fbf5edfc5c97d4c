//! `# allow(B0212): reason` above a statement: warnings and notes that are meant.

use super::{Options, Program};
use crate::diag::{ALL, Code, Diagnostic, Severity, Sources, Span, closest, codes, has_errors};
use crate::syntax::{Block, Statement};

/// A comment that silences.
struct Allow<'a> {
    /// The words between the parentheses, with their places.
    codes: Vec<(Span, &'a str)>,
    has_reason: bool,
    comment: Span,
    /// The next statement.
    covers: Span,
}

/// Leaves out what the comments of `program` allow, and adds what is wrong with them. `found` is
/// everything found in it, and `options` what was asked for.
pub fn allow(
    program: &Program,
    sources: &Sources,
    options: &Options,
    found: Vec<Diagnostic>,
) -> Vec<Diagnostic> {
    let allows: Vec<Allow> = program.files.iter().flat_map(|it| allows(it, sources)).collect();
    if allows.is_empty() {
        return found;
    }
    let is_allowed = |it: &Diagnostic| allows.iter().any(|allow| allow.silences(it));
    let (silenced, mut left): (Vec<_>, Vec<_>) = found.into_iter().partition(is_allowed);
    let root = program.root().map(|module| module.file);
    // With errors, or of a part of the file, not everything is found that could be.
    let is_whole = !has_errors(&left) && options.is_whole();
    for allow in &allows {
        let mut wrong = allow.mistakes();
        if wrong.is_empty() && is_whole && Some(allow.comment.file) == root {
            wrong = allow.unused(&silenced, options);
        }
        left.extend(wrong);
    }
    left
}

/// The allowing comments of a file.
fn allows<'a>(module: &super::import::Module, sources: &'a Sources) -> Vec<Allow<'a>> {
    let read = |comment: &Span| Allow::read(*comment, sources);
    let mut found: Vec<Allow> = module.tree.comments.iter().filter_map(read).collect();
    if !found.is_empty() {
        let end = sources.get(module.file).text.len() as u32;
        let mut covers = Vec::new();
        cover(&module.tree.statements, end, &mut covers);
        for allow in &mut found {
            let next = covers.partition_point(|it| it.start <= allow.comment.start);
            // Behind the last statement there is nothing to cover.
            let none = Span { start: end, end, ..allow.comment };
            allow.covers = covers.get(next).copied().unwrap_or(none);
        }
    }
    found
}

impl<'a> Allow<'a> {
    /// `# allow(CODE, …): reason`; none for any other comment.
    fn read(comment: Span, sources: &'a Sources) -> Option<Self> {
        let text = sources.text(comment);
        let inside = text.trim_start_matches('#').trim_start().strip_prefix("allow(")?;
        let (list, rest) = inside.split_once(')').unwrap_or((inside, ""));
        let mut at = comment.start + (text.len() - inside.len()) as u32;
        let mut codes = Vec::new();
        for word in list.split(',') {
            let start = at + (word.len() - word.trim_start().len()) as u32;
            let name = word.trim();
            codes.push((Span { start, end: start + name.len() as u32, ..comment }, name));
            at += word.len() as u32 + 1;
        }
        let reason = rest.trim_start().strip_prefix(':').unwrap_or_default();
        let has_reason = !reason.trim().is_empty();
        Some(Self { codes, has_reason, comment, covers: comment })
    }

    /// Errors are no matter of opinion, and what is on the machine none of the file's.
    fn silences(&self, diagnostic: &Diagnostic) -> bool {
        let named = self.codes.iter().filter_map(|(_, name)| Code::find(name));
        named.into_iter().any(|code| code == diagnostic.code && is_allowable(code))
            && diagnostic.labels.iter().any(|(span, _)| {
                span.file == self.covers.file
                    && (self.covers.start..self.covers.end).contains(&span.start)
            })
    }

    fn mistakes(&self) -> Vec<Diagnostic> {
        let mut out: Vec<Diagnostic> =
            self.codes.iter().filter_map(|(span, name)| mistake(*span, name)).collect();
        if out.is_empty() && !self.has_reason {
            let end = Span { start: self.comment.end, ..self.comment };
            out.push(
                Diagnostic::new(&codes::NO_REASON, "what is allowed needs a reason")
                    .at(end, "add `: why`")
                    .help("who reads this file next has to know whether it still holds"),
            );
        }
        out
    }

    fn unused(&self, silenced: &[Diagnostic], options: &Options) -> Vec<Diagnostic> {
        let is_unused = |name: &str| {
            let code = Code::find(name);
            let is_looked_for = options.theory || !code.is_some_and(is_theory);
            is_looked_for && !silenced.iter().any(|it| Some(it.code) == code && self.silences(it))
        };
        let unused = self.codes.iter().filter(|(_, name)| is_unused(name));
        let report = |(span, name): &(Span, &str)| {
            let message = format!("there is no `{name}` to allow in the next statement");
            Diagnostic::new(&codes::UNUSED_ALLOW, message)
                .at(*span, "silences nothing")
                .help("take it out, or put it on the line above the statement it is for")
        };
        unused.map(report).collect()
    }
}

/// Whether it is found only where theory is asked for.
fn is_theory(code: &Code) -> bool {
    code.number.starts_with('T')
}

fn is_allowable(code: &Code) -> bool {
    code.severity != Severity::Error && code != &codes::DATA
}

/// Why `name` cannot be allowed.
fn mistake(span: Span, name: &str) -> Option<Diagnostic> {
    let wrong = |message: String| Diagnostic::new(&codes::CANNOT_ALLOW, message);
    match Code::find(name) {
        Some(code) if is_allowable(code) => None,
        Some(code) if code.severity == Severity::Error => {
            let message = format!("`{name}` is an error, and cannot be allowed");
            Some(wrong(message).at(span, format!("{}: mend it instead", code.name)))
        }
        Some(_) => {
            let message = format!("`{name}` depends on the machine, and is not allowed in a file");
            Some(wrong(message).at(span, "not a property of the experiment"))
        }
        None => {
            let diagnostic = wrong(format!("no diagnostic is called `{name}`"));
            let names = ALL.iter().flat_map(|code| [code.number, code.name]);
            Some(match closest(name, names.clone()) {
                Some(_) => diagnostic.expected(span, name, names),
                None => diagnostic
                    .at(span, "a number such as B0212, or a name such as `lonely-anchors`")
                    .help("`balance explain` lists them all"),
            })
        }
    }
}

/// Every statement with how far it reaches, blocks with their bodies, in the order they begin.
fn cover(statements: &[Statement], end: u32, out: &mut Vec<Span>) {
    for (at, statement) in statements.iter().enumerate() {
        let here = start(statement);
        let end = statements.get(at + 1).map_or(end, |next| start(next).start);
        out.push(Span { end, ..here });
        if let Statement::Block(block) = statement {
            cover(&block.body, end, out);
            cover(otherwise(block), end, out);
        }
    }
}

fn otherwise(block: &Block) -> &[Statement] {
    block.otherwise.as_deref().unwrap_or_default()
}

/// A place at the beginning of a statement, behind its keyword at the most.
fn start(statement: &Statement) -> Span {
    match statement {
        Statement::Edition(edition) => edition.span,
        Statement::Import { path, .. } => path.span,
        Statement::Let { name, .. } => name.span,
        Statement::Param(param) => param.name.span,
        Statement::Declaration { kind, .. } => kind.span,
        Statement::Block(block) => block.header,
        Statement::Field(field) => field.path.span,
        Statement::Where(test) | Statement::Expect(test) => test.span,
        Statement::Claim { text, .. } => text.span,
        Statement::Unreadable(span) => *span,
    }
}
