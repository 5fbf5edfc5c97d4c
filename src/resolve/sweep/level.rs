//! The values of an axis, and seeds: lists, labelled values, ranges, `linspace`.

use super::super::eval::{Eval, Want};
use super::super::experiment::plain;
use super::{Axis, Level, MOST_RUNS, Reader};
use crate::catalog::{Type, Value};
use crate::diag::{Diagnostic, Span, Spanned, codes};
use crate::syntax::{Call, Expr, ExprKind, Field, Op, Unit};

const NATURAL: Type = Type::Int { name: "natural", min: 0, max: 1 << 50 };

/// A value with what tables call it.
type Labelled = (String, Expr);

impl Reader<'_> {
    /// The levels of an axis that `field` declares; in a `zip` some may be the same.
    pub(in crate::resolve) fn levels(
        &mut self,
        field: &Field,
        may_repeat: bool,
    ) -> Option<Vec<Level>> {
        let values = self.eval().labelled(&field.value)?;
        for (at, (label, value)) in values.iter().enumerate().filter(|_| !may_repeat) {
            if let Some((_, first)) = values[..at].iter().find(|(other, _)| other == label) {
                let message = format!("the value `{label}` is given twice");
                self.out.push(
                    Diagnostic::new(&codes::DUPLICATE, message)
                        .at(value.span, "a second time")
                        .at(first.span, "first here"),
                );
                return None;
            }
        }
        let level =
            |(label, value): Labelled| Level { labels: vec![label], ..Axis::level(field, &value) };
        Some(values.into_iter().map(level).collect())
    }

    /// `seeds = 0..3`, `seeds = [1, 2, 3]`.
    pub(in crate::resolve) fn seeds(&mut self, field: &Field) -> Option<Spanned<Vec<u64>>> {
        let span = field.value.span;
        let node = match &field.value.kind {
            ExprKind::Binary { op, .. } if op.spans() => self.eval().integers(&field.value)?,
            ExprKind::List(items) => {
                let mut eval = self.eval();
                let seeds: Vec<_> = items.iter().map(|item| eval.natural(item, "seeds")).collect();
                seeds.into_iter().collect::<Option<Vec<u64>>>()?
            }
            _ => {
                self.out.push(
                    Diagnostic::new(&codes::WRONG_TYPE, "`seeds` is a range or a list")
                        .at(span, "for example `seeds = 0..5` for five seeds"),
                );
                return None;
            }
        };
        let problem =
            match &node[..] {
                [] => Some((&codes::OUT_OF_RANGE, "there is no seed to run".to_owned())),
                seeds => seeds.iter().enumerate().find(|(at, it)| seeds[..*at].contains(it)).map(
                    |(_, seed)| (&codes::DUPLICATE, format!("the seed {seed} is given twice")),
                ),
            };
        if let Some((code, message)) = problem {
            self.out.push(Diagnostic::new(code, message).at(span, "in this list"));
            return None;
        }
        Some(Spanned { node, span })
    }
}

