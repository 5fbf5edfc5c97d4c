//! Numbers with units: arithmetic, and intervals of them.

use super::accept::accept;
use super::value::with_article;
use super::{Eval, Want};
use crate::catalog::{Interval, Type, Value};
use crate::diag::{Diagnostic, Span, codes, or_list};
use crate::syntax::{Expr, ExprKind, Op, Unit};

/// A number as it was computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::resolve) struct Quantity {
    pub value: f64,
    /// `%` is resolved into the value; other units stay.
    pub unit: Option<Unit>,
    /// Written or computed with `%`.
    pub percent: bool,
}

impl Eval<'_> {
    /// The number an expression stands for.
    pub fn quantity(&mut self, expr: &Expr) -> Option<Quantity> {
        self.nested(expr.span, |eval| eval.quantity_here(expr))
    }

    fn quantity_here(&mut self, expr: &Expr) -> Option<Quantity> {
        match &expr.kind {
            ExprKind::Number { value, unit, .. } => self.literal(*value, *unit, expr.span),
            ExprKind::Paren(inner) => self.quantity(inner),
            ExprKind::Negate(inner) => {
                let inner = self.quantity(inner)?;
                Some(Quantity { value: -inner.value, ..inner })
            }
            ExprKind::Binary { op, left, right } => self.arithmetic(*op, left, right, expr.span),
            ExprKind::If { test, then, otherwise } => {
                let chosen = if self.truth(test)? { then } else { otherwise };
                self.quantity(chosen)
            }
            ExprKind::Path(path) => self.named(path, "a number", |eval, expr| eval.quantity(expr)),
            ExprKind::Call(_) if self.is_varying(expr) => {
                let label = "this changes over training; weights and temperatures may";
                self.not_a_number(expr.span, label.to_owned())
            }
            _ => self.not_a_number(expr.span, format!("this is {}", kind_of(expr))),
        }
    }

    fn not_a_number<T>(&mut self, span: Span, label: String) -> Option<T> {
        let message = "a number is needed here";
        self.out.push(Diagnostic::new(&codes::WRONG_TYPE, message).at(span, label));
        None
    }

    fn literal(&mut self, value: f64, unit: Option<Unit>, span: Span) -> Option<Quantity> {
        if !value.is_finite() {
            let message = "this number is too large";
            self.out.push(
                Diagnostic::new(&codes::OUT_OF_RANGE, message)
                    .at(span, "no computer number is as large"),
            );
            return None;
        }
        Some(match unit {
            Some(Unit::Percent) => Quantity { value: value / 100.0, unit: None, percent: true },
            Some(Unit::Points) => Quantity { value: value / 100.0, unit, percent: true },
            unit => Quantity { value, unit, percent: false },
        })
    }

    fn arithmetic(&mut self, op: Op, left: &Expr, right: &Expr, span: Span) -> Option<Quantity> {
        if !matches!(op, Op::Add | Op::Subtract | Op::Multiply | Op::Divide) {
            return self.not_a_number(span, format!("`{}` does not give one", op.text()));
        }
        let (a, b) = (self.quantity(left), self.quantity(right));
        let (a, b) = (a?, b?);
        let Some(unit) = joint_unit(op, a.unit, b.unit) else {
            self.out.push(
                Diagnostic::new(&codes::WRONG_UNIT, "these units do not go together")
                    .at(left.span, unit_name(a.unit))
                    .at(right.span, unit_name(b.unit)),
            );
            return None;
        };
        if op == Op::Divide && b.value == 0.0 {
            self.out.push(
                Diagnostic::new(&codes::OUT_OF_RANGE, "this divides by zero")
                    .at(right.span, "is 0"),
            );
            return None;
        }
        let value = match op {
            Op::Add => a.value + b.value,
            Op::Subtract => a.value - b.value,
            Op::Multiply => a.value * b.value,
            _ => a.value / b.value,
        };
        // A share of a percentage is one; a ratio of two percentages is a plain number.
        let percent =
            if op == Op::Divide { a.percent && !b.percent } else { a.percent || b.percent };
        Some(Quantity { value, unit, percent })
    }

    /// The value of a numeric type, or what is wrong with it.
    pub(super) fn number(&mut self, expr: &Expr, want: Want) -> Option<Value> {
        let quantity = self.quantity(expr)?;
        match accept(quantity, expr.span, want) {
            Ok(value) => Some(value),
            Err(diagnostic) => {
                self.out.push(*diagnostic);
                None
            }
        }
    }

    /// The ends of a range, and whether the upper one belongs to it.
    pub fn bounds(&mut self, expr: &Expr) -> Option<(Quantity, Quantity, bool)> {
        let ExprKind::Binary { op: op @ (Op::Until | Op::Through | Op::PlusMinus), left, right } =
            &expr.kind
        else {
            self.out.push(
                Diagnostic::new(&codes::WRONG_TYPE, "a range is needed here")
                    .at(expr.span, format!("this is {}", kind_of(expr)))
                    .help("for example `0..=1`"),
            );
            return None;
        };
        let (a, b) = (self.quantity(left), self.quantity(right));
        let (a, b) = (a?, b?);
        Some(match op {
            Op::PlusMinus => {
                let end = |sign: f64| Quantity { value: a.value + sign * b.value, ..a };
                (end(-1.0), end(1.0), true)
            }
            op => (a, b, *op == Op::Through),
        })
    }

    /// `a..=b`, `a ± b`.
    pub(super) fn interval(&mut self, expr: &Expr, want: Want) -> Option<Value> {
        let is_range = matches!(&expr.kind, ExprKind::Binary { op, .. } if op.spans());
        if !is_range {
            self.out.push(wrong_type(expr, want));
            return None;
        }
        let (low, high, is_closed) = self.bounds(expr)?;
        if !is_closed {
            self.out.push(
                Diagnostic::new(&codes::WRONG_TYPE, "an interval includes both ends")
                    .at(expr.span, "write `..=`")
                    .fix(between(expr), "..="),
            );
            return None;
        }
        let Type::Interval { min, max } = want.ty else { return None };
        let bounds = if max.is_finite() { format!("{min} to {max}") } else { format!("{min} up") };
        if let Some(unit) = low.unit.or(high.unit) {
            let message = format!("`{}` is not counted in {}", want.name, unit.text());
            let diagnostic = Diagnostic::new(&codes::WRONG_UNIT, message);
            self.out.push(diagnostic.at(expr.span, "expected no unit"));
            return None;
        }
        let (low, high) = (low.value, high.value);
        if low > high || low < *min || high > *max {
            let message = format!("`{}` cannot be this", want.name);
            let diagnostic = Diagnostic::new(&codes::OUT_OF_RANGE, message);
            self.out.push(diagnostic.at(expr.span, format!("expected low..=high, from {bounds}")));
            return None;
        }
        Some(Value::Interval(Interval { low, high }))
    }
}

