//! One statement laid out: on one line where that fits, else with its last bracket opened over lines.

use super::token::{Bracket, Kind, Token, tokens};

/// What was written on one line stays there up to this many columns,
pub(super) const KEPT: usize = 120;
/// and what is joined, or has to be broken, is laid out in this many.
pub(super) const FILLED: usize = 88;

/// A statement in its pieces.
pub(super) struct Layout<'a>(Vec<Piece<'a>>);

enum Piece<'a> {
    Token(Token<'a>),
    Group(Group<'a>),
}

/// Brackets with what they hold.
struct Group<'a> {
    bracket: Bracket,
    open: &'a str,
    close: &'a str,
    /// A comment behind the opening bracket.
    beside: Option<&'a str>,
    items: Vec<Item<'a>>,
    /// What it holds was written below its opening bracket.
    is_opened: bool,
    is_one_line: bool,
}

/// What stands between two commas.
#[derive(Default)]
struct Item<'a> {
    /// The comments on the lines before it, and whether an empty line is before each.
    above: Vec<(bool, &'a str)>,
    pieces: Vec<Piece<'a>>,
    beside: Option<&'a str>,
    after_blank: bool,
    /// It stood on the line of the item before.
    is_joined: bool,
}

impl<'a> Layout<'a> {
    /// The pieces of `text`, a statement that can be read.
    pub fn of(text: &'a str) -> Self {
        let mut rest = tokens(text).into_iter().peekable();
        let mut pieces = Vec::new();
        while let Some(token) = rest.next() {
            pieces.push(piece(token, &mut rest));
        }
        Self(pieces)
    }

    /// The statement on one line, when nothing keeps it from that.
    pub fn flat(&self) -> Option<String> {
        flat(&self.0)
    }

    /// The statement with lines behind the first indented by `indent`.
    pub fn print(&self, indent: usize) -> String {
        lay(&self.0, indent)
    }
}

type Rest<'a> = std::iter::Peekable<std::vec::IntoIter<Token<'a>>>;

fn piece<'a>(token: Token<'a>, rest: &mut Rest<'a>) -> Piece<'a> {
    match token.kind {
        Kind::Open(bracket) => Piece::Group(group(bracket, token, rest)),
        _ => Piece::Token(token),
    }
}

fn group<'a>(bracket: Bracket, open: Token<'a>, rest: &mut Rest<'a>) -> Group<'a> {
    let beside = comment_beside(rest);
    let is_opened = rest.peek().is_some_and(|it| it.newlines > 0 && it.kind != Kind::Close);
    let (mut items, mut item, mut close) = (Vec::new(), Item::default(), "");
    let mut is_one_line = open.newlines == 0;
    for_each(rest, |token, rest| {
        is_one_line &= token.newlines == 0;
        match token.kind {
            Kind::Close => close = token.text,
            Kind::Suffix if token.text == "," => {
                let next = item.end(comment_beside(rest));
                items.push(std::mem::replace(&mut item, next));
                item.is_joined = rest.peek().is_some_and(|it| it.newlines == 0);
            }
            _ => item.take(token, rest),
        }
    });
    let next = item.end(None);
    items.extend([item, next].into_iter().filter(|it| !it.is_empty()));
    Group { bracket, open: open.text, close, beside, items, is_opened, is_one_line }
}

/// Does `work` for every token of a group, its closing bracket included.
fn for_each<'a>(rest: &mut Rest<'a>, mut work: impl FnMut(Token<'a>, &mut Rest<'a>)) {
    while let Some(token) = rest.next() {
        work(token, rest);
        if token.kind == Kind::Close {
            return;
        }
    }
}

fn comment_beside<'a>(rest: &mut Rest<'a>) -> Option<&'a str> {
    rest.next_if(|it| it.kind == Kind::Comment && it.newlines == 0).map(|it| it.text)
}

impl<'a> Item<'a> {
    fn take(&mut self, token: Token<'a>, rest: &mut Rest<'a>) {
        if self.pieces.is_empty() && token.kind == Kind::Comment {
            return self.above.push((token.newlines > 1, token.text));
        }
        if self.pieces.is_empty() {
            self.after_blank = token.newlines > 1;
        }
        self.pieces.push(piece(token, rest));
    }

    /// Ends the item, with `behind` the comment behind its comma; gives the next one, which gets the
    /// comments there is no room for beside this one.
    fn end(&mut self, behind: Option<&'a str>) -> Self {
        let is_comment = |piece: &Piece| piece.comment().is_some();
        let content = self.pieces.iter().rposition(|it| !is_comment(it)).map_or(0, |at| at + 1);
        let tail = self.pieces.split_off(content);
        let mut comments = tail.iter().filter_map(Piece::comment).chain(behind);
        self.beside = comments.next();
        Self { above: comments.map(|text| (false, text)).collect(), ..Self::default() }
    }

    fn is_empty(&self) -> bool {
        self.above.is_empty() && self.pieces.is_empty()
    }

    fn flat(&self) -> Option<String> {
        let is_bare = self.above.is_empty() && self.beside.is_none();
        is_bare.then(|| flat(&self.pieces)).flatten()
    }

    fn is_short(&self) -> bool {
        self.pieces.len() <= 2 && self.pieces.iter().all(|it| matches!(it, Piece::Token(_)))
    }
}

impl<'a> Piece<'a> {
    fn comment(&self) -> Option<&'a str> {
        match self {
            Self::Token(token) if token.kind == Kind::Comment => Some(token.text),
            _ => None,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Token(token) => token.kind,
            Self::Group(group) => Kind::Open(group.bracket),
        }
    }

    fn flat(&self) -> Option<String> {
        match self {
            Self::Token(token) if token.kind == Kind::Comment => None,
            Self::Token(token) => Some(spelling(token).to_owned()),
            Self::Group(group) => group.flat(),
        }
    }
}