impl Eval<'_> {
    /// The labelled values of a list, a record, `linspace`, a range, or a name for one.
    fn labelled(&mut self, expr: &Expr) -> Option<Vec<Labelled>> {
        match &expr.kind {
            ExprKind::Paren(inner) => self.labelled(inner),
            ExprKind::List(items) if !items.is_empty() => {
                Some(items.iter().map(|item| (level_label(item), item.clone())).collect())
            }
            ExprKind::Record(pairs) if !pairs.is_empty() => {
                Some(pairs.iter().map(|(name, value)| (name.node.clone(), value.clone())).collect())
            }
            ExprKind::Binary { op: Op::Until | Op::Through, .. } => {
                let values = self.integers(expr)?;
                Some(values.into_iter().map(|n| numbered(n as f64, false, expr.span)).collect())
            }
            ExprKind::Call(call) if call.path.single() == Some("linspace") => {
                self.linspace(expr, call)
            }
            ExprKind::Path(path) => self.named(path, "a list", |eval, expr| eval.labelled(expr)),
            _ => {
                let label = "expected `[a, b]`, `{ \"label\" = a }` or `linspace(a, b, n)`";
                self.out.push(
                    Diagnostic::new(&codes::WRONG_TYPE, "an axis lists its values")
                        .at(expr.span, label),
                );
                None
            }
        }
    }

    fn linspace(&mut self, expr: &Expr, call: &Call) -> Option<Vec<Labelled>> {
        let [first, last, count] = &call.args[..] else {
            let message = "`linspace` takes a first value, a last one and a count";
            self.out.push(
                Diagnostic::new(&codes::MISSING, message)
                    .at(expr.span, "for example `linspace(0%, 100%, 5)`"),
            );
            return None;
        };
        let (a, b) = (self.quantity(&first.value)?, self.quantity(&last.value)?);
        if let Some(unit) = a.unit.or(b.unit) {
            self.out.push(
                Diagnostic::new(&codes::WRONG_UNIT, "`linspace` takes plain numbers")
                    .at(expr.span, format!("not {}", unit.text()))
                    .help("list the values: `[10 epochs, 20 epochs]`"),
            );
            return None;
        }
        let ty = Type::Int { name: "count", min: 2, max: MOST_RUNS as i64 };
        let Value::Int(n) = self.value(&count.value, &[], Want::new("count", &ty))? else {
            return None;
        };
        let at = |i: i64| a.value + (b.value - a.value) * i as f64 / (n - 1) as f64;
        Some((0..n).map(|i| numbered(at(i), a.percent || b.percent, expr.span)).collect())
    }

    /// The whole numbers of a range.
    fn integers(&mut self, expr: &Expr) -> Option<Vec<u64>> {
        let ExprKind::Binary { op, left, right } = &expr.kind else { return None };
        let (a, b) = (self.natural(left, "range"), self.natural(right, "range"));
        let (a, b) = (a?, b?);
        let end = if *op == Op::Through { b + 1 } else { b };
        let (message, label) = match end.checked_sub(a) {
            _ if *op == Op::PlusMinus => {
                ("a range of whole numbers is written `0..5`", "not with `±`".to_owned())
            }
            None | Some(0) => ("this range is empty", "holds no number".to_owned()),
            Some(n) if n > MOST_RUNS as u64 => {
                ("this range is far too long", format!("{n} values"))
            }
            Some(_) => return Some((a..end).collect()),
        };
        self.out.push(Diagnostic::new(&codes::OUT_OF_RANGE, message).at(expr.span, label));
        None
    }

    fn natural(&mut self, expr: &Expr, name: &str) -> Option<u64> {
        match self.value(expr, &[], Want::new(name, &NATURAL))? {
            Value::Int(value) => u64::try_from(value).ok(),
            _ => None,
        }
    }
}

/// A level as the tables show it.
pub(in crate::resolve) fn level_label(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Text(text) => text.clone(),
        _ => plain(expr),
    }
}

/// A level that was computed, not written.
fn numbered(value: f64, percent: bool, span: Span) -> Labelled {
    let shown = if percent { value * 100.0 } else { value };
    // Rounding hides binary noise such as 0.30000000000000004.
    let shown = (shown * 1e9).round() / 1e9;
    let unit = percent.then_some(Unit::Percent);
    let label = format!("{shown}{}", if percent { "%" } else { "" });
    let kind = ExprKind::Number { text: shown.to_string(), value: shown, unit };
    (label, Expr { kind, span })
}

/// The number an expression is as it stands.
pub(in crate::resolve) fn literal(expr: &Expr) -> Option<f64> {
    match &expr.kind {
        ExprKind::Number { value, unit: Some(Unit::Percent), .. } => Some(value / 100.0),
        ExprKind::Number { value, .. } => Some(*value),
        ExprKind::Negate(inner) => literal(inner).map(|value| -value),
        ExprKind::Paren(inner) => literal(inner),
        _ => None,
    }
}
