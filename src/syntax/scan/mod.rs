//! The outline of a file: which bytes are statements, block headers and bodies.
//!
//! It is found before any grammar rule is tried, so that a bracket left open or a statement that
//! cannot be read does not hide the rest of the file.

use self::nest::{Nest, closer};
use crate::diag::{Diagnostic, Span, codes};

mod nest;
mod report;

/// A piece of a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// A statement without a body.
    Statement(Span),
    /// A header with its body, and the body behind `else`.
    Block { header: Span, body: Vec<Item>, otherwise: Option<Vec<Item>> },
    /// What cannot be read, and was reported.
    Unreadable(Span),
}

/// What the scan gives: the pieces, and the text with every comment, every tab outside strings, and
/// every newline inside brackets, turned into spaces (byte for byte, so that places stay).
pub struct Outline {
    pub items: Vec<Item>,
    pub text: String,
    /// Where comments stand, in order.
    pub comments: Vec<Span>,
    pub diagnostics: Vec<Diagnostic>,
}

/// Most blocks around a statement; recursion over blocks relies on it.
const MOST_BLOCKS: usize = 16;
/// Most brackets and operators around a value; recursion over expressions relies on it.
const MOST_NESTED: usize = 128;

/// Finds the outline of file number `file`.
pub fn outline(file: u16, source: &str) -> Outline {
    let mut scan = Scan {
        file,
        bytes: source.as_bytes().to_vec(),
        at: if source.starts_with('\u{feff}') { 3 } else { 0 },
        depth: 0,
        guess: false,
        surplus: 0,
        content_end: 0,
        broken: Vec::new(),
        comments: Vec::new(),
        diagnostics: Vec::new(),
    };
    scan.bytes[..scan.at].fill(b' ');
    scan.blank_comments();
    scan.guess = !scan.is_balanced();
    scan.surplus = if scan.guess { scan.surplus_braces() } else { 0 };
    scan.content_end = scan.bytes.trim_ascii_end().len();
    let items = scan.items(None);
    let text = String::from_utf8(scan.bytes).expect("only whole ASCII bytes were replaced");
    let (comments, diagnostics) = (scan.comments, scan.diagnostics);
    Outline { items, text, comments, diagnostics }
}

struct Scan {
    file: u16,
    bytes: Vec<u8>,
    at: usize,
    depth: usize,
    /// Brackets do not match somewhere, so indentation decides where one was left open.
    guess: bool,
    /// So many `}` more than `{` are there: as many close nothing.
    surplus: usize,
    /// Behind the last byte that is not white space.
    content_end: usize,
    /// Where strings begin that do not end; their statements are not read.
    broken: Vec<usize>,
    comments: Vec<Span>,
    diagnostics: Vec<Diagnostic>,
}

/// A block that is being read: where its `{` stands and how far its header is indented.
#[derive(Clone, Copy)]
struct Open {
    brace: usize,
    indent: usize,
}

impl Scan {
    /// Turns comments and tabs into spaces, and closes strings that do not end on their line.
    fn blank_comments(&mut self) {
        let mut at = self.at;
        while at < self.bytes.len() {
            match self.bytes[at] {
                b'#' => {
                    let end = self.line_end(at);
                    let length = self.bytes[at..end].trim_ascii_end().len();
                    self.comments.push(self.span(at, at + length));
                    // Whole comments go, so no character is cut in the middle.
                    self.bytes[at..end].fill(b' ');
                    at = end;
                }
                b'"' => at = self.string_end(at, true),
                b'\t' | b'\r' => {
                    self.bytes[at] = b' ';
                    at += 1;
                }
                _ => at += 1,
            }
        }
    }

    /// The byte behind the string that begins at `at`.
    fn string_end(&mut self, start: usize, report: bool) -> usize {
        let mut at = start + 1;
        while at < self.bytes.len() && self.bytes[at] != b'\n' {
            match self.bytes[at] {
                b'"' => return at + 1,
                b'\\' if self.bytes.get(at + 1).is_some_and(|next| *next != b'\n') => at += 2,
                _ => at += 1,
            }
        }
        if report {
            let span = self.span(start, at);
            self.broken.push(start);
            let message = "this string is never closed";
            self.diagnostics.push(
                Diagnostic::new(&codes::STRING, message)
                    .at(span, "expected `\"` by the end of this line"),
            );
        }
        at
    }

