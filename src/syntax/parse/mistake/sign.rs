//! Signs of other languages, and of keyboards, where the grammar got stuck.

use super::{Piece, is_word};
use crate::diag::{Diagnostic, codes};

/// What other languages write, what is written here, and what mends it, where that is certain.
const FOREIGN: &[(&str, &str, Option<&str>)] = &[
    ("/*", "a comment begins with `#`, on every line", None),
    ("&&", "write `and`", Some("and")),
    ("||", "write `or`", Some("or")),
    ("**", "there are no powers: write the number", None),
    ("^", "there are no powers: write the number", None),
    ("<>", "write `!=`", Some("!=")),
    ("+/-", "write `±`", Some("±")),
    ("...", "write `0..5`, which ends before 5, or `0..=5`", None),
    ("…", "write `0..5`, which ends before 5, or `0..=5`", None),
    ("->", "write `=`", Some("=")),
    ("=>", "write `=`", Some("=")),
    (":=", "write `=`", Some("=")),
    ("!", "write `not`", Some("not ")),
    ("?", "a choice is written `if a then b else c`", None),
    ("@", "there are no decorators and no macros", None),
    ("\\", "a statement goes on inside brackets, and behind its `=`", None),
    ("−", "write `-`, the sign of the keyboard", Some("-")),
    ("–", "write `-`, the sign of the keyboard", Some("-")),
    ("—", "write `-`, the sign of the keyboard", Some("-")),
    ("×", "write `*`", Some("*")),
    ("·", "write `*`", Some("*")),
    ("⋅", "write `*`", Some("*")),
    ("÷", "write `/`", Some("/")),
    ("≤", "write `<=`", Some("<=")),
    ("≥", "write `>=`", Some(">=")),
    ("≠", "write `!=`", Some("!=")),
    ("∈", "write `in`", Some("in")),
    ("→", "write `=`", Some("=")),
    ("¬", "write `not`", Some("not ")),
    ("∧", "write `and`", Some("and")),
    ("∨", "write `or`", Some("or")),
    ("%", "`%` belongs to a number; there is no remainder", None),
];
/// Space that is none to the language, and characters that cannot be seen.
const UNSEEN: &[(&str, &str, &str)] = &[
    ("\u{a0}", "a no-break space", " "),
    ("\u{2009}", "a thin space", " "),
    ("\u{202f}", "a narrow space", " "),
    ("\u{3000}", "a wide space", " "),
    ("\u{200b}", "a space of no width", ""),
    ("\u{feff}", "a byte order mark", ""),
    ("\u{ad}", "a soft hyphen", ""),
];
/// Pairs of quotes that begin no text here.
const QUOTES: &[(char, char)] =
    &[('\'', '\''), ('“', '”'), ('‘', '’'), ('„', '“'), ('«', '»'), ('`', '`')];

