//! Where in a program an expression stands: its statement, and the blocks around it.

use super::super::experiment::plain;
use super::super::import::Program;
use crate::diag::Span;
use crate::syntax::{Arg, Block, Expr, ExprKind, Name, Path, Statement};

/// The place of an expression.
pub(super) struct Home<'a> {
    /// The blocks around it, from the outside in.
    pub blocks: Vec<&'a Block>,
    /// What its statement sets, and the value of that.
    pub statement: Option<(String, &'a Expr)>,
    /// The path that its statement sets, when that is a field.
    pub path: Option<Span>,
    /// Whether it stands behind a block's `else`.
    pub is_otherwise: bool,
}

/// The place of what `span` covers; none when it stands in no file, as what `--set` says.
pub(super) fn home(program: &Program, span: Span) -> Option<Home<'_>> {
    let module = program.files.iter().find(|module| module.file == span.file)?;
    let mut home = Home { blocks: Vec::new(), statement: None, path: None, is_otherwise: false };
    find(&module.tree.statements, span, &mut home);
    Some(home)
}

/// Whether `span` lies in one of `statements`, with the way to it in `home`.
fn find<'a>(statements: &'a [Statement], span: Span, home: &mut Home<'a>) -> bool {
    statements.iter().any(|statement| match statement {
        Statement::Block(block) => in_block(block, span, home),
        Statement::Field(field) => {
            home.path = Some(field.path.span);
            named(field.path.text(), &field.value, span, home)
        }
        Statement::Let { name, value } => named(name.node.clone(), value, span, home),
        Statement::Declaration { kind, name, value } => {
            named(format!("{} {}", kind.node, name.node), value, span, home)
        }
        Statement::Param(param) => named(param.name.node.clone(), &param.default, span, home),
        _ => false,
    })
}

fn in_block<'a>(block: &'a Block, span: Span, home: &mut Home<'a>) -> bool {
    home.blocks.push(block);
    if covers(block.header, span) || find(&block.body, span, home) {
        return true;
    }
    if block.otherwise.as_ref().is_some_and(|body| find(body, span, home)) {
        home.is_otherwise = true;
        return true;
    }
    home.blocks.pop();
    false
}

fn named<'a>(name: String, value: &'a Expr, span: Span, home: &mut Home<'a>) -> bool {
    let is_here = covers(value.span, span);
    if is_here {
        home.statement = Some((name, value));
    }
    is_here
}

fn covers(outer: Span, inner: Span) -> bool {
    outer.file == inner.file && outer.start <= inner.start && inner.end <= outer.end
}

/// Longer expressions are shown without the arguments of their calls.
const LONGEST: usize = 44;

/// An expression on one short line.
pub(super) fn short(expr: &Expr) -> String {
    let whole = plain(expr);
    if whole.chars().count() <= LONGEST {
        return whole;
    }
    let text = plain(&elided(expr));
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", text[..at].trim_end()),
        None => text,
    }
}

/// The same without the arguments of its calls.
pub(super) fn elided(expr: &Expr) -> Expr {
    let mut expr = expr.clone();
    match &mut expr.kind {
        ExprKind::Call(call) if !call.args.is_empty() => call.args = vec![ellipsis(expr.span)],
        ExprKind::Paren(inner) => **inner = elided(inner),
        ExprKind::Binary { left, right, .. } => {
            **left = elided(left);
            **right = elided(right);
        }
        ExprKind::List(items) => items.iter_mut().for_each(|item| *item = elided(item)),
        ExprKind::Record(pairs) => pairs.iter_mut().for_each(|(_, value)| *value = elided(value)),
        _ => {}
    }
    expr
}

fn ellipsis(span: Span) -> Arg {
    let parts = vec![Name { node: "…".to_owned(), span }];
    Arg { name: None, value: Expr { kind: ExprKind::Path(Path { parts, span }), span } }
}