    fn line_end(&self, from: usize) -> usize {
        let rest = &self.bytes[from..];
        from + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.file, start, end)
    }

    /// Whether every bracket of the file is closed by its own kind.
    fn is_balanced(&mut self) -> bool {
        let mut open = Vec::new();
        let mut at = self.at;
        while at < self.bytes.len() {
            let byte = self.bytes[at];
            match byte {
                b'"' => {
                    at = self.string_end(at, false);
                    continue;
                }
                b'(' | b'[' | b'{' => open.push(closer(byte)),
                b')' | b']' | b'}' if open.pop() != Some(byte) => return false,
                _ => {}
            }
            at += 1;
        }
        open.is_empty()
    }

    fn surplus_braces(&mut self) -> usize {
        let (mut opened, mut closed, mut at) = (0, 0, self.at);
        while at < self.bytes.len() {
            match self.bytes[at] {
                b'"' => {
                    at = self.string_end(at, false);
                    continue;
                }
                b'{' => opened += 1,
                b'}' => closed += 1,
                _ => {}
            }
            at += 1;
        }
        usize::saturating_sub(closed, opened)
    }

    /// Statements up to the `}` that ends `block`, or the end of the file.
    fn items(&mut self, block: Option<Open>) -> Vec<Item> {
        let mut items = Vec::new();
        loop {
            self.skip_space();
            let Some(byte) = self.bytes.get(self.at).copied() else {
                items.extend(block.map(|block| self.unclosed_block(block, self.bytes.len())));
                return items;
            };
            if let Some(block) = block.filter(|block| self.ends_by_indent(*block, byte)) {
                items.push(self.unclosed_block(block, self.at));
                return items;
            }
            match byte {
                b'}' if block.is_some_and(|it| self.is_astray(it)) => {
                    self.surplus -= 1;
                    self.stray(1);
                }
                b'}' if block.is_some() => {
                    self.at += 1;
                    return items;
                }
                b'}' | b')' | b']' => self.stray(usize::MAX),
                _ => items.push(self.item()),
            }
        }
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n' | b';') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    /// Whether indentation says that `block` was meant to be closed before `self.at`.
    fn ends_by_indent(&self, block: Open, byte: u8) -> bool {
        if byte == b'}' && self.is_astray(block) {
            return false;
        }
        let begins = byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'"');
        if !self.guess || !(begins || byte == b'}') || !self.is_line_start(self.at) {
            return false;
        }
        let indent = self.indent(self.at);
        // A `}` closes the block it stands below.
        if byte == b'}' { indent < block.indent } else { indent <= block.indent }
    }

    /// Whether a `}` at `self.at` is one too many: it stands neither on the line of the `{` of
    /// `block` nor below its header.
    fn is_astray(&self, block: Open) -> bool {
        self.surplus > 0
            && self.bytes[block.brace..self.at].contains(&b'\n')
            && !(self.is_line_start(self.at) && self.indent(self.at) == block.indent)
    }

    fn is_line_start(&self, at: usize) -> bool {
        let before = self.bytes[..at].iter().rev();
        before.take_while(|byte| **byte != b'\n').all(|byte| byte.is_ascii_whitespace())
    }

    /// Columns before the first character of the line that holds `at`.
    fn indent(&self, at: usize) -> usize {
        let start = self.bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |n| n + 1);
        self.bytes[start..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
    }

    /// One statement or block from `self.at` on.
    fn item(&mut self) -> Item {
        let start = self.at;
        let mut nest = Nest::default();
        let mut has_value = false;
        while let Some(byte) = self.bytes.get(self.at).copied() {
            match byte {
                b'"' => {
                    self.at = self.string_end(self.at, false);
                    continue;
                }
                b'\n' if nest.is_empty() && self.continues(start, has_value) => {
                    self.join_lines();
                    continue;
                }
                b'\n' | b';' if nest.is_empty() => break,
                b';' if self.guess => return self.unclosed(start, &nest),
                b'\n' if self.statement_follows(start) => return self.unclosed(start, &nest),
                b'\n' => self.bytes[self.at] = b' ',
                b'{' if nest.is_empty() && !has_value => match self.depth < MOST_BLOCKS {
                    true => return self.block(start),
                    false => nest.deepest = usize::MAX,
                },
                b')' | b']' | b'}' if nest.is_empty() => break,
                b')' | b']' | b'}' if nest.closes(byte) => nest.close(),
                b'}' if !nest.has_brace() => return self.unclosed(start, &nest),
                b')' | b']' | b'}' => return self.mismatch(start, &nest),
                b'=' if nest.is_empty() => has_value = true,
                b',' => nest.comma(),
                _ => {}
            }
            if matches!(byte, b'(' | b'[' | b'{') {
                nest.open(byte, self.at);
            } else if self.is_operator(byte) {
                nest.operator();
            }
            self.at += 1;
        }
        if !nest.is_empty() {
            return self.unclosed(start, &nest);
        }
        let end = start + self.bytes[start..self.at].trim_ascii_end().len();
        self.statement(self.span(start, end), &nest)
    }

    fn statement(&mut self, span: Span, nest: &Nest) -> Item {
        if nest.deepest > MOST_NESTED {
            return self.too_deep(span);
        }
        let next = self.broken.partition_point(|at| *at < span.range().start);
        match self.broken.get(next) {
            Some(at) if *at < span.range().end => Item::Unreadable(span),
            _ => Item::Statement(span),
        }
    }

    /// Whether an operator that nests begins at `self.at`.
    fn is_operator(&self, byte: u8) -> bool {
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        match byte {
            b'+' | b'-' | b'*' | b'/' | b'<' | b'>' | b'!' | b'=' => true,
            b'n' | b'i' | b'o' | b'a' => {
                let rest = &self.bytes[self.at..];
                let word = &rest[..rest.iter().take(4).take_while(|it| is_word(it)).count()];
                let begins = self.at == 0 || !is_word(&self.bytes[self.at - 1]);
                begins && matches!(word, b"not" | b"if" | b"or" | b"and" | b"in")
            }
            _ => false,
        }
    }

    /// Goes on to the next character that is seen, as if there were no line ends before it.
    fn join_lines(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.bytes[self.at] = b' ';
            self.at += 1;
        }
    }

    /// A value may stand on the line behind its `=`, and `{` on the line behind its header.
    fn continues(&self, start: usize, has_value: bool) -> bool {
        let line = self.bytes[start..self.at].trim_ascii_end();
        let behind = &self.bytes[self.at..];
        let blank = behind.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        match has_value {
            true => {
                let next = &behind[blank..];
                line.ends_with(b"=") && !line.ends_with(b"==") && !begins_statement(next)
            }
            false => behind.get(blank) == Some(&b'{'),
        }
    }

    /// Inside an open bracket: nothing follows, or, in a file with unmatched brackets, the next line
    /// looks like a statement of its own, so the bracket was left open.
    fn statement_follows(&self, start: usize) -> bool {
        if self.at >= self.content_end {
            return true;
        }
        let line = &self.bytes[self.at + 1..];
        let blank = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
        self.guess
            && !matches!(line.get(blank), None | Some(b'\n' | b')' | b']'))
            && self.indent(self.at + 1) <= self.indent(start)
    }

    /// The block whose header began at `start` and whose `{` is at `self.at`.
    fn block(&mut self, start: usize) -> Item {
        let header = start + self.bytes[start..self.at].trim_ascii_end().len();
        let header = self.span(start, header);
        let indent = self.indent(start);
        let body = self.body(indent);
        let otherwise = self.is_else().then(|| self.body(indent));
        Item::Block { header, body, otherwise }
    }

    fn body(&mut self, indent: usize) -> Vec<Item> {
        let block = Open { brace: self.at, indent };
        self.at += 1;
        self.depth += 1;
        let items = self.items(Some(block));
        self.depth -= 1;
        items
    }

    /// Whether `else {` follows; leaves `self.at` at its `{` if so.
    fn is_else(&mut self) -> bool {
        let rest = &self.bytes[self.at..];
        let word = rest.trim_ascii_start();
        let Some(behind) = word.strip_prefix(b"else") else { return false };
        let brace = behind.trim_ascii_start();
        let found = brace.first() == Some(&b'{');
        if found {
            self.at += rest.len() - brace.len();
        }
        found
    }
}

/// Whether `text` begins as a statement does: with one of its words, or with a name that is set.
fn begins_statement(text: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    let (name, rest) = text.split_at(text.iter().take_while(|it| is_part(it)).count());
    let rest = rest.trim_ascii_start();
    let words: &[&[u8]] = &[b"let", b"param", b"import", b"where", b"expect", b"claim", b"edition"];
    let is_set = rest.starts_with(b"=") && !rest.starts_with(b"==");
    // `0..=1` sets nothing.
    words.contains(&name) || (is_set && !name.is_empty() && !name.ends_with(b"."))
}