fn spelling<'a>(token: &Token<'a>) -> &'a str {
    if token.text == "+-" { "±" } else { token.text }
}

impl Group<'_> {
    fn flat(&self) -> Option<String> {
        if self.is_opened || self.beside.is_some() {
            return None;
        }
        let items: Vec<String> = self.items.iter().map(Item::flat).collect::<Option<_>>()?;
        let space = if self.bracket == Bracket::Record { " " } else { "" };
        let inside = if items.is_empty() { String::new() } else { items.join(", ") + space };
        Some(format!("{}{space}{inside}{}", self.open, self.close))
    }

    /// The group over several lines.
    fn broken(&self, indent: usize) -> String {
        if let [Item { pieces, beside: None, above, .. }] = &self.items[..]
            && (above.is_empty() && self.beside.is_none() && !self.is_opened)
            && matches!(pieces.last(), Some(Piece::Group(_)))
        {
            return format!("{}{}{}", self.open, lay(pieces, indent), self.close);
        }
        let beside = self.beside.map_or_else(String::new, |text| format!("  {text}"));
        let lines = self.lines(indent + 2);
        format!("{}{beside}{lines}\n{}{}", self.open, " ".repeat(indent), self.close)
    }

    /// The items on lines of their own, or several on one where they were written so, or are short.
    fn lines(&self, indent: usize) -> String {
        let comma = if matches!(self.bracket, Bracket::Single { .. }) { "" } else { "," };
        let is_filled = self.bracket == Bracket::List && self.items.iter().all(Item::is_short);
        let (shares, width) = match self.is_opened {
            true => (true, KEPT),
            false => (is_filled, FILLED),
        };
        let (mut out, mut column, mut is_closed) = (String::new(), usize::MAX, true);
        for (at, item) in self.items.iter().enumerate() {
            let fits = |it: &String| column.saturating_add(columns(it) + 2) <= width;
            let joined =
                item.flat().filter(|it| shares && item.is_joined && !is_closed && fits(it));
            match joined {
                Some(text) => {
                    column += columns(&text) + 2;
                    out += &format!(" {text}{comma}");
                }
                None => {
                    item.print(&mut out, indent, at > 0);
                    column = item.flat().map_or(usize::MAX, |it| indent + columns(&it) + 1);
                    out += if item.pieces.is_empty() { "" } else { comma };
                    out += &item.beside.map_or_else(String::new, |text| format!("  {text}"));
                }
            }
            is_closed = item.beside.is_some();
        }
        out
    }
}

impl Item<'_> {
    /// On new lines, with the comments above.
    fn print(&self, out: &mut String, indent: usize, may_be_blank: bool) {
        let margin = " ".repeat(indent);
        let mut new_line = |is_blank: bool, text: &str| {
            *out += if is_blank && !out.is_empty() { "\n\n" } else { "\n" };
            *out += &margin;
            *out += text;
        };
        for (is_blank, comment) in &self.above {
            new_line(*is_blank && may_be_blank, comment);
        }
        if !self.pieces.is_empty() {
            new_line(self.after_blank, &lay(&self.pieces, indent));
        }
    }
}

/// The columns `text` takes.
pub(super) fn columns(text: &str) -> usize {
    text.chars().count()
}

fn flat(pieces: &[Piece]) -> Option<String> {
    let mut out = String::new();
    for (at, piece) in pieces.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| pieces[at].kind());
        out += gap(before, piece.kind());
        out += &piece.flat()?;
    }
    Some(out)
}

/// The space between two pieces.
fn gap(before: Option<Kind>, kind: Kind) -> &'static str {
    use Kind::*;
    match (before, kind) {
        (None | Some(Prefix | Tight), _) | (_, Tight) => "",
        (_, Suffix | Open(Bracket::Call | Bracket::Single { glued: true })) => "",
        _ => " ",
    }
}

/// The pieces on one line if that fits; else with the groups opened that cannot be closed, or with
/// the last one that could be opened.
fn lay(pieces: &[Piece], indent: usize) -> String {
    let width = if is_one_line(pieces) { KEPT } else { FILLED };
    if let Some(line) = flat(pieces).filter(|it| indent + columns(it) <= width) {
        return line;
    }
    let must = |piece: &Piece| piece.flat().is_none() && piece.comment().is_none();
    let is_full = |piece: &Piece| matches!(piece, Piece::Group(it) if !it.items.is_empty());
    let last = match pieces.iter().any(must) {
        true => None,
        false => pieces.iter().rposition(is_full),
    };
    let mut out = String::new();
    let mut before = None;
    for (at, piece) in pieces.iter().enumerate() {
        let is_new_line = at > 0 && pieces[at - 1].comment().is_some();
        match (is_new_line, piece.comment()) {
            (true, _) => out += &format!("\n{}", " ".repeat(indent + 2)),
            (false, Some(_)) => out += "  ",
            (false, None) => out += gap(before, piece.kind()),
        }
        out += &match piece {
            Piece::Token(token) => spelling(token).to_owned(),
            Piece::Group(group) if last == Some(at) || must(piece) => group.broken(indent),
            Piece::Group(group) => group.flat().expect("looked at above"),
        };
        before = Some(piece.kind());
    }
    out
}

/// Whether the pieces were written on one line.
fn is_one_line(pieces: &[Piece]) -> bool {
    pieces.iter().enumerate().all(|(at, piece)| match piece {
        Piece::Token(token) => at == 0 || token.newlines == 0,
        Piece::Group(group) => group.is_one_line,
    })
}
