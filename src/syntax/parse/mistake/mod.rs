//! What people write instead, and what to tell them: habits of other languages first, then what
//! the grammar expected.

use pest::error::{Error, ErrorVariant, InputLocation};

use super::Rule;
use crate::diag::{Code, Diagnostic, Span, codes};

mod header;
mod sign;
mod start;
mod value;
mod word;

pub use value::foreign_values;

/// The diagnostic for a piece of text that `rule` could not read.
pub fn explain(rule: Rule, span: Span, text: &str, error: Error<Rule>) -> Diagnostic {
    let at = match error.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => at.min(text.len()),
    };
    let piece = Piece { rule, span, text, at };
    piece.habit().unwrap_or_else(|| piece.expected(&error))
}

/// Words that cannot name anything.
const RESERVED: &[&str] = &[
    "edition", "import", "as", "let", "param", "in", "of", "extends", "else", "if", "then",
    "where", "expect", "claim", "and", "or", "not", "true", "false", "none",
];

/// A statement or header that cannot be read.
struct Piece<'a> {
    rule: Rule,
    span: Span,
    text: &'a str,
    /// Where the grammar got stuck, within `text`.
    at: usize,
}

impl Piece<'_> {
    fn place(&self, start: usize, end: usize) -> Span {
        let base = self.span.start as usize;
        Span::new(self.span.file, base + start, base + end)
    }

    fn habit(&self) -> Option<Diagnostic> {
        let by_rule = match self.rule {
            Rule::one_header => self.header(),
            _ => None,
        };
        by_rule
            .or_else(|| self.start())
            .or_else(|| self.missing_value())
            .or_else(|| self.word())
            .or_else(|| self.sign())
            .or_else(|| self.name())
    }

    fn code(&self) -> &'static Code {
        if self.rule == Rule::one_header { &codes::HEADER } else { &codes::STATEMENT }
    }

    /// What is wrong with the bytes from `start` to `end`.
    fn say(
        &self,
        message: impl Into<String>,
        (start, end): (usize, usize),
        label: &str,
    ) -> Diagnostic {
        Diagnostic::new(self.code(), message).at(self.place(start, end), label)
    }

    /// Where the grammar got stuck, behind the white space there.
    fn here(&self) -> usize {
        self.skip(self.at)
    }

    /// `at`, or the end of the white space there.
    fn skip(&self, at: usize) -> usize {
        self.text.len() - self.text[at..].trim_start().len()
    }

    /// What stands before `at`, without the white space between.
    fn before(&self, at: usize) -> &str {
        self.text[..at].trim_end()
    }

    /// The innermost bracket that is open at `at`, and whether it is that of a call.
    fn bracket(&self, at: usize) -> Option<(usize, char, bool)> {
        let (mut open, mut in_text) = (Vec::new(), false);
        for (place, c) in self.text[..at].char_indices() {
            match c {
                '"' => in_text = !in_text,
                _ if in_text => {}
                '(' | '[' | '{' => open.push((place, c)),
                ')' | ']' | '}' => drop(open.pop()),
                _ => {}
            }
        }
        let (place, c) = open.pop()?;
        Some((place, c, c == '(' && self.before(place).ends_with(is_word)))
    }

    /// Whether a value ends right before `at`.
    fn follows_value(&self, at: usize) -> bool {
        let before = self.before(at);
        let word = last_word(before);
        before.ends_with(|c: char| is_word(c) || matches!(c, ')' | ']' | '}' | '"' | '%'))
            && (!RESERVED.contains(&word) || matches!(word, "true" | "false" | "none"))
    }

    fn expected(&self, error: &Error<Rule>) -> Diagnostic {
        let (code, what) = match self.rule {
            Rule::one_header => (&codes::HEADER, "the words before `{` are not a block's header"),
            _ => (&codes::STATEMENT, "this statement cannot be read"),
        };
        let found = self.text[self.at..].chars().next();
        let end = self.at + found.map_or(0, char::len_utf8);
        let message = match found.filter(|c| *c != ' ') {
            Some(c) if !is_word(c) => format!("{what}: `{c}` is not expected here"),
            _ => what.to_owned(),
        };
        Diagnostic::new(code, message).at(self.place(self.at, end), self.expectation(error))
    }

    /// What the grammar expected, in the user's words.
    fn expectation(&self, error: &Error<Rule>) -> String {
        let ErrorVariant::ParsingError { positives, .. } = &error.variant else {
            return String::new();
        };
        let mut words: Vec<_> = positives.iter().filter_map(|rule| human(*rule)).collect();
        for word in words.iter_mut().filter(|word| **word == END) {
            *word = if self.rule == Rule::one_header { "`{`" } else { END };
        }
        words.sort_unstable();
        words.dedup();
        if words.contains(&"a value") {
            words.retain(|word| *word == "a value");
        }
        match words.split_last() {
            None => "not expected here".to_owned(),
            Some((last, [])) => format!("expected {last}"),
            Some((last, rest)) => format!("expected {} or {last}", rest.join(", ")),
        }
    }
}

const END: &str = "the end of the statement";

/// The user's word for a rule; none for those that only add noise.
fn human(rule: Rule) -> Option<&'static str> {
    Some(match rule {
        Rule::EOI => END,
        Rule::name | Rule::path | Rule::label | Rule::string | Rule::text => "a name",
        Rule::expr
        | Rule::quantity
        | Rule::number
        | Rule::reference
        | Rule::call
        | Rule::list
        | Rule::record
        | Rule::boolean
        | Rule::none
        | Rule::paren
        | Rule::conditional
        | Rule::negate
        | Rule::not => "a value",
        Rule::or | Rule::and | Rule::compare | Rule::span | Rule::add | Rule::multiply => {
            "an operator"
        }
        Rule::integer => "a whole number",
        Rule::named => "an argument",
        Rule::relation | Rule::relation_word => "`of`, `extends`",
        Rule::type_of => "`: type`",
        Rule::domain => "`in` a range",
        Rule::pair => "`name = value`",
        Rule::edition
        | Rule::import
        | Rule::let_value
        | Rule::param
        | Rule::declaration
        | Rule::where_clause
        | Rule::expect
        | Rule::claim
        | Rule::field => "a statement such as `name = value`",
        _ => return None,
    })
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The word that `text` ends with.
fn last_word(text: &str) -> &str {
    text.rsplit(|c| !is_word(c)).next().unwrap_or_default()
}

fn word_at(text: &str, start: usize) -> &str {
    let rest = &text[start..];
    &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())]
}
