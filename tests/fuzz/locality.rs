//! Where a file that was good is said to be wrong after one character of it was changed.

use std::ops::Range;

use balance::diag::{Diagnostic, codes};
use balance::seed::Stream;

/// One character taken out, put in, or put in the place of another.
#[derive(Debug, Clone)]
pub struct Edit {
    /// Where, in bytes of the text before.
    pub at: usize,
    /// How many bytes went.
    pub removed: usize,
    pub inserted: String,
}

/// What people hit by accident.
const KEYS: &[char] = &[
    'a', 'e', 'x', '_', '0', '7', ' ', '\n', '=', '.', ',', ';', ':', '#', '"', '(', ')', '[', ']',
    '{', '}', '+', '-', '*', '/', '%', '<', '\'', 'é',
];

impl Edit {
    /// The `index`th edit of `text`.
    pub fn sample(text: &str, run: &Stream, index: u64) -> Self {
        let mut stream = run.at(index);
        let places: Vec<(usize, char)> = text.char_indices().collect();
        let (at, c) = places[stream.below(places.len())];
        let key = KEYS[stream.below(KEYS.len())].to_string();
        match stream.below(3) {
            0 => Self { at, removed: c.len_utf8(), inserted: String::new() },
            1 => Self { at, removed: 0, inserted: key },
            _ => Self { at, removed: c.len_utf8(), inserted: key },
        }
    }

    /// The text after the edit.
    pub fn apply(&self, text: &str) -> String {
        [&text[..self.at], &self.inserted, &text[self.at + self.removed..]].concat()
    }

    /// Whether `diagnostic`, the first about the text after the edit, points to where it was made:
    /// into the edited statement, or at the bracket that lost its partner.
    pub fn is_met_by(&self, text: &str, diagnostic: &Diagnostic) -> bool {
        let statement = statement_at(text, self.at, self.at + self.removed);
        let grown = statement.start
            ..statement.end + self.inserted.len() - self.removed.min(statement.len());
        let holds = |range: &Range<usize>, at: usize| range.start <= at && at <= range.end;
        let Some((main, _)) = diagnostic.labels.first() else { return false };
        if holds(&grown, main.range().start) {
            return true;
        }
        let is_delimiter = diagnostic.code == &codes::DELIMITER;
        let is_partner = |at: usize| {
            partner(text, self.at)
                .is_some_and(|it| it == at || it + self.inserted.len() == at + self.removed)
        };
        is_delimiter
            && (is_partner(main.range().start)
                || diagnostic.labels.iter().any(|(span, _)| holds(&grown, span.range().start)))
    }
}

/// The statement, or the header of a block, around the bytes from `start` to `end`.
fn statement_at(text: &str, start: usize, end: usize) -> Range<usize> {
    let borders = borders(text);
    let from = borders.iter().rev().find(|it| **it < start.max(1)).map_or(0, |it| it + 1);
    // An edit of what ends a statement is one of the next, too.
    let ends = borders.iter().any(|it| (start..end).contains(it));
    let least = if ends { end } else { end.max(start + 1) - 1 };
    let to = borders.iter().find(|it| **it >= least).map_or(text.len(), |it| it + 1);
    let from = from.min(start);
    // A statement begins with its first word.
    let blank = text[from..].len() - text[from..].trim_start().len();
    (from + blank).min(start)..to
}

/// Where statements end: line ends and `;` outside brackets, and the braces of blocks.
fn borders(text: &str) -> Vec<usize> {
    let (mut borders, mut open, mut last) = (Vec::new(), Vec::new(), ' ');
    let (mut in_text, mut in_comment) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            '\n' => {
                in_comment = false;
                if open.is_empty() && last != '=' {
                    borders.push(at);
                }
                continue;
            }
            _ if in_comment => continue,
            '"' => in_text = !in_text,
            _ if in_text => {}
            '#' => in_comment = true,
            '(' | '[' => open.push(c),
            '{' if !open.is_empty() || matches!(last, '=' | ',') => open.push(c),
            '{' | ';' => borders.push(at),
            ')' | ']' => drop(open.pop()),
            '}' if open.is_empty() => borders.push(at),
            '}' => drop(open.pop()),
            _ => {}
        }
        if !c.is_whitespace() {
            last = c;
        }
    }
    borders
}

/// The bracket that belongs to the one at `at`.
fn partner(text: &str, at: usize) -> Option<usize> {
    let mut open = Vec::new();
    for (place, c) in text.char_indices() {
        match c {
            '(' | '[' | '{' => open.push(place),
            ')' | ']' | '}' => {
                let first = open.pop()?;
                if place == at || first == at {
                    return Some(if place == at { first } else { place });
                }
            }
            _ => {}
        }
    }
    None
}
