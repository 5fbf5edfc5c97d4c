//! Text to tree. The only file that knows the grammar's rules.

use std::sync::LazyLock;

use pest::Parser;
use pest::iterators::Pair;
use pest::pratt_parser::{Assoc, Op as Fixity, PrattParser};

use super::scan::{Item, outline};
use super::*;
use crate::diag::{Diagnostic, codes};

mod mistake;

#[derive(pest_derive::Parser)]
#[grammar = "../grammar/experiment.pest"]
struct Grammar;

/// Reads file number `file`: all of it that could be read, and everything wrong with the rest.
pub fn parse(file: u16, source: &str) -> (File, Vec<Diagnostic>) {
    let outline = outline(file, source);
    let mut parser = Reader { file, text: &outline.text, diagnostics: outline.diagnostics };
    let statements = parser.statements(&outline.items);
    let mut diagnostics = parser.diagnostics;
    diagnostics.sort_by_key(|diagnostic| diagnostic.labels.first().map(|(span, _)| span.start));
    (File { statements, comments: outline.comments }, diagnostics)
}

/// Reads one `path = expr`, as `--set` gives it.
pub fn parse_assignment(file: u16, source: &str) -> Result<Field, Vec<Diagnostic>> {
    let (tree, diagnostics) = parse(file, source);
    let diagnostics = if source.contains('=') { diagnostics } else { Vec::new() };
    match (&tree.statements[..], diagnostics.is_empty()) {
        ([Statement::Field(field)], true) => Ok(field.clone()),
        (_, false) => Err(diagnostics),
        _ => Err(vec![
            Diagnostic::new(&codes::STATEMENT, "an override is one `path = value`")
                .at(Span::new(file, 0, source.len()), "expected `path = value`"),
        ]),
    }
}

struct Reader<'a> {
    file: u16,
    text: &'a str,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    fn statements(&mut self, items: &[Item]) -> Vec<Statement> {
        items.iter().map(|item| self.item(item)).collect()
    }

    fn item(&mut self, item: &Item) -> Statement {
        match item {
            Item::Unreadable(span) => Statement::Unreadable(*span),
            Item::Statement(span) => self.simple(*span).unwrap_or(Statement::Unreadable(*span)),
            Item::Block { header, body, otherwise } => {
                let before = self.diagnostics.len();
                let block = self.header(*header);
                // What a loop would do has no place anywhere.
                if self.diagnostics[before..].iter().any(|it| it.code == &codes::LOOP) {
                    return Statement::Unreadable(*header);
                }
                let body = self.statements(body);
                let otherwise = otherwise.as_ref().map(|items| self.statements(items));
                match block {
                    Some(block) => Statement::Block(Block { body, otherwise, ..block }),
                    None => Statement::Unreadable(*header),
                }
            }
        }
    }

    fn simple(&mut self, span: Span) -> Option<Statement> {
        let pair = self.parse(Rule::one_statement, span)?;
        let inner = pieces(pair).next().expect("`one_statement` holds one");
        let foreign = mistake::foreign_values(span, &self.text[span.range()]);
        if !foreign.is_empty() {
            self.diagnostics.extend(foreign);
            return None;
        }
        Some(Lower { file: self.file, offset: span.start as usize }.statement(inner))
    }

    fn header(&mut self, span: Span) -> Option<Block> {
        let pair = self.parse(Rule::one_header, span)?;
        let inner = pieces(pair).next().expect("`one_header` holds one");
        Some(Lower { file: self.file, offset: span.start as usize }.header(inner))
    }

    fn parse(&mut self, rule: Rule, span: Span) -> Option<Pair<'a, Rule>> {
        let text: &'a str = &self.text[span.range()];
        match Grammar::parse(rule, text) {
            Ok(mut pairs) => pairs.next(),
            Err(error) => {
                self.diagnostics.push(mistake::explain(rule, span, text, error));
                None
            }
        }
    }
}

/// Loosest first.
static PRATT: LazyLock<PrattParser<Rule>> = LazyLock::new(|| {
    PrattParser::new()
        .op(Fixity::infix(Rule::or, Assoc::Left))
        .op(Fixity::infix(Rule::and, Assoc::Left))
        .op(Fixity::prefix(Rule::not))
        .op(Fixity::infix(Rule::compare, Assoc::Left))
        .op(Fixity::infix(Rule::span, Assoc::Left))
        .op(Fixity::infix(Rule::add, Assoc::Left))
        .op(Fixity::infix(Rule::multiply, Assoc::Left))
        .op(Fixity::prefix(Rule::negate))
});

/// From pairs of one statement to the tree; `offset` is where the statement begins in its file.
#[derive(Clone, Copy)]
struct Lower {
    file: u16,
    offset: usize,
}

