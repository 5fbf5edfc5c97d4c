//! A file in the one style all files have: a change of layout, never of what is said.
//!
//! The outline says where statements, blocks and comments stand; each statement is laid out by
//! itself. What its author put on one line, or opened over several, stays so where it fits.

mod statement;
mod token;

use self::statement::{KEPT, Layout, columns};
use super::parse::parse;
use super::scan::{Item, outline};
use super::{File, Statement};
use crate::diag::{Diagnostic, Span};

/// The edition a file without one is read as, and gets.
const EDITION: &str = "edition 1";

/// The text of file number `file`, in the common style.
///
/// # Errors
/// What is wrong with a file that cannot be read as a whole; it is left to its author.
pub fn format(file: u16, source: &str) -> Result<String, Vec<Diagnostic>> {
    let (tree, diagnostics) = parse(file, source);
    if !diagnostics.is_empty() {
        return Err(diagnostics);
    }
    let text = match place_of_edition(&tree, source) {
        None => source.to_owned(),
        Some(at) => {
            let (before, behind) = source.split_at(at);
            format!("{before}{EDITION}\n\n{behind}")
        }
    };
    Ok(Formatter::new(&text).file())
}

/// Where the edition of a file that does not say it belongs: before its first statement, with the
/// comments that go with that. None when the file says it, or says nothing.
pub fn place_of_edition(tree: &File, source: &str) -> Option<usize> {
    let is_edition =
        |it: &Statement| matches!(it, Statement::Edition(_) | Statement::Unreadable(_));
    if tree.statements.is_empty() || tree.statements.iter().any(is_edition) {
        return None;
    }
    let mark = if source.starts_with('\u{feff}') { 3 } else { 0 };
    // The system reads `#!` only at the very beginning.
    let is_script = source[mark..].starts_with("#!");
    let first = source[mark..].find('\n').filter(|_| is_script).map_or(mark, |at| mark + at + 1);
    let mut place = mark;
    for comment in &tree.comments {
        let between = &source[place..comment.start as usize];
        if !between.trim().is_empty() {
            break;
        }
        let end = comment.end as usize;
        let line_ends = source[end..].bytes().take_while(u8::is_ascii_whitespace);
        if line_ends.filter(|byte| *byte == b'\n').count() > 1 {
            return Some(end + blank(&source[end..]));
        }
        place = end;
    }
    Some(first)
}

/// The bytes of white space `text` begins with.
fn blank(text: &str) -> usize {
    text.len() - text.trim_ascii_start().len()
}

/// What stands in a body, in order.
enum Part<'a> {
    Comment(Span),
    Item(&'a Item),
}

/// Statements that stand on one line, or one statement or block that takes several, or a comment.
struct Row<'a> {
    after_blank: bool,
    parts: Vec<Part<'a>>,
    beside: Option<Span>,
}

struct Formatter<'a> {
    source: &'a str,
    /// The source with its comments turned into spaces.
    code: String,
    items: Vec<Item>,
    comments: Vec<Span>,
    out: String,
}

impl<'a> Formatter<'a> {
    fn new(source: &'a str) -> Self {
        let outline = outline(0, source);
        let (code, items, comments) = (outline.text, outline.items, outline.comments);
        Self { source, code, items, comments, out: String::new() }
    }

    fn file(mut self) -> String {
        let items = std::mem::take(&mut self.items);
        let start = if self.source.starts_with('\u{feff}') { 3 } else { 0 };
        let (_, rows) = self.rows(&items, start..self.source.len(), false);
        for (at, row) in rows.iter().enumerate() {
            self.row(row, 0, at == 0);
        }
        self.out
    }

    /// What stands within `range`: the comment on the line of its beginning, which follows an
    /// opening brace, and the rows.
    fn rows<'i>(
        &self,
        items: &'i [Item],
        range: std::ops::Range<usize>,
        is_block: bool,
    ) -> (Option<Span>, Vec<Row<'i>>) {
        let mut rows: Vec<Row> = Vec::new();
        let (mut beside, mut end) = (None, range.start);
        for part in self.parts(items, range) {
            let (start, behind) = self.extent(&part);
            let newlines = self.source[end..start].matches('\n').count();
            end = behind;
            match (part, rows.last_mut()) {
                (Part::Comment(span), None) if newlines == 0 && is_block => beside = Some(span),
                (Part::Comment(span), Some(row)) if newlines == 0 => row.beside = Some(span),
                (Part::Item(item), Some(row)) if newlines == 0 => row.parts.push(Part::Item(item)),
                (part, _) => {
                    let after_blank = newlines > 1;
                    rows.push(Row { after_blank, parts: vec![part], beside: None });
                }
            }
        }
        (beside, rows)
    }

    fn parts<'i>(&self, items: &'i [Item], range: std::ops::Range<usize>) -> Vec<Part<'i>> {
        let from = self.comments.partition_point(|it| it.range().start < range.start);
        let to = self.comments.partition_point(|it| it.range().start < range.end);
        let mut comments = self.comments[from..to].iter().copied().peekable();
        let mut parts = Vec::new();
        for item in items {
            let (start, end) = self.extent(&Part::Item(item));
            while let Some(comment) = comments.next_if(|it| it.range().start < start) {
                parts.push(Part::Comment(comment));
            }
            while comments.next_if(|it| it.range().start < end).is_some() {}
            parts.push(Part::Item(item));
        }
        parts.extend(comments.map(Part::Comment));
        parts
    }

    /// Where a part begins and ends, the braces of a block included.
    fn extent(&self, part: &Part) -> (usize, usize) {
        match part {
            Part::Comment(span) | Part::Item(Item::Statement(span) | Item::Unreadable(span)) => {
                (span.range().start, span.range().end)
            }
            Part::Item(Item::Block { header, body, otherwise }) => {
                let end = self.body(header.range().end, body).end;
                let end = otherwise.as_ref().map_or(end, |items| self.body(end, items).end);
                (header.range().start, end + 1)
            }
        }
    }

    /// What stands between the braces that follow `from` and hold `items`.
    fn body(&self, from: usize, items: &[Item]) -> std::ops::Range<usize> {
        let find =
            |from: usize, brace: char| self.code[from..].find(brace).map_or(from, |at| from + at);
        let start = find(from, '{') + 1;
        let last = items.last().map_or(start, |item| self.extent(&Part::Item(item)).1);
        start..find(last, '}')
    }
}

