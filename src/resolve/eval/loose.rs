//! What can be said of a value before it is known where it is wanted: unknown names in arithmetic,
//! units that do not go together, circles, and calls whose kind their name tells.

use super::{Eval, Want, scope};
use crate::catalog::{Kind, Type};
use crate::resolve::scope::Meaning;
use crate::syntax::{Call, Expr, ExprKind, Name, Op};

/// The kinds of component that mean the same wherever they stand.
const FREE: &[Kind] =
    &[Kind::Dataset, Kind::Encoder, Kind::Augment, Kind::Optimizer, Kind::Schedule, Kind::Sampler];

impl Eval<'_> {
    /// Checks the value that `name` is declared as, whoever will use it; gives the work it took.
    pub fn declared_value(&mut self, name: &Name, value: &Expr) -> usize {
        let (before, budget) = (self.out.len(), self.budget);
        self.names.push((name.span.file, name.node.clone()));
        self.loose(value);
        self.names.pop();
        // Where it is used, it is said that it is too large.
        if self.budget == 0 {
            self.out.truncate(before);
        }
        budget - self.budget
    }

    fn loose(&mut self, expr: &Expr) {
        self.nested(expr.span, |eval| {
            eval.loose_here(expr);
            Some(())
        });
    }

    fn loose_here(&mut self, expr: &Expr) {
        match &expr.kind {
            _ if self.is_varying(expr) => {
                self.course(expr);
            }
            ExprKind::Paren(inner) => self.loose(inner),
            ExprKind::Number { .. } | ExprKind::Negate(_) if self.is_free(expr) => {
                self.quantity(expr);
            }
            ExprKind::Binary { op, left, right } => {
                match is_arithmetic(*op) && self.is_free(expr) {
                    true => {
                        self.quantity(expr);
                    }
                    false => [left, right].into_iter().for_each(|it| self.loose(it)),
                }
            }
            ExprKind::If { test, then, otherwise } => {
                self.truth(test);
                [then, otherwise].into_iter().for_each(|it| self.loose(it));
            }
            ExprKind::List(items) => items.iter().for_each(|it| self.loose(it)),
            ExprKind::Path(path) if self.is_value(path) => {
                self.named(path, "a value", |eval, expr| {
                    eval.loose(expr);
                    Some(())
                });
            }
            ExprKind::Call(call) => self.loose_call(call, expr),
            _ => {}
        }
    }

    /// A call of a component that is of one kind only.
    fn loose_call(&mut self, call: &Call, expr: &Expr) {
        let name = call.path.text();
        let [spec] = self.catalog.named(&name)[..] else { return };
        if FREE.contains(&spec.kind) {
            let ty = Type::Component(spec.kind);
            self.called(expr, &[], spec.kind, Want::new(&name, &ty));
        }
    }

    /// Whether arithmetic means numbers: it has no call, and no name that an experiment could give
    /// a meaning of its own.
    fn is_free(&self, expr: &Expr) -> bool {
        match &expr.kind {
            ExprKind::Number { .. } => true,
            ExprKind::Paren(inner) | ExprKind::Negate(inner) => self.is_free(inner),
            ExprKind::Binary { op, left, right } => {
                is_arithmetic(*op) && self.is_free(left) && self.is_free(right)
            }
            ExprKind::Path(path) => {
                match scope::lookup(self.program, path.span.file, &path.parts) {
                    Some((_, Meaning::Let(value))) => !matches!(value.kind, ExprKind::Call(_)),
                    Some(_) => true,
                    None => path.parts.len() == 1,
                }
            }
            _ => false,
        }
    }
}

fn is_arithmetic(op: Op) -> bool {
    matches!(op, Op::Add | Op::Subtract | Op::Multiply | Op::Divide)
}
