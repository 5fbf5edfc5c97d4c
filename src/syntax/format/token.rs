//! The signs, words and comments of a statement, each with what stands around it when it is printed.

/// A piece of a statement's text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
    /// Line ends between it and the token before.
    pub newlines: usize,
}

/// What a token is, as far as the space around it depends on that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A path, a number, a unit or a text.
    Plain,
    /// A word of the language; brackets behind it are not those of a call.
    Keyword,
    /// Between spaces: `+`, `==`, the `=` of a field.
    Spaced,
    /// Without any: `..`, `..=`, the `=` of an argument.
    Tight,
    /// Bound to what follows: the `-` of a number.
    Prefix,
    /// Bound to what stands before: `,`, `:`, `%`.
    Suffix,
    Open(Bracket),
    Close,
    Comment,
}

/// What a bracket holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bracket {
    /// The arguments of a call.
    Call,
    List,
    Record,
    /// `(a + b)`, `metric[test]`: one value, without a comma.
    Single {
        glued: bool,
    },
}

/// Words behind which a value begins, or which are values themselves.
const KEYWORDS: &[&str] = &[
    "edition", "import", "as", "let", "param", "in", "of", "extends", "else", "if", "then",
    "where", "expect", "claim", "and", "or", "not",
];
/// Longest first.
const SIGNS: &[&str] = &["..=", "..", "==", "!=", "<=", ">=", "+-", "±"];

/// The tokens of `text`, a statement that can be read.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { rest: text, tokens: Vec::new(), open: Vec::new() };
    while lexer.step() {}
    lexer.tokens
}

struct Lexer<'a> {
    rest: &'a str,
    tokens: Vec<Token<'a>>,
    open: Vec<Bracket>,
}

impl<'a> Lexer<'a> {
    /// Takes one token; whether there was one.
    fn step(&mut self) -> bool {
        let body = self.rest.trim_start();
        let newlines = self.rest[..self.rest.len() - body.len()].matches('\n').count();
        let Some(first) = body.chars().next() else { return false };
        let length = length(body, first);
        let text = &body[..length];
        self.rest = &body[length..];
        let kind = self.kind(text, first);
        match kind {
            Kind::Open(bracket) => self.open.push(bracket),
            Kind::Close => drop(self.open.pop()),
            _ => {}
        }
        // A comment keeps its text, but not the space behind it.
        self.tokens.push(Token { kind, text: text.trim_ascii_end(), newlines });
        true
    }

    fn kind(&self, text: &str, first: char) -> Kind {
        match first {
            '#' => Kind::Comment,
            '(' if self.follows_name() => Kind::Open(Bracket::Call),
            '(' => Kind::Open(Bracket::Single { glued: false }),
            '[' if self.follows_name() => Kind::Open(Bracket::Single { glued: true }),
            '[' => Kind::Open(Bracket::List),
            '{' => Kind::Open(Bracket::Record),
            ')' | ']' | '}' => Kind::Close,
            ',' | ':' | '%' => Kind::Suffix,
            '=' if text == "=" && self.open.last() == Some(&Bracket::Call) => Kind::Tight,
            '.' => Kind::Tight,
            '-' if self.begins_value() => Kind::Prefix,
            _ if KEYWORDS.contains(&text) => Kind::Keyword,
            '"' => Kind::Plain,
            _ if is_word(first) => Kind::Plain,
            _ => Kind::Spaced,
        }
    }

    fn before(&self) -> Option<&Token<'a>> {
        self.tokens.iter().rev().find(|token| token.kind != Kind::Comment)
    }

    fn follows_name(&self) -> bool {
        let is_name = |token: &Token| {
            token.kind == Kind::Plain
                && token.text.starts_with(|c: char| is_word(c) && !c.is_ascii_digit())
        };
        self.before().is_some_and(is_name)
    }

    /// Whether a value begins here, so that `-` is its sign.
    fn begins_value(&self) -> bool {
        let is_claim = matches!(&self.tokens[..], [word, _] if word.text == "claim");
        is_claim
            || self.before().is_none_or(|token| match token.kind {
                Kind::Plain | Kind::Close => false,
                Kind::Suffix => token.text != "%",
                _ => true,
            })
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The bytes of the token that `text` begins with.
fn length(text: &str, first: char) -> usize {
    match first {
        '#' => text.find('\n').unwrap_or(text.len()),
        '"' => quoted(text),
        _ if first.is_ascii_digit() => number(text),
        _ if is_word(first) => path(text),
        _ => {
            let sign = SIGNS.iter().find(|sign| text.starts_with(**sign));
            sign.map_or(first.len_utf8(), |sign| sign.len())
        }
    }
}

fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            _ => escaped = c == '\\' && !escaped,
        }
    }
    text.len()
}

fn digits(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len())
}

fn number(text: &str) -> usize {
    let mut end = digits(text);
    let fraction = text[end..].strip_prefix('.').map_or(0, digits);
    if fraction > 0 {
        end += 1 + fraction;
    }
    let exponent = text[end..].strip_prefix(['e', 'E']).map_or(0, |power| {
        let unsigned = power.strip_prefix(['+', '-']).unwrap_or(power);
        let count = digits(unsigned);
        if count > 0 { 1 + power.len() - unsigned.len() + count } else { 0 }
    });
    end + exponent
}

fn path(text: &str) -> usize {
    let word = |text: &str| text.find(|c| !is_word(c)).unwrap_or(text.len());
    let mut end = word(text);
    while text[end..].starts_with('.') && text[end + 1..].starts_with(is_word) {
        end += 1 + word(&text[end + 1..]);
    }
    end
}
