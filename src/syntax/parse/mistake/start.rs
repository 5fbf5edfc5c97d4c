//! Statements that begin as those of other languages do.

use super::{Piece, RESERVED, Rule, is_word, word_at};
use crate::diag::{Diagnostic, codes};

/// Words that statements of other languages begin with: what to say, and what to do instead.
const WORDS: &[(&[&str], &str, &str, &str)] = &[
    (
        &["def", "function", "fn", "func", "macro"],
        "an experiment file has no functions of its own",
        "what varies is a parameter",
        "write `param NAME: TYPE = …`, or `let NAME = …` for a value that is used often",
    ),
    (
        &["class", "struct", "type"],
        "there are no classes",
        "what experiments share is inherited",
        "write `experiment NAME extends OTHER { … }`",
    ),
    (
        &[
            "return", "print", "println", "pass", "break", "continue", "yield", "assert", "del",
            "raise",
        ],
        "a file declares what is to be known, it does nothing step by step",
        "leave this out",
        "results are told by `eval { … }` and by the tables of `balance run`",
    ),
    (
        &["end", "begin", "done", "do", "fi"],
        "a block stands between `{` and `}`",
        "leave this out",
        "write `experiment NAME { … }`",
    ),
    (
        &["from", "using", "include", "require", "source", "use"],
        "another file is imported by its name",
        "this is `import` here",
        "write `import \"FILE.exp\" as NAME`, and then `NAME.simclr`",
    ),
    (
        &["if", "elif", "elseif", "else", "switch", "match", "case", "try", "when"],
        "a statement holds always, a value may depend on something",
        "not a statement",
        "write `views = if a == 1 then 2 else 1`, or `choose` in a sweep",
    ),
];

/// Signs that set a value elsewhere.
const SETTING: &[&str] = &["->", "=>", ":=", "<-", "==", "→", "←"];
/// Signs that change a value elsewhere.
const CHANGING: &[&str] = &["+=", "-=", "*=", "/=", "++", "--"];