/// The grammar promises the pieces taken here; a missing one is our mistake.
const PROMISED: &str = "the grammar promises this piece";

impl Lower {
    fn span(self, pair: &Pair<Rule>) -> Span {
        let span = pair.as_span();
        Span::new(self.file, self.offset + span.start(), self.offset + span.end())
    }

    fn statement(self, pair: Pair<Rule>) -> Statement {
        let rule = pair.as_rule();
        if rule == Rule::param {
            return Statement::Param(self.param(pair));
        }
        let mut inner = pieces(pair);
        let mut next = || inner.next().expect(PROMISED);
        match rule {
            Rule::edition => Statement::Edition(self.integer(next())),
            Rule::import => Statement::Import { path: self.text(next()), name: self.name(next()) },
            Rule::let_value => Statement::Let { name: self.name(next()), value: self.expr(next()) },
            Rule::declaration => Statement::Declaration {
                kind: self.name(next()),
                name: self.name(next()),
                value: self.expr(next()),
            },
            Rule::where_clause => Statement::Where(self.expr(next())),
            Rule::expect => Statement::Expect(self.expr(next())),
            Rule::claim => Statement::Claim { text: self.text(next()), value: self.expr(next()) },
            _ => Statement::Field(Field { path: self.path(next()), value: self.expr(next()) }),
        }
    }

    fn param(self, pair: Pair<Rule>) -> Param {
        let mut inner = pieces(pair);
        let name = self.name(inner.next().expect(PROMISED));
        let (mut ty, mut domain, mut default, mut doc) = (None, None, None, None);
        for part in inner {
            match part.as_rule() {
                Rule::type_of => ty = pieces(part).next().map(|it| self.primary(it)),
                Rule::domain => domain = pieces(part).next().map(|it| self.expr(it)),
                Rule::doc => doc = pieces(part).next().map(|it| self.text(it)),
                _ => default = Some(self.expr(part)),
            }
        }
        Param { name, ty, domain, default: default.expect(PROMISED), doc }
    }

    fn header(self, pair: Pair<Rule>) -> Block {
        let header = self.span(&pair);
        let mut inner = pieces(pair);
        let first = inner.next().expect(PROMISED);
        let empty = Block {
            kind: Name { node: "variant".into(), span: header },
            label: None,
            of: None,
            extends: None,
            body: Vec::new(),
            otherwise: None,
            header,
        };
        if first.as_rule() == Rule::string {
            return Block { label: Some(self.text(first)), ..empty };
        }
        let mut block = Block { kind: self.name(first), ..empty };
        for part in inner {
            match part.as_rule() {
                Rule::label => {
                    let label = pieces(part).next().expect(PROMISED);
                    block.label = Some(self.word(label));
                }
                _ => self.relation(part, &mut block),
            }
        }
        block
    }

    fn relation(self, pair: Pair<Rule>, block: &mut Block) {
        let mut inner = pieces(pair);
        let of = inner.next().expect(PROMISED).as_str() == "of";
        let path = self.path(inner.next().expect(PROMISED));
        *(if of { &mut block.of } else { &mut block.extends }) = Some(path);
    }

    fn name(self, pair: Pair<Rule>) -> Name {
        Name { span: self.span(&pair), node: pair.as_str().to_owned() }
    }

    /// A name, or a text that stands for one.
    fn word(self, pair: Pair<Rule>) -> Name {
        match pair.as_rule() {
            Rule::string => self.text(pair),
            _ => self.name(pair),
        }
    }

    fn text(self, pair: Pair<Rule>) -> Spanned<String> {
        let span = self.span(&pair);
        let inner = pieces(pair).next().expect(PROMISED);
        Spanned { node: unescape(inner.as_str()), span }
    }

    fn integer(self, pair: Pair<Rule>) -> Spanned<u64> {
        let span = self.span(&pair);
        Spanned { node: pair.as_str().replace('_', "").parse().unwrap_or(u64::MAX), span }
    }

    fn path(self, pair: Pair<Rule>) -> Path {
        let span = self.span(&pair);
        Path { parts: pieces(pair).map(|part| self.name(part)).collect(), span }
    }

    fn expr(self, pair: Pair<Rule>) -> Expr {
        PRATT
            .map_primary(|pair| self.primary(pair))
            .map_prefix(|op, operand| self.prefix(op, operand))
            .map_infix(|left, op, right| {
                let span = left.span.to(right.span);
                let (left, right) = (Box::new(left), Box::new(right));
                Expr { kind: ExprKind::Binary { op: operator(&op), left, right }, span }
            })
            .parse(pair.into_inner())
    }

