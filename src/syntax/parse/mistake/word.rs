//! Words where the grammar got stuck: what stands beside what without anything between.

use super::{Piece, RESERVED, is_word, last_word, word_at};
use crate::diag::{Diagnostic, closest, codes};
use crate::syntax::Unit;

impl Piece<'_> {
    pub fn word(&self) -> Option<Diagnostic> {
        let at = self.here();
        let word = word_at(self.text, at);
        self.next_one(at, word)
            .or_else(|| self.foreign_operator(at, word))
            .or_else(|| self.no_value(at))
            .or_else(|| self.prefixed_text(at))
            .or_else(|| self.juxtaposed(at, word))
            .or_else(|| self.after_number(at, word))
            .or_else(|| self.next_value(at))
            .or_else(|| self.indexed(at))
    }

    /// `lambda x: x`, and `let a = experiment { … }`.
    fn no_value(&self, at: usize) -> Option<Diagnostic> {
        let before = self.before(at);
        let word = last_word(before);
        let place = (before.len() - word.len(), before.len());
        let is_block = self.text[at..].starts_with('{') && self.bracket(at).is_none();
        match word {
            "lambda" => {
                Some(self.say("there are no functions of your own", place, "write the value"))
            }
            "" => None,
            _ if is_block && self.follows_value(at) => {
                let message = format!("a block `{word} {{ … }}` is not a value");
                Some(
                    self.say(message, place, "expected a value")
                        .help("give the block a name, and write that here"),
                )
            }
            _ => None,
        }
    }

    /// Words that join values elsewhere.
    fn foreign_operator(&self, at: usize, word: &str) -> Option<Diagnostic> {
        if !self.follows_value(at) {
            return None;
        }
        let end = at + word.len();
        let next = self.skip(end);
        let place = self.place(at, end);
        match word {
            "for" => Some(
                Diagnostic::new(&codes::LOOP, "the language has no loops, inside lists neither")
                    .at(place, "a list is written out")
                    .help("write `[1, 2, 3]`, or `linspace(first, last, count)` in a sweep"),
            ),
            "if" | "elif" | "unless" => Some(
                self.say("a choice begins with its condition", (at, end), "not expected here")
                    .help("write `if a then b else c`; more than two: `else if d then e else f`"),
            ),
            "is" => {
                let is_not = word_at(self.text, next) == "not";
                let end = if is_not { next + 3 } else { end };
                let sign = if is_not { "!=" } else { "==" };
                let message = format!("two values are compared with `{sign}`");
                let label = format!("this is `{sign}` here");
                Some(self.say(message, (at, end), &label).fix(self.place(at, end), sign))
            }
            "not" if word_at(self.text, next) == "in" => {
                let message = "`not` stands before the whole comparison";
                let value = last_word(self.before(at));
                Some(
                    self.say(message, (at, end), "not expected here")
                        .help(format!("write `not {value} in …`")),
                )
            }
            "to" | "until" | "through" => {
                let sign = if word == "through" { "..=" } else { ".." };
                let start = self.before(at).len();
                let message = "a range is written with `..`";
                let help = "`0..5` ends before 5, `0..=5` with it";
                let fix = self.place(start, next);
                let diagnostic = self.say(message, (at, end), "this is `..` here").help(help);
                Some(if word == "to" { diagnostic } else { diagnostic.fix(fix, sign) })
            }
            "mod" | "div" | "xor" => {
                let message = format!("there is no `{word}`");
                Some(self.say(message, (at, end), "write the value"))
            }
            _ => None,
        }
    }

    /// `f"text"`, `r"text"`, `"""text"""`
    fn prefixed_text(&self, at: usize) -> Option<Diagnostic> {
        if !self.text[at..].starts_with('"') {
            return None;
        }
        let prefix = last_word(&self.text[..at]);
        let start = at - prefix.len();
        if matches!(prefix, "f" | "r" | "b" | "u" | "rb" | "fr") {
            let fix = self.place(start, at);
            let message = "text is what it says: nothing is put into it";
            return Some(self.say(message, (start, at), "leave this out").fix(fix, ""));
        }
        self.text[..at].ends_with("\"\"").then(|| {
            let message = "text stands between one `\"` and another, on one line";
            self.say(message, (at, at + 1), "not three of them")
        })
    }

    /// `f(x=1 y=2)` and `data = a views = 2`: what follows is another argument, or statement.
    fn next_one(&self, at: usize, word: &str) -> Option<Diagnostic> {
        let names = self.text[at..].find(|c| !is_word(c) && c != '.').map_or(0, |end| end);
        let behind = &self.text[self.skip(at + names)..];
        let sets = names > 0 && behind.starts_with('=') && !behind.starts_with("==");
        if !sets || !self.follows_value(at) || RESERVED.contains(&word) {
            return None;
        }
        let end = self.before(at).len();
        let name = &self.text[at..at + names];
        let (sign, what) = match self.bracket(at) {
            Some(_) => (",", "an argument"),
            None => (";", "a statement"),
        };
        let message = format!("`{sign}` is missing between {what} and the next, `{name}`");
        let label = format!("expected `{sign}`");
        let diagnostic = self.say(message, (end, end), &label);
        let last = last_word(&self.text[..end]);
        // `mlp widths=[32]` may be a call without its brackets.
        Some(match sign == ";" && last.starts_with(|c: char| c.is_ascii_alphabetic()) {
            true => diagnostic.help(format!(
                "write `{last}({name}=…)` for an argument, `{last}; {name} = …` for a statement"
            )),
            false => diagnostic.fix(self.place(end, end), sign),
        })
    }

    /// `0.5 supcon(…)`, `alpha supcon(…)`, `(1 - alpha) supcon(…)`
    fn juxtaposed(&self, at: usize, word: &str) -> Option<Diagnostic> {
        let path = &self.text[at..];
        let path = &path[..path.find(|c| !is_word(c) && c != '.').unwrap_or(path.len())];
        let calls = self.text[self.skip(at + path.len())..].starts_with('(') || path.contains('.');
        let is_name = word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !is_name || !calls || !self.follows_value(at) || RESERVED.contains(&word) {
            return None;
        }
        let before = self.before(at);
        let weight = before.rsplit(|c: char| !is_word(c) && c != '.').next().unwrap_or_default();
        let weight = if weight.is_empty() { "…" } else { weight };
        let message = "`*` is missing between a weight and its term";
        let times = if self.text[..at].ends_with(char::is_whitespace) { "* " } else { " * " };
        Some(
            Diagnostic::new(&codes::JUXTAPOSED, message)
                .at(self.place(at, at), "expected `*`")
                .help(format!("write `{weight} * {word}(…)`"))
                .fix(self.place(at, at), times),
        )
    }

    /// `600 epocs`, `1e-3f`, `10 percent`, `0x10`
    fn after_number(&self, at: usize, word: &str) -> Option<Diagnostic> {
        let before = self.before(at);
        let number = before.rsplit(|c: char| !is_word(c) && c != '.').next().unwrap_or_default();
        let is_number = number.starts_with(|c: char| c.is_ascii_digit());
        let is_word = word.starts_with(|c: char| c.is_ascii_alphabetic());
        if !is_number || !is_word || RESERVED.contains(&word) {
            return None;
        }
        let (start, end) = (before.len(), at + word.len());
        let is_glued = start == at;
        let fix = self.place(start, end);
        match word {
            "percent" | "pct" | "per" => {
                let label = "this is `%` here";
                return Some(
                    self.say("a share is written with `%`", (at, end), label).fix(fix, "%"),
                );
            }
            "f" | "F" | "f32" | "f64" | "L" | "u" | "j" if is_glued => {
                let message = "a number has no suffix for its type";
                return Some(self.say(message, (at, end), "leave this out").fix(fix, ""));
            }
            "e" | "E" if is_glued => {
                let message = "an exponent has digits behind its `e`";
                return Some(self.say(message, (at, end), "as in `1e-3`"));
            }
            _ if is_glued && number == "0" && word.starts_with(['x', 'b', 'o']) => {
                let message = "numbers are decimal";
                return Some(self.say(message, (at - 1, end), "write it with the digits 0 to 9"));
            }
            "x" | "times" => {
                let message = "a product is written with `*`";
                return Some(self.say(message, (at, end), "this is `*` here"));
            }
            _ => {}
        }
        Some(self.unit((at, end), word))
    }

    fn unit(&self, (at, end): (usize, usize), word: &str) -> Diagnostic {
        let place = self.place(at, end);
        let units = Unit::ALL.iter().map(|(unit, _)| unit.text());
        let diagnostic = Diagnostic::new(&codes::WRONG_UNIT, format!("`{word}` is not a unit"));
        match closest(word, units.clone()).filter(|near| near.len() > 2) {
            Some(near) => diagnostic.at(place, format!("did you mean `{near}`?")).fix(place, near),
            None => diagnostic
                .at(place, "not one of them")
                .help(format!("the units are {}", units.collect::<Vec<_>>().join(", "))),
        }
    }

    /// `[1 2]`: a value right behind a value, inside brackets.
    fn next_value(&self, at: usize) -> Option<Diagnostic> {
        let begins = |c: char| is_word(c) || matches!(c, '"' | '(' | '[' | '{');
        let is_next = self.text[at..].starts_with(begins)
            && self.follows_value(at)
            && !self.text[..at].ends_with(is_word);
        let (_, bracket, is_call) = self.bracket(at)?;
        let end = self.before(at).len();
        let label = "expected `,`, or an operator";
        let message = "`,` is missing between two values";
        let diagnostic = self.say(message, (end, end), label);
        match is_next {
            true if is_call => Some(self.unset(at).unwrap_or(diagnostic)),
            true if bracket != '(' => Some(diagnostic.fix(self.place(end, end), ",")),
            _ => None,
        }
    }

    /// `adamw(lr 1e-3)`
    fn unset(&self, at: usize) -> Option<Diagnostic> {
        let before = self.before(at);
        let name = last_word(before);
        let is_first = self.before(before.len() - name.len()).ends_with(['(', ',']);
        if !is_first || !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return None;
        }
        let end = self.text[at..].find([',', ')', '\n']).unwrap_or(self.text.len() - at);
        let value = self.text[at..at + end].trim_end();
        let value = if value.contains(['(', '[', '{', '"']) { "…" } else { value };
        let message = "`=` is missing between an argument and its value";
        let end = before.len();
        let diagnostic = self.say(message, (end, end), "expected `=`");
        Some(diagnostic.help(format!("write `{name}={value}`")))
    }

    /// `[1, 2][0]`
    fn indexed(&self, at: usize) -> Option<Diagnostic> {
        let is_index = self.text[at..].starts_with('[') && self.before(at).ends_with([']', ')']);
        is_index.then(|| {
            self.say("a list is not taken apart", (at, at + 1), "write the value that is meant")
        })
    }
}