impl Piece<'_> {
    pub fn start(&self) -> Option<Diagnostic> {
        let first = word_at(self.text, 0);
        let behind = self.skip(first.len());
        let is_set = self.text[behind..].starts_with(['=', '.']);
        if matches!(first, "for" | "while" | "foreach" | "repeat") && !is_set {
            return Some(
                Diagnostic::new(&codes::LOOP, "the language has no loops")
                    .at(self.place(0, first.len()), "a sweep lists its values")
                    .help("write `grid { a = [1, 2, 3] }` inside a `sweep`"),
            );
        }
        self.mark()
            .or_else(|| self.quoted_key())
            .or_else(|| self.colon(first))
            .or_else(|| self.foreign_word(first).filter(|_| !is_set))
            .or_else(|| self.reserved(first))
            .or_else(|| self.edition(first))
            .or_else(|| self.import(first))
            .or_else(|| self.setting())
            .or_else(|| self.param(first))
            .or_else(|| self.call(first))
    }

    /// `digits()` without a name before it.
    fn call(&self, first: &str) -> Option<Diagnostic> {
        let is_call = !first.is_empty() && self.text[self.skip(first.len())..].starts_with('(');
        (is_call && !RESERVED.contains(&first) && self.rule == Rule::one_statement).then(|| {
            self.say(
                "a call is the value of a name",
                (0, first.len()),
                "expected `NAME =` before this",
            )
            .help(format!("write `NAME = {}`", self.text))
        })
    }

    fn foreign_word(&self, first: &str) -> Option<Diagnostic> {
        let (_, message, label, help) = WORDS.iter().find(|(words, ..)| words.contains(&first))?;
        // `else` and `if` inside a value are another matter.
        Some(self.say(*message, (0, first.len()), label).help(*help))
    }

    /// Signs before a statement: `+key=`, `~key`, `- item`, `[section]`, `@decorator`, `---`.
    fn mark(&self) -> Option<Diagnostic> {
        let first = self.text.chars().next()?;
        let body = self.text.trim_start_matches(first);
        let (marks, key) = (self.text.len() - body.len(), body.trim());
        let end = first.len_utf8();
        match first {
            '+' if key.contains('=') => Some(
                Diagnostic::new(&codes::PLUS_KEY, "fields are set without `+`")
                    .at(self.place(0, marks), "leave this out")
                    .help(format!("write `{key}`"))
                    .fix(self.place(0, marks), ""),
            ),
            '~' => Some(
                Diagnostic::new(&codes::PLUS_KEY, "a field is taken away by setting it to `none`")
                    .at(self.place(0, marks), "this is `= none` here")
                    .help(format!("write `{key} = none`")),
            ),
            '-' if marks > 1 => {
                let label = "a comment begins with `#`";
                Some(self.say("a line of `-` says nothing here", (0, marks), label))
            }
            '-' | '*' | '•' => Some(
                self.say("a list stands between `[` and `]`", (0, end), "not an item of a list")
                    .help("write `NAME = [first, second]`"),
            ),
            '[' => {
                let name = key.trim_matches(|c| matches!(c, '[' | ']'));
                let help = format!("write `{name} {{ … }}`");
                let message = "a section is a block, with its fields between `{` and `}`";
                Some(self.say(message, (0, self.text.len()), "not a section").help(help))
            }
            '@' => Some(self.say("there are no decorators", (0, end), "leave this line out")),
            '%' | '!' => Some(self.say("there are no commands", (0, end), "leave this line out")),
            _ => None,
        }
    }

    /// `"key": value` and `"key" = value`.
    fn quoted_key(&self) -> Option<Diagnostic> {
        let rest = self.text.strip_prefix(['"', '\''])?;
        let quote = self.text.chars().next()?;
        let key = &rest[..rest.find(quote)?];
        let sign = self.skip(key.len() + 2);
        if !self.text[sign..].starts_with([':', '=']) || !key.chars().all(is_word) {
            return None;
        }
        let value = self.text[sign + 1..].trim().trim_end_matches(',');
        let diagnostic =
            Diagnostic::new(&codes::COLON, "a field is a name without quotes, then `=`")
                .at(self.place(0, sign + 1), format!("this is `{key} =` here"))
                .help(format!("write `{key} = {value}`"));
        Some(match value.is_empty() || key.is_empty() {
            true => diagnostic,
            false => diagnostic.fix(self.place(0, self.text.len()), format!("{key} = {value}")),
        })
    }

    fn colon(&self, first: &str) -> Option<Diagnostic> {
        let end = self.text.find(|c| !is_word(c) && c != '.').unwrap_or(self.text.len());
        let path = &self.text[..end];
        let colon = self.skip(end);
        let rest = self.text[colon..].strip_prefix(':')?;
        let has_gap = path.split('.').any(str::is_empty);
        if has_gap || first == "param" || rest.starts_with('=') {
            return None;
        }
        let value = rest.trim();
        let place = self.place(colon, colon + 1);
        let diagnostic =
            |message| Diagnostic::new(&codes::COLON, message).at(place, "this is `=` here");
        if value.is_empty() && path != first {
            return Some(diagnostic("a field is set with `=`").help(format!("write `{path} = …`")));
        }
        if value.is_empty() {
            let message = "a block stands between `{` and `}`, not below a `:`";
            return Some(
                Diagnostic::new(&codes::COLON, message)
                    .at(place, "this is `{` here")
                    .help(format!("write `{first} {{ … }}`, or `{first} = …` for a value")),
            );
        }
        let before = if colon == end { " " } else { "" };
        let behind = if rest.starts_with(char::is_whitespace) { "" } else { " " };
        let help = format!("write `{path} = {}`", value.trim_end_matches(','));
        let fix = format!("{before}={behind}");
        Some(diagnostic("a field is set with `=`").help(help).fix(place, fix))
    }

    fn reserved(&self, first: &str) -> Option<Diagnostic> {
        let rest = self.text[first.len()..].trim_start();
        let sets = rest.starts_with('=') && !rest.starts_with("==");
        (RESERVED.contains(&first) && sets && first != "edition").then(|| {
            self.say(
                format!("`{first}` is a word of the language"),
                (0, first.len()),
                "it cannot name a field",
            )
            .help("choose another name")
        })
    }

    /// `edition "1"`, `edition = 1`, `edition 1.0`.
    fn edition(&self, first: &str) -> Option<Diagnostic> {
        let rest = self.text.strip_prefix("edition")?.trim();
        let number = rest.trim_matches(|c: char| !c.is_ascii_digit());
        let number = number.split('.').next().unwrap_or_default();
        let diagnostic = self
            .say(
                "the edition is one whole number",
                (first.len(), self.text.len()),
                "not a number alone",
            )
            .help("write `edition 1`");
        let whole = self.place(0, self.text.len());
        (first == "edition").then(|| match number {
            "1" => diagnostic.fix(whole, "edition 1"),
            _ => diagnostic,
        })
    }

    /// `import lib`, `import "lib.exp"`, `import 'lib.exp' as lib`.
    fn import(&self, first: &str) -> Option<Diagnostic> {
        let rest = self.text.strip_prefix("import").filter(|_| first == "import")?.trim();
        let stem = rest.trim_matches(|c: char| !is_word(c)).split('.').next().unwrap_or_default();
        let stem = if stem.chars().all(is_word) && !stem.is_empty() { stem } else { "NAME" };
        Some(
            self.say(
                "an import says which file, and what it is called here",
                (0, self.text.len()),
                "expected a file in quotes, `as`, and a name",
            )
            .help(format!(
                "write `import \"{}.exp\" as {stem}`",
                if stem == "NAME" { "FILE" } else { stem }
            )),
        )
    }

    /// Another sign, or none, where a value is set.
    fn setting(&self) -> Option<Diagnostic> {
        let (names, behind) = self.names();
        let rest = &self.text[behind..];
        let sign = |signs: &[&'static str]| signs.iter().find(|it| rest.starts_with(**it)).copied();
        if names.is_empty() || matches!(names[0], "where" | "expect" | "claim" | "param") {
            return None;
        }
        if let Some(sign) = sign(SETTING) {
            let place = (behind, behind + sign.len());
            let message = match sign {
                "==" => "`==` compares two values; a field is set with `=`".to_owned(),
                _ => format!("a value is set with `=`, not `{sign}`"),
            };
            let fix = self.place(place.0, place.1);
            return Some(self.say(message, place, "this is `=` here").fix(fix, "="));
        }
        if let Some(sign) = sign(CHANGING) {
            let label = "nothing is changed later";
            let place = (behind, behind + sign.len());
            return Some(
                self.say("a value is set once", place, label)
                    .help("write the value it is to have; a sweep varies it"),
            );
        }
        match names[..] {
            ["let", name] if rest.starts_with(':') => Some(
                self.say("only a `param` has a type", (behind, behind + 1), "not expected here")
                    .help(format!("write `let {name} = …`, or `param {name}: TYPE = …`")),
            ),
            ["let", _] if rest.starts_with(|c: char| c.is_ascii() && c != '=') => {
                let end = self.before(behind).len();
                let fix = self.place(end, end);
                let message = "`=` is missing between a name and its value";
                Some(self.say(message, (end, end), "expected `=`").fix(fix, " ="))
            }
            ["let", .., _] if names.len() > 2 && rest.starts_with('=') => {
                let start = self.skip(3);
                let end = self.before(behind).len();
                let name = names[1..].join("_");
                Some(
                    self.say("a name is one word", (start, end), "several words")
                        .help(format!("write `let {name} = …`")),
                )
            }
            _ => None,
        }
    }

    /// The words the statement begins with, and where what follows them begins.
    fn names(&self) -> (Vec<&str>, usize) {
        let (mut names, mut at) = (Vec::new(), 0);
        loop {
            let rest = &self.text[at..];
            let end = rest.find(|c| !is_word(c) && c != '.').unwrap_or(rest.len());
            if end == 0 || rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
                return (names, at);
            }
            names.push(&rest[..end]);
            at = self.skip(at + end);
        }
    }

    /// `param a: fraction` without a default, `param a fraction = 3` without a colon.
    fn param(&self, first: &str) -> Option<Diagnostic> {
        let (names, behind) = self.names();
        if first != "param" || names.len() < 2 {
            return None;
        }
        let name = names[1];
        if let [_, _, ty] = names[..]
            && self.text[behind..].starts_with('=')
        {
            let end = self.before(behind).len() - ty.len();
            let gap = self.before(end).len();
            let fix = self.place(gap, gap);
            let message = "`:` is missing between a parameter and its type";
            return Some(self.say(message, (gap, gap), "expected `:`").fix(fix, ":"));
        }
        (!self.text.contains('=')).then(|| {
            let end = self.text.len();
            self.say("a parameter needs a value to begin with", (end, end), "expected `= VALUE`")
                .help(format!("write `param {name}: TYPE = VALUE`"))
        })
    }
}
