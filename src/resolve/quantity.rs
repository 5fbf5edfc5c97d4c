//! Numbers with units: arithmetic, and what a parameter accepts of them.

use super::value::{Eval, Want};
use crate::catalog::{Amount, Duration, DurationUnit, Type, Value};
use crate::diag::{Diagnostic, Span, codes};
use crate::syntax::{Expr, ExprKind, Op, Unit};

/// A number as it was computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Quantity {
    pub value: f64,
    /// `%` is resolved into the value; other units stay.
    pub unit: Option<Unit>,
    /// Written or computed with `%`.
    pub percent: bool,
}

impl Eval<'_> {
    /// The number an expression stands for.
    pub fn quantity(&mut self, expr: &Expr) -> Option<Quantity> {
        match &expr.kind {
            ExprKind::Number { value, unit: Some(Unit::Percent | Unit::Points), .. } => {
                Some(Quantity { value: value / 100.0, unit: None, percent: true })
            }
            ExprKind::Number { value, unit, .. } => {
                Some(Quantity { value: *value, unit: *unit, percent: false })
            }
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
            ExprKind::Path(path) => {
                let (expr, leave) = self.follow(path, "a number")?;
                let found = self.quantity(&expr);
                self.leave(leave);
                found
            }
            _ => {
                self.out.push(
                    Diagnostic::new(&codes::WRONG_TYPE, "a number is needed here")
                        .at(expr.span, format!("this is {}", kind_of(expr))),
                );
                None
            }
        }
    }

    fn arithmetic(&mut self, op: Op, left: &Expr, right: &Expr, span: Span) -> Option<Quantity> {
        let (a, b) = (self.quantity(left), self.quantity(right));
        let (a, b) = (a?, b?);
        let unit = match (a.unit, b.unit, op) {
            (a, b, Op::Add | Op::Subtract) if a == b => a,
            (unit, None, Op::Multiply | Op::Divide) | (None, unit, Op::Multiply) => unit,
            (Some(a), Some(b), Op::Divide) if a == b => None,
            _ => {
                self.out.push(
                    Diagnostic::new(&codes::WRONG_UNIT, "these units do not go together")
                        .at(left.span, unit_name(a.unit))
                        .at(right.span, unit_name(b.unit)),
                );
                return None;
            }
        };
        let value = match op {
            Op::Add => a.value + b.value,
            Op::Subtract => a.value - b.value,
            Op::Multiply => a.value * b.value,
            Op::Divide if b.value != 0.0 => a.value / b.value,
            Op::Divide => {
                self.out.push(
                    Diagnostic::new(&codes::OUT_OF_RANGE, "this divides by zero")
                        .at(right.span, "is 0"),
                );
                return None;
            }
            _ => {
                self.out.push(
                    Diagnostic::new(&codes::WRONG_TYPE, "a number is needed here")
                        .at(span, format!("`{}` does not give one", op.text())),
                );
                return None;
            }
        };
        Some(Quantity { value, unit, percent: a.percent || b.percent })
    }

    /// The value of a numeric type, or what is wrong with it.
    pub fn number(&mut self, expr: &Expr, want: Want) -> Option<Value> {
        let quantity = self.quantity(expr)?;
        match accept(quantity, expr.span, want) {
            Ok(value) => Some(value),
            Err(diagnostic) => {
                self.out.push(*diagnostic);
                None
            }
        }
    }

    /// `a..=b`, `a ± b`.
    pub fn interval(&mut self, expr: &Expr, want: Want) -> Option<Value> {
        let ExprKind::Binary { op, left, right } = &expr.kind else {
            self.out.push(wrong_type(expr, want).help("an interval is written `0.2..=1.0`"));
            return None;
        };
        let (a, b) = (self.quantity(left)?.value, self.quantity(right)?.value);
        let (low, high) = match op {
            Op::Through => (a, b),
            Op::PlusMinus => (a - b, a + b),
            _ => {
                self.out.push(
                    Diagnostic::new(&codes::WRONG_TYPE, "an interval includes both ends")
                        .at(expr.span, "write `..=`"),
                );
                return None;
            }
        };
        let Type::Interval { min, max } = want.ty else { return None };
        if low > high || low < *min || high > *max {
            let bounds =
                if max.is_finite() { format!("{min} to {max}") } else { format!("{min} up") };
            self.out.push(
                Diagnostic::new(&codes::OUT_OF_RANGE, format!("`{}` cannot be this", want.name))
                    .at(expr.span, format!("expected low..=high, from {bounds}")),
            );
            return None;
        }
        Some(Value::Interval(crate::catalog::Interval { low, high }))
    }
}

