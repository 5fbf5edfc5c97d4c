//! What is said of brackets that do not match.

use super::nest::{Level, Nest, closer};
use super::{Item, Open, Scan};
use crate::diag::{Diagnostic, Span, codes};

/// So many diagnostics may be about one line.
const RECENT: usize = 8;

impl Scan {
    /// What a block holds that was not closed cannot be known.
    pub(super) fn unclosed_block(&mut self, block: Open, before: usize) -> Item {
        let brace = self.span(block.brace, block.brace + 1);
        let end = self.bytes[..before].iter().rposition(|byte| !byte.is_ascii_whitespace());
        let end = end.map_or(before, |at| at + 1);
        if self.is_explained(block.brace) {
            return Item::Unreadable(self.span(end, end));
        }
        self.diagnostics.push(
            Diagnostic::new(&codes::DELIMITER, "`{` is never closed")
                .at(brace, "opened here")
                .at(self.span(end, end), "expected `}` after this"),
        );
        Item::Unreadable(self.span(end, end))
    }

    /// Whether something was reported behind `at` on its line that makes a bracket there open.
    fn is_explained(&self, at: usize) -> bool {
        let line = at + 1..self.line_end(at);
        let next = self.broken.partition_point(|it| *it < line.start);
        let starts = |it: &Diagnostic| line.contains(&it.labels[0].0.range().start);
        self.broken.get(next).is_some_and(|it| line.contains(it))
            || self.diagnostics.iter().rev().take(RECENT).any(starts)
    }

    /// Closing brackets where none is open, all in a row, or the first of them.
    pub(super) fn stray(&mut self, most: usize) {
        let (start, byte) = (self.at, self.bytes[self.at]);
        while self.bytes.get(self.at) == Some(&byte) && self.at - start < most {
            self.at += 1;
        }
        let message = format!("`{}` closes nothing", char::from(byte));
        self.diagnostics.push(
            Diagnostic::new(&codes::DELIMITER, message)
                .at(self.span(start, self.at), "no bracket of this kind is open here"),
        );
    }

    pub(super) fn unclosed(&mut self, start: usize, nest: &Nest) -> Item {
        let Level { opener, at, .. } = nest.innermost();
        let end = self.bytes[..self.at].trim_ascii_end().len();
        let (opener, closer) = (char::from(opener), char::from(closer(opener)));
        let place = self.span(end, end);
        let diagnostic = Diagnostic::new(&codes::DELIMITER, format!("`{opener}` is never closed"))
            .at(self.span(at, at + 1), "opened here")
            .at(place, format!("expected `{closer}` by the end of this line"));
        // Behind a string that does not end, a bracket would be part of it; and where several are
        // open, which of them was meant to end here is a guess.
        let closing = nest.closing();
        let is_sure = self.broken.is_empty() && closing.len() == 1;
        self.diagnostics.push(match is_sure {
            true => diagnostic.fix(place, closing),
            false => diagnostic,
        });
        Item::Unreadable(self.span(start, end))
    }

    pub(super) fn mismatch(&mut self, start: usize, nest: &Nest) -> Item {
        let Level { opener, at, .. } = nest.innermost();
        let found = char::from(self.bytes[self.at]);
        let message = format!("`{}` is closed by `{found}`", char::from(opener));
        let expected = format!("expected `{}`", char::from(closer(opener)));
        self.diagnostics.push(
            Diagnostic::new(&codes::DELIMITER, message)
                .at(self.span(at, at + 1), "opened here")
                .at(self.span(self.at, self.at + 1), expected),
        );
        self.at = self.line_end(self.at);
        Item::Unreadable(self.span(start, self.at))
    }

    pub(super) fn too_deep(&mut self, span: Span) -> Item {
        let message = "this is nested deeper, or is longer, than an experiment can need";
        let start = span.range().start;
        let is_inside = |byte: &&u8| **byte & 0xc0 == 0x80;
        let rest = self.bytes[start + 1..].iter().take_while(is_inside).count();
        let first = self.span(start, start + 1 + rest);
        self.diagnostics.push(
            Diagnostic::new(&codes::STATEMENT, message)
                .at(first, "in this statement")
                .help("name a part of it with `let`"),
        );
        Item::Unreadable(span)
    }
}