impl Piece<'_> {
    /// A sign of another language where the grammar got stuck, or just before.
    pub fn sign(&self) -> Option<Diagnostic> {
        self.unseen()
            .or_else(|| self.quotes())
            .or_else(|| self.nested_colon())
            .or_else(|| self.interpolated())
            .or_else(|| self.slashes())
            .or_else(|| self.compared())
            .or_else(|| self.foreign())
            .or_else(|| self.point())
            .or_else(|| self.separator())
            .or_else(|| self.starred())
    }

    fn unseen(&self) -> Option<Diagnostic> {
        let rest = &self.text[self.at..];
        let (sign, name, fix) = UNSEEN.iter().find(|(sign, ..)| rest.starts_with(sign))?;
        let place = (self.at, self.at + sign.len());
        let code = u32::from(sign.chars().next()?);
        let label = if fix.is_empty() { "take it out" } else { "write a plain space" };
        let message = format!("{name} (U+{code:04X}) stands here");
        Some(self.say(message, place, label).fix(self.place(place.0, place.1), *fix))
    }

    /// A text in other quotes.
    fn quotes(&self) -> Option<Diagnostic> {
        let at = self.here();
        let first = self.text[at..].chars().next()?;
        let (_, close) = QUOTES.iter().find(|(open, _)| *open == first)?;
        let inside = at + first.len_utf8();
        let end = self.text[inside..].find([*close, first]);
        let message = format!("text stands between `\"` and `\"`, not after `{first}`");
        let label = if first == '`' { "not a quote here" } else { "expected `\"`" };
        let diagnostic = self.say(message.replace("```", "a backtick"), (at, inside), label);
        let Some(end) = end.map(|it| inside + it) else { return Some(diagnostic) };
        let text = &self.text[inside..end];
        let last = end + self.text[end..].chars().next().map_or(0, char::len_utf8);
        Some(match text.contains(['"', '\\']) {
            true => diagnostic,
            false => diagnostic.fix(self.place(at, last), format!("\"{text}\"")),
        })
    }

    /// `name: value` among the arguments of a call or in a record, and `a[1:2]`.
    fn nested_colon(&self) -> Option<Diagnostic> {
        let key = self.here();
        let word = &self.text[key..];
        let quoted = word.strip_prefix('"').and_then(|it| it.find('"')).map_or(0, |it| it + 2);
        let colon = match word.starts_with(':') {
            true => key,
            false if quoted > 0 => self.skip(key + quoted),
            false => self.skip(key + word.find(|c| !is_word(c)).unwrap_or(word.len())),
        };
        if !self.text[colon..].starts_with(':') {
            return None;
        }
        let place = (colon, colon + 1);
        let Some((_, bracket, _)) = self.bracket(colon) else {
            let fix = self.place(colon, colon + 1);
            let is_symbol = !self.follows_value(colon);
            let label = if is_symbol { "leave this out" } else { "not expected here" };
            let diagnostic = self.say("`:` stands only before the type of a `param`", place, label);
            return Some(if is_symbol { diagnostic.fix(fix, "") } else { diagnostic });
        };
        let before = self.before(colon);
        let name = before.rsplit(|c: char| !is_word(c) && c != '"').next().unwrap_or_default();
        if bracket == '[' || name.starts_with(|c: char| c.is_ascii_digit()) {
            let label = "expected `..`";
            let help = "a range is `0..5`, which ends before 5, or `0..=5`";
            return Some(self.say("a range is written with `..`", place, label).help(help));
        }
        let (message, sign) = match bracket {
            '{' => ("an entry is given with `=`", " = "),
            _ => ("an argument is given with `=`", "="),
        };
        // One space goes with the `:`.
        let behind = &self.text[colon + 1..];
        let is_spaced = behind.starts_with(' ') && behind[1..].starts_with(|c| c != ' ');
        let fix = self.place(before.len(), colon + 1 + usize::from(is_spaced));
        (!name.is_empty()).then(|| {
            Diagnostic::new(&codes::COLON, message)
                .at(self.place(place.0, place.1), "this is `=` here")
                .help(format!("write `{name}{}…`", if bracket == '{' { " = " } else { "=" }))
                .fix(fix, sign)
        })
    }

    /// `$name` and `${name}`.
    fn interpolated(&self) -> Option<Diagnostic> {
        let at = self.here();
        let rest = self.text[at..].strip_prefix('$')?;
        let name: String =
            rest.trim_start_matches('{').chars().take_while(|c| is_word(*c) || *c == '.').collect();
        let length = 1 + if rest.starts_with('{') { name.len() + 2 } else { name.len() };
        let end = (at + length).min(self.text.len());
        let diagnostic =
            self.say("a name stands by itself, without `$`", (at, at + 1), "leave this out");
        Some(match name.is_empty() || !self.text.is_char_boundary(end) {
            true => diagnostic,
            false => diagnostic.help(format!("write `{name}`")).fix(self.place(at, end), name),
        })
    }

    /// `// a comment`, or a division that cannot be told from one.
    fn slashes(&self) -> Option<Diagnostic> {
        let at = self.place_of("//")?;
        let divides =
            self.text[at + 2..].trim_start().starts_with(|c: char| c.is_ascii_digit() || c == '(');
        let message = "`//` is not a sign of the language here";
        if divides && self.follows_value(at) {
            let label = "there is only `/`, which keeps the fraction";
            return Some(self.say(message, (at, at + 2), label));
        }
        let fix = self.place(at, at + 2);
        Some(self.say(message, (at, at + 2), "a comment begins with `#`").fix(fix, "#"))
    }

    /// `sign`, where the grammar got stuck or one byte before.
    fn place_of(&self, sign: &str) -> Option<usize> {
        let at = self.here();
        let earlier = at.checked_sub(1).filter(|_| sign.len() > 1);
        let places = [Some(at), earlier, at.checked_sub(2).filter(|_| sign.len() > 2)];
        places
            .into_iter()
            .flatten()
            .find(|at| self.text.is_char_boundary(*at) && self.text[*at..].starts_with(sign))
    }

    /// `=` where two values are compared.
    fn compared(&self) -> Option<Diagnostic> {
        let at = self.here();
        let rest = self.text[at..].strip_prefix('=')?;
        let is_condition =
            ["where ", "expect ", "claim "].iter().any(|it| self.text.starts_with(it));
        let is_test =
            self.before(at).rsplit([',', '(', '=']).next().is_some_and(|it| it.contains("if "));
        let place = (
            at,
            at + 1
                + usize::from(rest.starts_with('='))
                    * (rest.len() - rest.trim_start_matches('=').len()),
        );
        ((is_condition || is_test) && self.follows_value(at)).then(|| {
            let fix = self.place(place.0, place.1);
            self.say("two values are compared with `==`", place, "this is `==` here").fix(fix, "==")
        })
    }

    fn foreign(&self) -> Option<Diagnostic> {
        let found = FOREIGN.iter().filter_map(|it| Some((self.place_of(it.0)?, it)));
        let (at, (sign, advice, fix)) =
            found.min_by_key(|(at, it)| (*at, std::cmp::Reverse(it.0.len())))?;
        let place = (at, at + sign.len());
        let shown = sign.replace('`', "backtick");
        let message = format!("`{shown}` is not a sign of the language here");
        let diagnostic = self.say(message, place, advice);
        Some(match fix {
            Some(fix) => diagnostic.fix(self.place(place.0, place.1), self.apart(place, fix)),
            None => diagnostic,
        })
    }

    /// `fix` in `place`, with a space where it would grow together with a word beside it.
    fn apart(&self, (start, end): (usize, usize), fix: &str) -> String {
        let before = self.text[..start].ends_with(is_word) && fix.starts_with(is_word);
        let behind = self.text[end..].starts_with(is_word) && fix.ends_with(is_word);
        let space = |is_needed: bool| if is_needed { " " } else { "" };
        format!("{}{fix}{}", space(before), space(behind))
    }

    /// `.5` and `5.`
    fn point(&self) -> Option<Diagnostic> {
        let at = self.place_of(".")?;
        let is_digit = |c: char| c.is_ascii_digit();
        let place = (at, at + 1);
        let rest = &self.text[at + 1..];
        let begins = !self.follows_value(at) && !self.text[..at].ends_with('.');
        if rest.starts_with(is_digit) && begins {
            let fix = self.place(at, at);
            let message = "a number begins with a digit";
            return Some(self.say(message, place, "expected `0.`").fix(fix, "0"));
        }
        let number = self.number_before(at);
        if number.starts_with(is_digit) && !rest.starts_with('.') {
            if number.contains(['.', 'e', 'E']) || rest.starts_with(is_digit) {
                let message = "a number has one point, before its exponent";
                return Some(self.say(message, place, "not expected here"));
            }
            let fix = self.place(at + 1, at + 1);
            let message = "a number ends with a digit";
            return Some(self.say(message, place, "expected `.0`, or no point").fix(fix, "0"));
        }
        let message = "`.` stands between two names, or inside a number";
        Some(self.say(message, place, "not expected here"))
    }

    /// The number that `at` follows without a space between, or the name.
    fn number_before(&self, at: usize) -> &str {
        let text = &self.text[..at];
        let is_part = |c: char| is_word(c) || c == '.';
        let start = text.trim_end_matches(is_part).len();
        // `1e-3` is one number.
        let whole = text[..start].trim_end_matches(['-', '+']);
        let first = whole.trim_end_matches(is_part).len();
        let is_exponent =
            whole.ends_with(['e', 'E']) && whole[first..].starts_with(|c: char| c.is_ascii_digit());
        &text[if is_exponent { first } else { start }..]
    }

    /// `,` and `;` where they separate nothing.
    fn separator(&self) -> Option<Diagnostic> {
        let at = self.here();
        let sign = self.text[at..].chars().next().filter(|c| matches!(c, ',' | ';'))?;
        let place = (at, at + 1);
        let fix = self.place(at, at + 1);
        match (sign, self.bracket(at)) {
            (';', _) => {
                let message = "`;` ends a statement; inside brackets values stand between `,`";
                Some(self.say(message, place, "this is `,` here").fix(fix, ","))
            }
            (_, None) if self.skip(at + 1) == self.text.len() => {
                let message = "a statement ends with its line, or with `;`";
                Some(self.say(message, place, "leave this out").fix(fix, ""))
            }
            (_, None) => Some(self.comma(at)),
            (_, Some((open, '(', false))) => Some(self.say(
                "a list stands between `[` and `]`",
                (open, open + 1),
                "this is `[` here",
            )),
            _ => {
                let message = "a value is missing before `,`";
                Some(self.say(message, place, "leave this out, or write a value before it"))
            }
        }
    }

    /// `1,000`, `1,5` and `1,2,3` outside brackets.
    fn comma(&self, at: usize) -> Diagnostic {
        let is_part = |c: char| c.is_ascii_digit() || c == ',';
        let start = self.text[..at].trim_end_matches(is_part).len();
        let end = self.text.len() - self.text[at..].trim_start_matches(is_part).len();
        let is_apart = |c: char| is_word(c) || c == '.';
        let is_whole =
            !self.text[..start].ends_with(is_apart) && !self.text[end..].starts_with(is_apart);
        let groups: Vec<&str> = self.text[start..end].split(',').collect();
        let place = (at, at + 1);
        if is_whole && are_thousands(&groups) {
            let message = "the digits of a number are grouped with `_`";
            let fix = self.place(start, end);
            return self.say(message, place, "this is `_` here").fix(fix, groups.join("_"));
        }
        let message = "a statement ends with its line, or with `;`, not with `,`";
        let diagnostic = self.say(message, place, "not expected here");
        let list = "a list of values stands between `[` and `]`";
        match groups[..] {
            [whole, part] if is_whole && !whole.is_empty() && !part.is_empty() => {
                diagnostic.help(format!("a decimal point is `.`: write `{whole}.{part}`; {list}"))
            }
            _ => diagnostic.help(list),
        }
    }

    /// `f(*rest)`
    fn starred(&self) -> Option<Diagnostic> {
        let at = self.here();
        let is_star = self.text[at..].starts_with('*') && self.bracket(at).is_some();
        (is_star && !self.follows_value(at)).then(|| {
            self.say("arguments are written out one by one", (at, at + 1), "nothing is unpacked")
        })
    }
}

/// Whether these are the groups of one number of a thousand or more.
fn are_thousands(groups: &[&str]) -> bool {
    let [first, rest @ ..] = groups else { return false };
    let is_first = (1..=3).contains(&first.len()) && !first.starts_with('0');
    is_first && !rest.is_empty() && rest.iter().all(|group| group.len() == 3)
}
