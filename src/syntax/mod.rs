//! Source text to syntax tree. Knows shapes, not meanings: no component has a name here.

mod format;
mod parse;
mod print;
mod scan;

pub use format::{format, place_of_edition};
pub use parse::{parse, parse_assignment};
pub use print::print;

pub use crate::diag::{Span, Spanned};

/// How many statements of `text` can be read, those in blocks included.
#[must_use]
pub fn readable(text: &str) -> usize {
    parse(0, text).0.statements.iter().map(Statement::readable).sum()
}

/// A name with its place.
pub type Name = Spanned<String>;

/// One file, as far as it could be read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct File {
    pub statements: Vec<Statement>,
    /// Where its comments stand, each from its `#` to the end of its line, in order.
    pub comments: Vec<Span>,
}

/// One statement of a file or of a block's body.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// `edition 1`
    Edition(Spanned<u64>),
    /// `import "lib.exp" as lib`
    Import {
        path: Spanned<String>,
        name: Name,
    },
    /// `let NAME = expr`
    Let {
        name: Name,
        value: Expr,
    },
    Param(Param),
    /// `dataset NAME = expr`, `encoder NAME = expr`
    Declaration {
        kind: Name,
        name: Name,
        value: Expr,
    },
    Block(Block),
    /// `path = expr`
    Field(Field),
    /// `where expr`
    Where(Expr),
    /// `expect expr`
    Expect(Expr),
    /// `claim "text" expr`
    Claim {
        text: Spanned<String>,
        value: Expr,
    },
    /// What could not be read, and was reported.
    Unreadable(Span),
}

impl Statement {
    /// How many statements it is, those in it included, that could be read.
    fn readable(&self) -> usize {
        match self {
            Self::Unreadable(_) => 0,
            Self::Block(block) => {
                let parts = block.body.iter().chain(block.otherwise.iter().flatten());
                1 + parts.map(Self::readable).sum::<usize>()
            }
            _ => 1,
        }
    }
}

/// `param NAME: TYPE in DOMAIN = expr doc "…"`
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    pub name: Name,
    pub ty: Option<Expr>,
    pub domain: Option<Expr>,
    pub default: Expr,
    pub doc: Option<Spanned<String>>,
}

/// `path = expr`
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub path: Path,
    pub value: Expr,
}

/// `KIND NAME of PATH extends PATH { … } else { … }`; a variant `"label" { … }` has the kind
/// `variant`.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    pub kind: Name,
    pub label: Option<Name>,
    pub of: Option<Path>,
    pub extends: Option<Path>,
    pub body: Vec<Statement>,
    pub otherwise: Option<Vec<Statement>>,
    /// The words before `{`.
    pub header: Span,
}

/// `a.b.c`
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    pub parts: Vec<Name>,
    pub span: Span,
}

impl Path {
    /// The path as it is written.
    pub fn text(&self) -> String {
        self.parts.iter().map(|part| part.node.as_str()).collect::<Vec<_>>().join(".")
    }

    /// The name, when the path is a single one.
    pub fn single(&self) -> Option<&str> {
        match &self.parts[..] {
            [only] => Some(&only.node),
            _ => None,
        }
    }
}

/// An expression with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

/// What an expression is.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// A number as it was written, its value, and its unit.
    Number {
        text: String,
        value: f64,
        unit: Option<Unit>,
    },
    Text(String),
    Bool(bool),
    None,
    Path(Path),
    Call(Call),
    List(Vec<Expr>),
    Record(Vec<(Name, Expr)>),
    Negate(Box<Expr>),
    Not(Box<Expr>),
    Binary {
        op: Op,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    If {
        test: Box<Expr>,
        then: Box<Expr>,
        otherwise: Box<Expr>,
    },
    /// `metric[predicate]`
    Cells {
        path: Path,
        test: Box<Expr>,
    },
    Paren(Box<Expr>),
}

/// `name(argument, name=argument)`
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub path: Path,
    pub args: Vec<Arg>,
}

/// An argument of a call, named or by position.
#[derive(Debug, Clone, PartialEq)]
pub struct Arg {
    pub name: Option<Name>,
    pub value: Expr,
}

/// A binary operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    /// `..`
    Until,
    /// `..=`
    Through,
    /// `±`
    PlusMinus,
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl Op {
    /// The operator as it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Or => "or",
            Self::And => "and",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::In => "in",
            Self::Until => "..",
            Self::Through => "..=",
            Self::PlusMinus => "±",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
        }
    }

    /// Whether it compares two values: `==`, `<` and the like, but not `in`.
    pub fn compares(self) -> bool {
        use Op::*;
        matches!(self, Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual)
    }

    /// Whether it makes a range of two numbers.
    pub fn spans(self) -> bool {
        matches!(self, Self::Until | Self::Through | Self::PlusMinus)
    }

    /// Whether spaces stand around it when printed.
    pub fn is_spaced(self) -> bool {
        !matches!(self, Self::Until | Self::Through)
    }
}

/// The unit of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Percent,
    Points,
    Epochs,
    Steps,
    Samples,
    Pixels,
    Kibibytes,
    Mebibytes,
    Gibibytes,
    Seconds,
    Minutes,
    Hours,
    Days,
}

impl Unit {
    /// Every unit with the words it is written as; the first is the formatter's.
    pub const ALL: &[(Self, &[&str])] = &[
        (Self::Percent, &["%"]),
        (Self::Points, &["pp"]),
        (Self::Epochs, &["epochs", "epoch"]),
        (Self::Steps, &["steps", "step"]),
        (Self::Samples, &["samples", "sample"]),
        (Self::Pixels, &["px"]),
        (Self::Kibibytes, &["KiB"]),
        (Self::Mebibytes, &["MiB"]),
        (Self::Gibibytes, &["GiB"]),
        (Self::Seconds, &["s"]),
        (Self::Minutes, &["min"]),
        (Self::Hours, &["h"]),
        (Self::Days, &["d"]),
    ];

    /// The unit written as `word`.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, words)| words.contains(&word)).map(|(unit, _)| *unit)
    }

    /// The word the unit is printed as.
    pub fn text(self) -> &'static str {
        Self::ALL.iter().find(|(unit, _)| *unit == self).map_or("", |(_, words)| words[0])
    }
}
