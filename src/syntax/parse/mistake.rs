//! What people write instead, and what to tell them: habits of other languages first, then what
//! the grammar expected.

use pest::error::{Error, ErrorVariant, InputLocation};

use super::Rule;
use crate::diag::{Diagnostic, Span, closest, codes};
use crate::syntax::Unit;

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

/// What other languages write, and what is written here.
const FOREIGN: &[(&str, &str)] = &[
    ("//", "a comment begins with `#`"),
    ("/*", "a comment begins with `#`, on every line"),
    ("&&", "write `and`"),
    ("||", "write `or`"),
    ("**", "there are no powers: write the number"),
    (".", "a number begins with a digit: `0.5`"),
    (";", "the parts are separated by `,` here"),
    ("'", "text stands between `\"` and `\"`"),
    ("!", "write `not`"),
    ("^", "there are no powers: write the number"),
    (",", "a statement ends with its line, or with `;`"),
    ("->", "write `=`"),
    (":=", "write `=`"),
];

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
        let first = word_at(self.text, 0);
        if matches!(first, "for" | "while")
            && !self.text[first.len()..].trim_start().starts_with('=')
        {
            return Some(
                Diagnostic::new(&codes::LOOP, "the language has no loops")
                    .at(self.place(0, first.len()), "a sweep lists its values")
                    .help("write `grid { a = [1, 2, 3] }` inside a `sweep`"),
            );
        }
        self.plus_key()
            .or_else(|| self.colon(first))
            .or_else(|| self.reserved(first))
            .or_else(|| self.after_number())
            .or_else(|| self.nested_colon())
            .or_else(|| self.foreign())
    }

    fn plus_key(&self) -> Option<Diagnostic> {
        let key = self.text.trim_start_matches('+');
        let plus = self.text.len() - key.len();
        (plus > 0 && key.contains('=')).then(|| {
            Diagnostic::new(&codes::PLUS_KEY, "fields are set without `+`")
                .at(self.place(0, plus), "leave this out")
                .help(format!("write `{}`", key.trim()))
        })
    }

    fn colon(&self, first: &str) -> Option<Diagnostic> {
        let rest = self.text[first.len()..].trim_start();
        let colon = self.text.len() - rest.len();
        if first.is_empty() || !rest.starts_with(':') || first == "param" {
            return None;
        }
        let value = rest[1..].trim();
        let value = if value.is_empty() { "…" } else { value };
        Some(
            Diagnostic::new(&codes::COLON, "a field is set with `=`")
                .at(self.place(colon, colon + 1), "this is `=` here")
                .help(format!("write `{first} = {value}`")),
        )
    }

    /// `name: value` among the arguments of a call.
    fn nested_colon(&self) -> Option<Diagnostic> {
        let rest = &self.text[self.at..];
        let before = self.text[..self.at].trim_end();
        let name = before.rsplit(|c: char| !is_word(c)).next().unwrap_or_default();
        (rest.trim_start().starts_with(':') && !name.is_empty()).then(|| {
            let colon = self.at + rest.len() - rest.trim_start().len();
            Diagnostic::new(&codes::COLON, "an argument is given with `=`")
                .at(self.place(colon, colon + 1), "this is `=` here")
                .help(format!("write `{name}=…`"))
        })
    }

    /// A sign of another language where the grammar got stuck, or just before.
    fn foreign(&self) -> Option<Diagnostic> {
        let earlier = self.at.checked_sub(1).filter(|at| self.text.is_char_boundary(*at));
        let places = [Some(self.at), earlier].into_iter().flatten();
        let found = places.flat_map(|at| {
            let signs = FOREIGN.iter().filter(move |(sign, _)| self.text[at..].starts_with(sign));
            signs.map(move |(sign, advice)| (at, sign, advice))
        });
        let fits = |at: usize, sign: &str| at == self.at || sign.len() == 2;
        let (at, sign, advice) = found.into_iter().find(|(at, sign, _)| fits(*at, sign))?;
        let message = format!("`{sign}` is not a sign of the language here");
        let place = self.place(at, at + sign.len());
        Some(Diagnostic::new(&codes::STATEMENT, message).at(place, *advice))
    }

    fn reserved(&self, first: &str) -> Option<Diagnostic> {
        let rest = self.text[first.len()..].trim_start();
        let sets = rest.starts_with('=') && !rest.starts_with("==");
        (RESERVED.contains(&first) && sets).then(|| {
            Diagnostic::new(&codes::STATEMENT, format!("`{first}` is a word of the language"))
                .at(self.place(0, first.len()), "it cannot name a field")
                .help("choose another name")
        })
    }

    /// `0.5 supcon(…)` and `600 epocs`.
    fn after_number(&self) -> Option<Diagnostic> {
        let (start, word) = self.word_behind_number()?;
        let place = self.place(start, start + word.len());
        let behind = self.text[start + word.len()..].trim_start();
        if behind.starts_with('(') || behind.starts_with('.') {
            let number = self.text[..start].trim_end();
            let number =
                number.rsplit(|c: char| !is_word(c) && c != '.').next().unwrap_or_default();
            return Some(
                Diagnostic::new(&codes::JUXTAPOSED, "`*` is missing between a weight and its term")
                    .at(self.place(start, start), "expected `*`")
                    .help(format!("write `{number} * {word}(…)`")),
            );
        }
        let units = Unit::ALL.iter().map(|(unit, _)| unit.text());
        let message = format!("`{word}` is not a unit");
        let diagnostic = Diagnostic::new(&codes::WRONG_UNIT, message);
        Some(match closest(word, units.clone()).filter(|near| near.len() > 2) {
            Some(near) => diagnostic.at(place, format!("did you mean `{near}`?")),
            None => diagnostic
                .at(place, "not one of them")
                .help(format!("the units are {}", units.collect::<Vec<_>>().join(", "))),
        })
    }

    /// The word the grammar got stuck at, when a number stands before it.
    fn word_behind_number(&self) -> Option<(usize, &str)> {
        let rest = &self.text[self.at..];
        let start = self.at + rest.len() - rest.trim_start().len();
        let word = word_at(self.text, start);
        let before = self.text[..start].trim_end();
        let number = before.rsplit(|c: char| !is_word(c) && c != '.').next().unwrap_or_default();
        let begins =
            |text: &str, is: fn(&char) -> bool| text.chars().next().is_some_and(|c| is(&c));
        let is_number = begins(number, char::is_ascii_digit);
        let is_name = begins(word, char::is_ascii_alphabetic) && !RESERVED.contains(&word);
        (is_number && is_name).then_some((start, word))
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
        | Rule::call
        | Rule::list
        | Rule::record
        | Rule::boolean
        | Rule::none
        | Rule::cells
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

fn word_at(text: &str, start: usize) -> &str {
    let rest = &text[start..];
    &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())]
}
