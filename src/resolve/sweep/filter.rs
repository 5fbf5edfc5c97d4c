//! `where`: a condition over the levels of one cell.

use super::super::eval::compare;
use super::level::{level_label, literal};
use super::pick::find;
use super::{Axis, Reader};
use crate::diag::{Diagnostic, codes};
use crate::syntax::{Expr, ExprKind, Op, Path};

impl Reader<'_> {
    /// Whether a cell passes every `where`; one that is wrong was reported, and lets all pass.
    pub(in crate::resolve) fn passes(
        &mut self,
        axes: &[Axis],
        levels: &[usize],
        filters: &[Expr],
    ) -> bool {
        let mut filter = Filter { axes, levels, out: self.out, word: "`where`" };
        filters.iter().all(|test| filter.truth(test).unwrap_or(true))
    }
}

/// The cell a condition is asked of.
pub(super) struct Filter<'a> {
    pub axes: &'a [Axis],
    /// The level's number on each axis.
    pub levels: &'a [usize],
    pub out: &'a mut Vec<Diagnostic>,
    /// What the condition belongs to, in messages.
    pub word: &'static str,
}

/// One side of a comparison.
#[derive(Debug, Clone)]
struct Side {
    text: String,
    number: Option<f64>,
    /// The axis it is the level of: its number, and the name's number on it.
    axis: Option<(usize, usize)>,
}

impl Filter<'_> {
    /// Whether the cell passes; none when that cannot be said, which was reported.
    pub fn truth(&mut self, test: &Expr) -> Option<bool> {
        match &test.kind {
            ExprKind::Paren(inner) => self.truth(inner),
            ExprKind::Not(inner) => self.truth(inner).map(|it| !it),
            ExprKind::Bool(value) => Some(*value),
            ExprKind::Binary { op: op @ (Op::And | Op::Or), left, right } => {
                let (a, b) = (self.truth(left), self.truth(right));
                Some(if *op == Op::And { a? & b? } else { a? | b? })
            }
            ExprKind::Binary { op, left, right } if op.compares() => {
                self.compare(*op, left, right, test)
            }
            ExprKind::Binary { op: Op::In, left, right } => self.is_in(left, right, test),
            _ => self.unreadable(test),
        }
    }

    fn unreadable(&mut self, test: &Expr) -> Option<bool> {
        self.out.push(
            Diagnostic::new(
                &codes::WRONG_TYPE,
                format!("{} compares axes with their levels", self.word),
            )
            .at(test.span, "cannot be read as a condition")
            .help(match self.word {
                "`where`" => "for example `where alpha != 0%`",
                _ => "for example `[alpha != 0%]`",
            }),
        );
        None
    }

    fn compare(&mut self, op: Op, left: &Expr, right: &Expr, whole: &Expr) -> Option<bool> {
        let (Some(a), Some(b)) = (self.side(left), self.side(right)) else {
            return self.unreadable(whole);
        };
        match (a.axis, b.axis) {
            (None, None) => return self.no_axis(left, &a, right, &b),
            (Some(axis), None) => self.is_level(axis, op, right, &b)?,
            (None, Some(axis)) => self.is_level(axis, op, left, &a)?,
            _ => {}
        }
        match (a.number, b.number, op) {
            (Some(a), Some(b), _) if near(a, b) => Some(allows_equal(op)),
            (Some(a), Some(b), _) => Some(compare(op, a, b)),
            (_, _, Op::Equal) => Some(a.text == b.text),
            (_, _, Op::NotEqual) => Some(a.text != b.text),
            _ => self.unreadable(whole),
        }
    }

    /// `method in ["a", "b"]`
    fn is_in(&mut self, left: &Expr, right: &Expr, whole: &Expr) -> Option<bool> {
        let ExprKind::List(items) = &right.kind else { return self.unreadable(whole) };
        let found: Vec<_> =
            items.iter().map(|item| self.compare(Op::Equal, left, item, whole)).collect();
        found.into_iter().try_fold(false, |any, found| Some(any | found?))
    }

    fn no_axis(&mut self, left: &Expr, a: &Side, right: &Expr, b: &Side) -> Option<bool> {
        let names: Vec<&str> =
            self.axes.iter().flat_map(|it| &it.names).map(|name| name.node.as_str()).collect();
        let is_name = |side: &Expr| matches!(side.kind, ExprKind::Path(_));
        let (expr, side) = if is_name(left) || !is_name(right) { (left, a) } else { (right, b) };
        let message = format!("no axis is called `{}`", side.text);
        let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
        self.out.push(diagnostic.expected(expr.span, &side.text, names));
        None
    }

    /// Equality with what is no level of the axis would be a slip that filters nothing.
    fn is_level(
        &mut self,
        (axis, name): (usize, usize),
        op: Op,
        expr: &Expr,
        side: &Side,
    ) -> Option<()> {
        let axis = &self.axes[axis];
        let is_same =
            |label: &str, value: Option<&Expr>| match (side.number, value.and_then(literal)) {
                (Some(a), Some(b)) => near(a, b),
                _ => side.text == label,
            };
        let mut levels = axis.levels.iter();
        let exists = levels.any(|level| is_same(&level.labels[name], level.value(name)));
        if exists || !matches!(op, Op::Equal | Op::NotEqual) {
            return Some(());
        }
        let message = format!("`{}` is never `{}`", axis.names[name].node, side.text);
        let labels = axis.levels.iter().map(|level| level.labels[name].as_str());
        self.out.push(
            Diagnostic::new(&codes::UNKNOWN_NAME, message)
                .expected(expr.span, &side.text, labels)
                .at(axis.names[name].span, "of this axis"),
        );
        None
    }

    fn side(&mut self, expr: &Expr) -> Option<Side> {
        match &expr.kind {
            ExprKind::Paren(inner) => self.side(inner),
            ExprKind::Binary { op, left, right } => {
                let (a, b) = (self.side(left)?, self.side(right)?);
                let (x, y) = (a.number?, b.number?);
                let value = match op {
                    Op::Add => x + y,
                    Op::Subtract => x - y,
                    Op::Multiply => x * y,
                    Op::Divide => x / y,
                    _ => return None,
                };
                let axis = a.axis.or(b.axis);
                Some(Side { text: value.to_string(), number: Some(value), axis })
            }
            ExprKind::Path(path) => Some(self.level(path).unwrap_or_else(|| Side {
                text: path.text(),
                number: None,
                axis: None,
            })),
            _ => Some(Side { text: level_label(expr), number: literal(expr), axis: None }),
        }
    }

    /// The level this cell has on the axis that a path names, by its name or by what it sets.
    fn level(&self, path: &Path) -> Option<Side> {
        let (at, name) = find(self.axes, &path.text())?;
        let level = &self.axes[at].levels[self.levels[at]];
        let number = level.value(name).and_then(literal);
        Some(Side { text: level.labels[name].clone(), number, axis: Some((at, name)) })
    }
}

/// Equal but for binary noise.
pub(in crate::resolve) fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

fn allows_equal(op: Op) -> bool {
    matches!(op, Op::Equal | Op::LessEqual | Op::GreaterEqual)
}
