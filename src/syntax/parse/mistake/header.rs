//! What is wrong with the words before a block's `{`.

use super::{Piece, is_word, last_word};
use crate::diag::Diagnostic;

impl Piece<'_> {
    pub fn header(&self) -> Option<Diagnostic> {
        if self.text.is_empty() {
            return Some(
                self.say("a block begins with its kind", (0, 0), "expected a word before `{`")
                    .help("write `experiment NAME { … }`"),
            );
        }
        self.unfinished().or_else(|| self.inherits()).or_else(|| self.dashed())
    }

    /// `sweep s of { }`
    fn unfinished(&self) -> Option<Diagnostic> {
        let word = last_word(self.text);
        let end = self.text.len();
        matches!(word, "of" | "extends").then(|| {
            self.say(format!("`{word}` names nothing"), (end - word.len(), end), "of what?")
                .help(format!("write `{word} NAME`, the name of another block"))
        })
    }

    /// `experiment a : b { }`, `experiment a(b) { }`, `experiment a < b { }`
    fn inherits(&self) -> Option<Diagnostic> {
        let at = self.here();
        let sign = self.text[at..].chars().next().filter(|c| matches!(c, ':' | '(' | '<'))?;
        let other = self.text[at + 1..].trim().trim_end_matches([')', ':']).trim();
        let start = self.before(at).len();
        let place = self.place(start, self.text.len());
        if other.is_empty() {
            let message = format!("`{sign}` is not expected before `{{`");
            let diagnostic = self.say(message, (at, self.text.len()), "leave this out");
            return Some(diagnostic.fix(place, ""));
        }
        let diagnostic = self
            .say(
                "what a block builds on follows `extends`",
                (at, self.text.len()),
                "not expected here",
            )
            .help(format!("write `{} extends {other}`", &self.text[..start]));
        let is_path = other.chars().all(|c| is_word(c) || c == '.');
        Some(if is_path { diagnostic.fix(place, format!(" extends {other}")) } else { diagnostic })
    }

    /// `experiment my-name { }`
    fn dashed(&self) -> Option<Diagnostic> {
        let at = self.here();
        let is_dash = self.text[at..].starts_with('-') && self.text[..at].ends_with(is_word);
        is_dash.then(|| {
            let fix = self.place(at, at + 1);
            self.say("a name has no `-`", (at, at + 1), "this is `_` here").fix(fix, "_")
        })
    }
}