/// The value of `want.ty` that a number is.
fn accept(number: Quantity, span: Span, want: Want) -> Result<Value, Box<Diagnostic>> {
    match want.ty {
        Type::Duration => duration(number, span, want),
        Type::Amount => amount(number, span, want),
        Type::Int { min, max, .. } => {
            let plain = no_unit(number, span, want)?;
            if plain.fract() != 0.0 || number.percent {
                let message = format!("`{}` is a whole number", want.name);
                return Err(Box::new(
                    Diagnostic::new(&codes::WRONG_TYPE, message)
                        .at(span, format!("this is {plain}")),
                ));
            }
            if plain < *min as f64 || plain > *max as f64 {
                return Err(out_of_range(plain, span, want, format!("{min} or more")));
            }
            Ok(Value::Int(plain as i64))
        }
        Type::Real { min, max, open, .. } => {
            let plain = no_unit(number, span, want)?;
            let fits = plain <= *max && if *open { plain > *min } else { plain >= *min };
            if !fits || !plain.is_finite() {
                let low = if *open { format!("above {min}") } else { format!("{min} or more") };
                let bounds = if max.is_finite() { format!("{low}, at most {max}") } else { low };
                return Err(out_of_range(plain, span, want, bounds));
            }
            Ok(Value::Real(plain))
        }
        _ => Err(Box::new(
            Diagnostic::new(&codes::WRONG_TYPE, format!("`{}` takes {}", want.name, want.ty))
                .at(span, "this is a number")
                .help(want.help()),
        )),
    }
}

fn duration(number: Quantity, span: Span, want: Want) -> Result<Value, Box<Diagnostic>> {
    let unit = match number.unit {
        Some(Unit::Epochs) => DurationUnit::Epochs,
        Some(Unit::Steps) => DurationUnit::Steps,
        Some(Unit::Samples) => DurationUnit::Samples,
        None => {
            let amount = number.value;
            return Err(Box::new(
                Diagnostic::new(&codes::UNIT, "a duration needs a unit")
                    .at(span, format!("{amount} what?"))
                    .help(format!("write `{amount} epochs` or `{amount} steps`")),
            ));
        }
        Some(_) => return Err(wrong_unit(number, span, want, "epochs, steps or samples")),
    };
    if !(number.value >= 0.0 && number.value < 1e15) {
        return Err(out_of_range(number.value, span, want, "0 or more".into()));
    }
    Ok(Value::Duration(Duration { amount: number.value, unit }))
}

fn amount(number: Quantity, span: Span, want: Want) -> Result<Value, Box<Diagnostic>> {
    match number.unit {
        Some(Unit::Samples) if number.value >= 0.0 && number.value.fract() == 0.0 => {
            Ok(Value::Amount(Amount::Samples(number.value as usize)))
        }
        Some(Unit::Samples) => Err(out_of_range(number.value, span, want, "a whole number".into())),
        Some(_) => Err(wrong_unit(number, span, want, "% or samples")),
        None if (0.0..=1.0).contains(&number.value) && (number.percent || number.value < 1.0) => {
            Ok(Value::Amount(Amount::Fraction(number.value)))
        }
        None if number.percent => {
            Err(out_of_range(number.value, span, want, "0% to 100%".to_owned()))
        }
        None => {
            let n = number.value;
            let message = format!("`{}` is a fraction or a number of samples", want.name);
            Err(Box::new(
                Diagnostic::new(&codes::AMBIGUOUS, message)
                    .at(span, format!("{n} could be {n}% or {n} images"))
                    .help(format!("write `{}={n}%` or `{}={n} samples`", want.name, want.name)),
            ))
        }
    }
}

fn no_unit(number: Quantity, span: Span, want: Want) -> Result<f64, Box<Diagnostic>> {
    match number.unit {
        None | Some(Unit::Pixels) => Ok(number.value),
        Some(_) => Err(wrong_unit(number, span, want, "no unit")),
    }
}

fn wrong_unit(number: Quantity, span: Span, want: Want, takes: &str) -> Box<Diagnostic> {
    let message = format!("`{}` is not counted in {}", want.name, unit_name(number.unit));
    Box::new(Diagnostic::new(&codes::WRONG_UNIT, message).at(span, format!("expected {takes}")))
}

fn out_of_range(value: f64, span: Span, want: Want, bounds: String) -> Box<Diagnostic> {
    let message = format!("`{}` cannot be {value}", want.name);
    Box::new(
        Diagnostic::new(&codes::OUT_OF_RANGE, message)
            .at(span, format!("expected {bounds}"))
            .help(want.help()),
    )
}

fn unit_name(unit: Option<Unit>) -> String {
    unit.map_or("a plain number".to_owned(), |unit| unit.text().to_owned())
}

/// What an expression is, in the user's words.
pub(super) fn kind_of(expr: &Expr) -> &'static str {
    match &expr.kind {
        ExprKind::Number { .. } | ExprKind::Negate(_) => "a number",
        ExprKind::Text(_) => "text",
        ExprKind::Bool(_) | ExprKind::Not(_) => "true or false",
        ExprKind::None => "none",
        ExprKind::Path(_) => "a name",
        ExprKind::Call(_) => "a call",
        ExprKind::List(_) => "a list",
        ExprKind::Record(_) => "a record",
        ExprKind::Binary { op, .. } => match op {
            Op::Add | Op::Subtract | Op::Multiply | Op::Divide => "a number",
            Op::Until | Op::Through | Op::PlusMinus => "a range",
            _ => "true or false",
        },
        ExprKind::If { .. } => "a choice",
        ExprKind::Cells { .. } => "a selection of results",
        ExprKind::Paren(inner) => kind_of(inner),
    }
}

/// `name` takes another type than `expr` is.
pub(super) fn wrong_type(expr: &Expr, want: Want) -> Diagnostic {
    let message = format!("`{}` takes {}", want.name, want.ty);
    Diagnostic::new(&codes::WRONG_TYPE, message)
        .at(expr.span, format!("this is {}", kind_of(expr)))
        .help(want.help())
}
