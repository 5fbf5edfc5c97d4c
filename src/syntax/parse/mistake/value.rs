//! Values that are missing, names that are none, and words that other languages have for values.

use super::{Piece, is_word, last_word, word_at};
use crate::diag::{Diagnostic, Span, codes};

/// What another language's word for a value is here.
fn meant_by(word: &str) -> Option<&'static str> {
    Some(match word {
        "True" | "TRUE" => "true",
        "False" | "FALSE" => "false",
        "None" | "NONE" | "null" | "NULL" | "nil" | "nothing" => "none",
        _ => return None,
    })
}

impl Piece<'_> {
    /// A statement that ends where a value is expected.
    pub fn missing_value(&self) -> Option<Diagnostic> {
        let at = self.here();
        let before = self.before(at);
        let rest = &self.text[at..];
        if !rest.is_empty() && !rest.starts_with([')', ']', '}', ';']) {
            return self.escape(at);
        }
        let sign = before.rsplit(|c: char| c.is_whitespace()).next().unwrap_or_default();
        let sign =
            sign.trim_start_matches(|c: char| is_word(c) || matches!(c, ')' | ']' | '"' | '%'));
        let word = last_word(before);
        let end = before.len();
        if sign == "=" {
            let message = "a value is missing behind `=`";
            return Some(self.say(message, (end - 1, end), "set to what?"));
        }
        if matches!(
            sign,
            "+" | "-" | "*" | "/" | "<" | ">" | "<=" | ">=" | "==" | "!=" | ".." | "..=" | "±"
        ) {
            let message = format!("a value is missing behind `{sign}`");
            return Some(
                self.say(message, (end - sign.len(), end), "the line ends here")
                    .help("a value goes on in the next line only inside brackets"),
            );
        }
        if matches!(word, "and" | "or" | "not" | "in" | "if" | "then" | "else" | "where" | "expect")
        {
            let message = format!("a value is missing behind `{word}`");
            return Some(self.say(message, (end - word.len(), end), "expected a value"));
        }
        self.unfinished_choice(end)
    }

    fn unfinished_choice(&self, end: usize) -> Option<Diagnostic> {
        let words = || self.text.split(|c| !is_word(c));
        let count = |wanted: &str| words().filter(|word| *word == wanted).count();
        let missing = match (count("if"), count("then"), count("else")) {
            (ifs, thens, _) if thens < ifs => "then",
            (ifs, _, elses) if elses < ifs => "else",
            _ => return None,
        };
        let message = format!("a choice needs `{missing}`");
        let label = format!("expected `{missing}` and a value");
        Some(self.say(message, (end, end), &label).help("write `if a then b else c`"))
    }

    /// A text with a `\\` before what needs none.
    fn escape(&self, at: usize) -> Option<Diagnostic> {
        let text = self.text[at..].strip_prefix('"')?;
        let mut chars = text.char_indices();
        while let Some((place, c)) = chars.next() {
            let (_, next) = match c {
                '"' => return None,
                '\\' => chars.next()?,
                _ => continue,
            };
            if !matches!(next, '"' | '\\' | 'n' | 't' | 'u') {
                let start = at + 1 + place;
                let fix = self.place(start, start);
                let message = format!("`\\{next}` stands for nothing in a text");
                let place = (start, start + 1 + next.len_utf8());
                let label = "for a backslash write two";
                return Some(self.say(message, place, label).fix(fix, "\\"));
            }
        }
        None
    }

    /// `größe = 3`, `let α = 3`, `experiment 3d { }`
    pub fn name(&self) -> Option<Diagnostic> {
        let is_foreign = |c: char| c.is_alphanumeric() && !c.is_ascii();
        let at = self.text.char_indices().find(|(_, c)| is_foreign(*c)).map(|(at, _)| at);
        let inside = |at: usize| self.text[..at].matches('"').count() % 2 == 1;
        if let Some(at) = at.filter(|at| !inside(*at)) {
            let is_part = |c: char| c.is_alphanumeric() || c == '_';
            let start = at
                - self.text[..at]
                    .chars()
                    .rev()
                    .take_while(|c| is_part(*c))
                    .map(char::len_utf8)
                    .sum::<usize>();
            let end = at + self.text[at..].find(|c| !is_part(c)).unwrap_or(self.text.len() - at);
            let message = "a name has the letters a to z, A to Z, digits and `_`";
            let name = &self.text[start..end];
            return Some(
                self.say(message, (start, end), "not a name here")
                    .help(format!("write it in these letters, or as text: `\"{name}\"`")),
            );
        }
        let at = self.here();
        let word = word_at(self.text, at);
        let is_numbered = word.starts_with(|c: char| c.is_ascii_digit())
            && word.contains(|c: char| c.is_ascii_alphabetic());
        let begins = self.rule == super::Rule::one_header || !self.follows_value(at);
        (is_numbered && begins).then(|| {
            self.say("a name begins with a letter", (at, at + word.len()), "begins with a digit")
                .help(format!("write `_{word}`, or `\"{word}\"` for a label"))
        })
    }
}

/// What to say of the statement `text` at `span`, which can be read, but has words that mean a
/// value in another language and nothing in this one.
pub fn foreign_values(span: Span, text: &str) -> Vec<Diagnostic> {
    let mut at = 0;
    let words = text.split_inclusive(|c| !is_word(c)).map(|piece| {
        at += piece.len();
        (at - piece.len(), piece.trim_end_matches(|c| !is_word(c)))
    });
    words.filter_map(|(at, word)| foreign_value(span, text, at, word)).collect()
}

/// What to say of the word at byte `at` of `text`.
fn foreign_value(span: Span, text: &str, at: usize, word: &str) -> Option<Diagnostic> {
    if word != "range" && meant_by(word).is_none() {
        return None;
    }
    let (before, behind) = (&text[..at], &text[at + word.len()..]);
    let in_text = before.matches('"').count() % 2 == 1;
    if in_text || before.ends_with('.') {
        return None;
    }
    let start = span.range().start + at;
    let place = Span::new(span.file, start, start + word.len());
    let Some(meant) = meant_by(word) else {
        let message = "a range is written with `..`";
        return behind.starts_with('(').then(|| {
            Diagnostic::new(&codes::STATEMENT, message)
                .at(place, "not called here")
                .help("write `0..5`, which ends before 5, or `0..=5`")
        });
    };
    let follows_sign = before.trim_end().ends_with(['=', ',', '[', '(']);
    let follows = behind.trim_start();
    let names = follows.starts_with('=') && !follows.starts_with("==");
    (follows_sign && !names && !behind.starts_with('.')).then(|| {
        Diagnostic::new(&codes::STATEMENT, format!("`{word}` is written `{meant}`"))
            .at(place, format!("this is `{meant}` here"))
            .fix(place, meant)
    })
}
