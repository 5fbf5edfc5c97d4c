//! A term of a loss: `weight * call(…)`.

use super::super::Term;
use super::super::draft::{Patch, Slot};
use super::super::eval::{Eval, Want};
use super::plain;
use crate::catalog::{Course, Kind, Type, Value};
use crate::diag::{Diagnostic, Span, Spanned, codes};
use crate::syntax::{Expr, ExprKind, Op};

const NONNEG: Type = Type::Real { name: "nonneg", min: 0.0, max: f64::INFINITY, open: false };
const WEIGHT: Type = Type::Varying(&NONNEG);

impl Eval<'_> {
    /// The term a line of a loss declares.
    pub(super) fn term(&mut self, slot: &Slot) -> Option<Term> {
        let (weight, call) = match split(&slot.expr) {
            Ok(parts) => parts,
            Err(diagnostic) => {
                self.out.push(*diagnostic);
                return None;
            }
        };
        let (weights, patches): (Vec<_>, Vec<_>) =
            slot.patches.iter().partition(|it| is_weight(it));
        let patched = weights.last().map(|patch| &patch.value);
        if let (Some(weight), Some(patched)) = (weight, patched) {
            self.out.extend(link_cut(slot, weight, patched));
        }
        let formula = patched.or(weight);
        let weight = match formula {
            Some(expr) => self.weight(expr),
            None => Some(Spanned { node: Course::Constant(1.0), span: call.span }),
        };
        let patches = patches.into_iter().cloned().collect();
        let call = Slot { patches, ..Slot::new(&slot.name, call) };
        let call = self.call(&call, Kind::Loss);
        let formula = formula.map_or("1".to_owned(), plain);
        Some(Term { name: slot.name.clone(), weight: weight?, formula, call: call? })
    }

    fn weight(&mut self, expr: &Expr) -> Option<Spanned<Course>> {
        match self.value(expr, &[], Want::new("weight", &WEIGHT))? {
            Value::Real(weight) => Some(Spanned { node: weight.into(), span: expr.span }),
            Value::Course(node) => Some(Spanned { node, span: expr.span }),
            _ => None,
        }
    }
}

/// A weight that followed a parameter, and does not any more.
fn link_cut(slot: &Slot, weight: &Expr, patched: &Expr) -> Option<Diagnostic> {
    let name = named(weight).filter(|_| named(patched).is_none())?;
    let message = format!("the weight of `{}` no longer follows `{name}`", slot.name.node);
    Some(
        Diagnostic::new(&codes::LINK_CUT, message)
            .at(patched.span, "set here")
            .at(weight.span, format!("it was {}", plain(weight))),
    )
}

/// A name that an expression depends on.
fn named(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Path(path) => Some(path.text()),
        ExprKind::Paren(inner) | ExprKind::Negate(inner) => named(inner),
        ExprKind::Binary { left, right, .. } => named(left).or_else(|| named(right)),
        ExprKind::If { test, then, otherwise } => {
            [test, then, otherwise].into_iter().find_map(|it| named(it))
        }
        _ => None,
    }
}

fn is_weight(patch: &Patch) -> bool {
    patch.path.len() == 1 && patch.path[0].node == "weight"
}

/// The weight and the call of a term.
pub(in crate::resolve) fn split(expr: &Expr) -> Result<(Option<&Expr>, &Expr), Box<Diagnostic>> {
    let wrong = |message: &str| Diagnostic::new(&codes::WRONG_TYPE, message);
    match &expr.kind {
        ExprKind::Call(_) | ExprKind::Path(_) => Ok((None, expr)),
        ExprKind::Paren(inner) => split(inner),
        ExprKind::Binary { op: Op::Multiply, left, right } if is_call(right) => {
            Ok((Some(left), right))
        }
        ExprKind::Binary { op: Op::Multiply, left, right } if is_call(left) => {
            Err(Box::new(weight_first(left, right)))
        }
        // `0.5 * supcon`: a component without arguments.
        ExprKind::Binary { op: Op::Multiply, left, right } if is_path(right) => {
            Ok((Some(left), right))
        }
        ExprKind::Binary { op: Op::Add | Op::Subtract, left, right } => Err(Box::new(
            wrong("each term of a loss has a line and a name of its own")
                .at(left.span, "one term")
                .at(right.span, "another")
                .help("terms add up line by line; a weight is 0 or more"),
        )),
        _ => Err(Box::new(
            wrong("a term of a loss is `weight * call(…)`")
                .at(expr.span, "cannot be read as one")
                .help("for example `0.5 * supcon(temperature=0.5)`"),
        )),
    }
}

/// `supcon() * 0.5`: the weight, where it is one word, can be moved.
fn weight_first(call: &Expr, weight: &Expr) -> Diagnostic {
    let diagnostic = Diagnostic::new(&codes::WRONG_TYPE, "a term's weight stands before its call")
        .at(weight.span, "this is the weight")
        .help(format!("write `{} * {call}`", factor(weight)));
    if !matches!(weight.kind, ExprKind::Number { .. } | ExprKind::Path(_)) {
        return diagnostic;
    }
    let (start, end) = (call.span.start, call.span.end);
    diagnostic
        .fix(Span { end: start, ..call.span }, format!("{} * ", plain(weight)))
        .fix(Span { start: end, end: weight.span.end, ..call.span }, "")
}

/// An expression as a factor, in parentheses where it needs them.
fn factor(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Paren(inner) => format!("({})", plain(inner)),
        _ => plain(expr),
    }
}

fn is_call(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Call(_) => true,
        ExprKind::Paren(inner) => is_call(inner),
        _ => false,
    }
}

fn is_path(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Path(_))
}
