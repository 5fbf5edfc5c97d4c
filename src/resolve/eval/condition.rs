//! Conditions over parameters: true or false.

use super::quantity::{Quantity, compare, kind_of, unit_name};
use super::{Eval, TRUTH};
use crate::diag::{Diagnostic, codes};
use crate::syntax::{Expr, ExprKind, Op};

impl Eval<'_> {
    /// Whether a condition over parameters holds.
    pub fn truth(&mut self, expr: &Expr) -> Option<bool> {
        self.nested(expr.span, |eval| eval.truth_here(expr))
    }

    fn truth_here(&mut self, expr: &Expr) -> Option<bool> {
        match &expr.kind {
            ExprKind::Bool(value) => Some(*value),
            ExprKind::Paren(inner) => self.truth(inner),
            ExprKind::Not(inner) => self.truth(inner).map(|value| !value),
            ExprKind::If { test, then, otherwise } => {
                let chosen = if self.truth(test)? { then } else { otherwise };
                self.truth(chosen)
            }
            ExprKind::Binary { op: op @ (Op::And | Op::Or), left, right } => {
                let (a, b) = (self.truth(left), self.truth(right));
                Some(if *op == Op::And { a? & b? } else { a? | b? })
            }
            ExprKind::Binary { op: Op::In, left, right } => self.is_in(left, right),
            ExprKind::Binary { op, left, right } if op.compares() => {
                self.comparison(*op, left, right, expr)
            }
            ExprKind::Path(path) => self.named(path, TRUTH, |eval, expr| eval.truth(expr)),
            _ => self.not_truth(expr),
        }
    }

    fn not_truth(&mut self, expr: &Expr) -> Option<bool> {
        let label = format!("this is {}", kind_of(expr));
        self.out.push(
            Diagnostic::new(&codes::WRONG_TYPE, "true or false is needed here")
                .at(expr.span, label),
        );
        None
    }

    fn comparison(&mut self, op: Op, left: &Expr, right: &Expr, whole: &Expr) -> Option<bool> {
        let texts = (self.text(left), self.text(right));
        match (texts, op) {
            ((Some(a), Some(b)), Op::Equal) => return Some(a == b),
            ((Some(a), Some(b)), Op::NotEqual) => return Some(a != b),
            ((None, None), _) => {}
            _ => {
                let message = format!("`{}` cannot compare these", op.text());
                self.out.push(
                    Diagnostic::new(&codes::WRONG_TYPE, message)
                        .at(whole.span, "text is compared with text, by `==` or `!=`"),
                );
                return None;
            }
        }
        let (a, b) = (self.quantity(left), self.quantity(right));
        let (a, b) = self.same_unit((left, a?), (right, b?))?;
        Some(compare(op, a, b))
    }

    /// Both numbers, when they count the same.
    fn same_unit(
        &mut self,
        (left, a): (&Expr, Quantity),
        (right, b): (&Expr, Quantity),
    ) -> Option<(f64, f64)> {
        if a.unit != b.unit {
            self.out.push(
                Diagnostic::new(&codes::WRONG_UNIT, "these units do not go together")
                    .at(left.span, unit_name(a.unit))
                    .at(right.span, unit_name(b.unit)),
            );
            return None;
        }
        Some((a.value, b.value))
    }

    /// `x in a..=b`, `x in [a, b]`
    fn is_in(&mut self, left: &Expr, right: &Expr) -> Option<bool> {
        match &right.kind {
            ExprKind::Paren(inner) => self.is_in(left, inner),
            ExprKind::List(items) => {
                let equal = |eval: &mut Self, item| eval.comparison(Op::Equal, left, item, right);
                let found: Vec<_> = items.iter().map(|item| equal(self, item)).collect();
                found.into_iter().try_fold(false, |any, found| Some(any | found?))
            }
            _ => {
                let (low, high, is_closed) = self.bounds(right)?;
                let value = self.quantity(left)?;
                let (value, low) = self.same_unit((left, value), (right, low))?;
                Some(low <= value && (value < high.value || is_closed && value == high.value))
            }
        }
    }

    /// The text an expression stands for, if it is one.
    pub fn text(&mut self, expr: &Expr) -> Option<String> {
        match &expr.kind {
            ExprKind::Text(text) => Some(text.clone()),
            ExprKind::Paren(inner) => self.text(inner),
            // What goes wrong with the name is found, and said, when it is taken as a number.
            ExprKind::Path(path) if self.is_value(path) => {
                let before = self.out.len();
                let found = self.named(path, "text", |eval, expr| eval.text(expr));
                self.out.truncate(before);
                found
            }
            _ => None,
        }
    }
}