/// Printing, once it is known what stands where.
impl Formatter<'_> {
    fn row(&mut self, row: &Row, indent: usize, is_first: bool) {
        if row.after_blank && !is_first {
            self.out.push('\n');
        }
        match self.on_one_line(&row.parts, indent) {
            Some(line) => self.line(indent, &line),
            None => {
                for part in &row.parts {
                    self.alone(part, indent);
                }
            }
        }
        if let Some(comment) = row.beside {
            self.out.pop();
            self.out += &format!("  {}\n", &self.source[comment.range()]);
        }
    }

    fn line(&mut self, indent: usize, text: &str) {
        self.out += &format!("{}{text}\n", " ".repeat(indent));
    }

    /// Several statements of one line, if they still fit on one.
    fn on_one_line(&self, parts: &[Part], indent: usize) -> Option<String> {
        let lines: Option<Vec<String>> = parts.iter().map(|part| self.flat(part)).collect();
        lines.map(|it| it.join("; ")).filter(|line| indent + columns(line) <= KEPT)
    }

    /// A part that was written on one line.
    fn flat(&self, part: &Part) -> Option<String> {
        let (start, end) = self.extent(part);
        match part {
            Part::Comment(span) => Some(self.source[span.range()].to_owned()),
            Part::Item(Item::Block { header, body, otherwise }) => {
                let is_empty = body.is_empty() && otherwise.is_none();
                let text = &self.source[start..end];
                if text.contains('\n') && (!is_empty || text.contains('#')) {
                    return None;
                }
                let mut line = format!("{} {}", self.header(*header), self.flat_body(body)?);
                if let Some(items) = otherwise {
                    line += &format!(" else {}", self.flat_body(items)?);
                }
                Some(line)
            }
            Part::Item(_) if self.source[start..end].contains('\n') => None,
            Part::Item(_) => Layout::of(&self.source[start..end]).flat(),
        }
    }

    fn flat_body(&self, items: &[Item]) -> Option<String> {
        let lines: Option<Vec<String>> =
            items.iter().map(|item| self.flat(&Part::Item(item))).collect();
        let lines = lines?.join("; ");
        Some(if lines.is_empty() { "{ }".to_owned() } else { format!("{{ {lines} }}") })
    }

    fn header(&self, span: Span) -> String {
        Layout::of(&self.source[span.range()]).flat().expect("a header has no brackets")
    }

    fn part(&mut self, part: &Part, indent: usize) {
        match part {
            Part::Item(Item::Block { header, body, otherwise }) => {
                let line = self.header(*header);
                self.out += &format!("{}{line} ", " ".repeat(indent));
                let end = self.block(header.range().end, body, indent);
                if let Some(items) = otherwise {
                    self.out += " else ";
                    self.block(end, items, indent);
                }
                self.out.push('\n');
            }
            other => {
                let (start, end) = self.extent(other);
                let text = Layout::of(&self.source[start..end]).print(indent);
                self.line(indent, &text);
            }
        }
    }

    /// The braces behind `from` with what they hold, over several lines; gives where they end.
    fn block(&mut self, from: usize, items: &[Item], indent: usize) -> usize {
        let end = self.body(from, items).end;
        let (beside, rows) = self.rows(items, from..end, true);
        self.out.push('{');
        if let Some(comment) = beside {
            self.out += &format!("  {}", &self.source[comment.range()]);
        }
        self.out.push('\n');
        let was_one_line = !self.source[from..end].contains('\n');
        for (at, row) in rows.iter().enumerate() {
            match was_one_line {
                true => row.parts.iter().for_each(|part| self.alone(part, indent + 2)),
                false => self.row(row, indent + 2, at == 0),
            }
        }
        self.out += &format!("{}}}", " ".repeat(indent));
        end + 1
    }

    /// A part on a line of its own.
    fn alone(&mut self, part: &Part, indent: usize) {
        match self.on_one_line(std::slice::from_ref(part), indent) {
            Some(line) => self.line(indent, &line),
            None => self.part(part, indent),
        }
    }
}