/// Where the operator stands, with the space around it.
fn between(expr: &Expr) -> Span {
    match &expr.kind {
        ExprKind::Binary { left, right, .. } => {
            Span { start: left.span.end, end: right.span.start, ..expr.span }
        }
        _ => expr.span,
    }
}

/// The unit of a result; none when two units do not go together.
fn joint_unit(op: Op, a: Option<Unit>, b: Option<Unit>) -> Option<Option<Unit>> {
    match (op, a, b) {
        (Op::Add | Op::Subtract, a, b) if a == b => Some(a),
        (Op::Add | Op::Subtract, None, Some(Unit::Points)) => Some(None),
        (Op::Multiply | Op::Divide, unit, None) | (Op::Multiply, None, unit) => Some(unit),
        (Op::Divide, Some(a), Some(b)) if a == b => Some(None),
        _ => None,
    }
}

/// Whether `a op b` holds, for an operator that compares.
pub(in crate::resolve) fn compare(op: Op, a: f64, b: f64) -> bool {
    match op {
        Op::Equal => a == b,
        Op::NotEqual => a != b,
        Op::Less => a < b,
        Op::LessEqual => a <= b,
        Op::Greater => a > b,
        _ => a >= b,
    }
}

/// The unit in the user's words.
pub(super) fn unit_name(unit: Option<Unit>) -> String {
    unit.map_or("a plain number".to_owned(), |unit| unit.text().to_owned())
}

/// What an expression is, in the user's words.
pub(in crate::resolve) fn kind_of(expr: &Expr) -> &'static str {
    match &expr.kind {
        ExprKind::Number { .. } | ExprKind::Negate(_) => "a number",
        ExprKind::Text(_) => "text",
        ExprKind::Bool(_) | ExprKind::Not(_) => "true or false",
        ExprKind::None => "`none`",
        ExprKind::Path(_) => "a name",
        ExprKind::Call(_) => "a call",
        ExprKind::List(_) => "a list",
        ExprKind::Record(_) => "a record",
        ExprKind::Binary { op: Op::Add | Op::Subtract | Op::Multiply | Op::Divide, .. } => {
            "a number"
        }
        ExprKind::Binary { op, .. } if op.spans() => "a range",
        ExprKind::Binary { .. } => "true or false",
        ExprKind::If { .. } => "a choice",
        ExprKind::Cells { .. } => "a selection of results",
        ExprKind::Paren(inner) => kind_of(inner),
    }
}

/// `name` takes another type than `expr` is.
pub(super) fn wrong_type(expr: &Expr, want: Want) -> Diagnostic {
    let message = format!("`{}` takes {}", want.name, noun(want.ty));
    let diagnostic = Diagnostic::new(&codes::WRONG_TYPE, message)
        .at(expr.span, format!("this is {}", kind_of(expr)));
    want.explain(diagnostic)
}

/// What is of a type, in the user's words.
pub(super) fn noun(ty: &Type) -> String {
    match ty {
        Type::Bool => "true or false".to_owned(),
        Type::Int { .. } => "a whole number".to_owned(),
        Type::Real { .. } => "a number".to_owned(),
        Type::Text => "text, such as `\"name\"`".to_owned(),
        Type::Path => "a path, such as `\"images/birds\"`".to_owned(),
        Type::Choice(words) => or_list(words),
        Type::Duration => "a duration, such as `5 epochs`".to_owned(),
        Type::Amount => "a share or a number, such as `10%` or `500 samples`".to_owned(),
        Type::Seed => "a whole number, or `seed`".to_owned(),
        Type::Side => "a number of pixels, or `input`".to_owned(),
        Type::Interval { .. } => "an interval, such as `0.2..=1.0`".to_owned(),
        Type::Labels => "labels, such as `fine`".to_owned(),
        Type::Features => "features, such as `STAGE.encoder`".to_owned(),
        Type::Part => "a part of the encoder, such as `a`".to_owned(),
        Type::Weights => "weights, such as `weights(\"FILE.safetensors\")`".to_owned(),
        Type::List(item) | Type::Several(item) => format!("a list, each item {}", noun(item)),
        Type::Component(kind) => with_article(kind.name()),
        Type::ClassWeights => "`none`, `balanced`, or a list of numbers".to_owned(),
        Type::Varying(inner) => noun(inner),
        Type::Optional(inner) => format!("{} or `none`", noun(inner)),
    }
}