    fn prefix(self, op: Pair<Rule>, operand: Expr) -> Expr {
        let span = self.span(&op).to(operand.span);
        let kind = match op.as_rule() {
            Rule::negate => ExprKind::Negate(Box::new(operand)),
            _ => ExprKind::Not(Box::new(operand)),
        };
        Expr { kind, span }
    }

    fn primary(self, pair: Pair<Rule>) -> Expr {
        let span = self.span(&pair);
        let kind = match pair.as_rule() {
            Rule::quantity => quantity(pair),
            Rule::string => ExprKind::Text(self.text(pair).node),
            Rule::boolean => ExprKind::Bool(pair.as_str() == "true"),
            Rule::none => ExprKind::None,
            Rule::reference | Rule::call => self.reference(pair),
            Rule::name => ExprKind::Path(Path { parts: vec![self.name(pair)], span }),
            Rule::list => ExprKind::List(pieces(pair).map(|item| self.expr(item)).collect()),
            Rule::record => ExprKind::Record(pieces(pair).map(|it| self.pair(it)).collect()),
            Rule::conditional => {
                let mut parts = pieces(pair).map(|part| Box::new(self.expr(part)));
                let mut next = || parts.next().expect(PROMISED);
                ExprKind::If { test: next(), then: next(), otherwise: next() }
            }
            _ => {
                let inner = pieces(pair).next().expect(PROMISED);
                ExprKind::Paren(Box::new(self.expr(inner)))
            }
        };
        Expr { kind, span }
    }

    fn pair(self, pair: Pair<Rule>) -> (Name, Expr) {
        let mut inner = pieces(pair);
        let key = self.word(inner.next().expect(PROMISED));
        (key, self.expr(inner.next().expect(PROMISED)))
    }

    fn reference(self, pair: Pair<Rule>) -> ExprKind {
        let mut inner = pieces(pair);
        let path = self.path(inner.next().expect(PROMISED));
        let Some(tail) = inner.next() else { return ExprKind::Path(path) };
        let rule = tail.as_rule();
        let mut inner = pieces(tail);
        match rule {
            Rule::arguments => {
                ExprKind::Call(Call { path, args: inner.map(|arg| self.arg(arg)).collect() })
            }
            _ => {
                let test = Box::new(self.expr(inner.next().expect(PROMISED)));
                ExprKind::Cells { path, test }
            }
        }
    }

    fn arg(self, pair: Pair<Rule>) -> Arg {
        if pair.as_rule() != Rule::named {
            return Arg { name: None, value: self.expr(pair) };
        }
        let mut inner = pieces(pair);
        let name = Some(self.name(inner.next().expect(PROMISED)));
        Arg { name, value: self.expr(inner.next().expect(PROMISED)) }
    }
}

/// The pieces of a pair without its keywords.
fn pieces(pair: Pair<Rule>) -> impl Iterator<Item = Pair<Rule>> {
    let is_keyword = |rule| {
        matches!(
            rule,
            Rule::kw_edition
                | Rule::kw_import
                | Rule::kw_as
                | Rule::kw_let
                | Rule::kw_param
                | Rule::kw_in
                | Rule::kw_where
                | Rule::kw_expect
                | Rule::kw_claim
                | Rule::kw_if
                | Rule::kw_then
                | Rule::kw_else
        )
    };
    pair.into_inner().filter(move |piece| !is_keyword(piece.as_rule()))
}

fn quantity(pair: Pair<Rule>) -> ExprKind {
    let mut inner = pieces(pair);
    let text = inner.next().expect(PROMISED).as_str().to_owned();
    let value = text.replace('_', "").parse().expect("the grammar admits only numbers");
    let unit = inner.next().and_then(|unit| Unit::of(unit.as_str()));
    ExprKind::Number { text, value, unit }
}

fn operator(pair: &Pair<Rule>) -> Op {
    match (pair.as_rule(), pair.as_str().trim()) {
        (Rule::or, _) => Op::Or,
        (Rule::and, _) => Op::And,
        (_, "==") => Op::Equal,
        (_, "!=") => Op::NotEqual,
        (_, "<") => Op::Less,
        (_, "<=") => Op::LessEqual,
        (_, ">") => Op::Greater,
        (_, ">=") => Op::GreaterEqual,
        (Rule::compare, _) => Op::In,
        (_, "..") => Op::Until,
        (_, "..=") => Op::Through,
        (Rule::span, _) => Op::PlusMinus,
        (_, "+") => Op::Add,
        (_, "-") => Op::Subtract,
        (_, "*") => Op::Multiply,
        _ => Op::Divide,
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let hex: String = rest.by_ref().skip(1).take_while(|c| *c != '}').collect();
                let code = u32::from_str_radix(&hex, 16).ok();
                out.push(code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}
