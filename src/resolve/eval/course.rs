//! Numbers that change over training: `linear(0%, 50%, over=50 epochs)`, and sums of such.

use super::accept::fits;
use super::{Eval, Want};
use crate::catalog::{Course, Duration, Join, Shape, Type, Value};
use crate::diag::{Diagnostic, codes};
use crate::resolve::scope::{self, Meaning};
use crate::syntax::{Arg, Call, Expr, ExprKind, Op, Path};

/// What a number that changes is written with.
const SHAPES: &[&str] = &["linear", "cosine", "step"];
/// Most expressions that are looked through for one of them.
const MOST_SEARCHED: usize = 2000;
const TIMES: Type = Type::List(&Type::Duration);

impl Eval<'_> {
    /// Whether a number changes over training.
    pub fn is_varying(&self, expr: &Expr) -> bool {
        self.finds_shape(expr, &mut MOST_SEARCHED.clone())
    }

    fn finds_shape(&self, expr: &Expr, left: &mut usize) -> bool {
        if *left == 0 {
            return false;
        }
        *left -= 1;
        match &expr.kind {
            ExprKind::Call(call) => is_shape(call),
            ExprKind::Paren(inner) | ExprKind::Negate(inner) => self.finds_shape(inner, left),
            ExprKind::Binary { left: a, right: b, .. } => {
                self.finds_shape(a, left) || self.finds_shape(b, left)
            }
            ExprKind::If { then, otherwise, .. } => {
                self.finds_shape(then, left) || self.finds_shape(otherwise, left)
            }
            ExprKind::Path(path) => self.meant(path).is_some_and(|it| self.finds_shape(it, left)),
            _ => false,
        }
    }

    /// The expression that a name stands for.
    fn meant(&self, path: &Path) -> Option<&Expr> {
        let (file, meaning) = scope::lookup(self.program, path.span.file, &path.parts)?;
        match meaning {
            Meaning::Let(expr) => Some(expr),
            Meaning::Param(param) => {
                let key = (file, path.parts.last()?.node.clone());
                Some(self.params.get(&key).unwrap_or(&param.default))
            }
            _ => None,
        }
    }

    /// The course of a number that changes, all of which must be what is wanted.
    pub(super) fn varying(&mut self, expr: &Expr, want: Want) -> Option<Value> {
        let course = self.course(expr)?;
        let (low, high) = course.bounds();
        if fits(want.ty, low) && fits(want.ty, high) {
            return Some(match course {
                Course::Constant(value) => Value::Real(value),
                course => Value::Course(course),
            });
        }
        let message = format!("`{}` goes beyond what it takes", want.name);
        let label = match low.is_finite() && high.is_finite() {
            true => format!("from {} to {}; it takes {}", short(low), short(high), want.ty),
            false => "may divide by 0 on its way".to_owned(),
        };
        self.out.push(Diagnostic::new(&codes::OUT_OF_RANGE, message).at(expr.span, label));
        None
    }

    /// The course of a number; constant where nothing in it changes.
    pub fn course(&mut self, expr: &Expr) -> Option<Course> {
        self.nested(expr.span, |eval| eval.course_here(expr))
    }

    fn course_here(&mut self, expr: &Expr) -> Option<Course> {
        match &expr.kind {
            ExprKind::Paren(inner) => self.course(inner),
            ExprKind::Negate(inner) => {
                let inner = self.course(inner)?;
                Some(Course::joined(Join::Minus, Course::Constant(0.0), inner))
            }
            ExprKind::Binary { op, left, right } => {
                let join = match op {
                    Op::Add => Join::Plus,
                    Op::Subtract => Join::Minus,
                    Op::Multiply => Join::Times,
                    Op::Divide => Join::Over,
                    _ => return self.plain_number(expr).map(Course::Constant),
                };
                let (a, b) = (self.course(left), self.course(right));
                Some(Course::joined(join, a?, b?))
            }
            ExprKind::If { test, then, otherwise } => {
                let chosen = if self.truth(test)? { then } else { otherwise };
                self.course(chosen)
            }
            ExprKind::Path(path) => self.named(path, "a number", |eval, expr| eval.course(expr)),
            ExprKind::Call(call) if self.is_varying(expr) => self.shape(call),
            _ => self.plain_number(expr).map(Course::Constant),
        }
    }

    fn shape(&mut self, call: &Call) -> Option<Course> {
        let name = call.path.single().unwrap_or_default();
        let timed = if name == "step" { "at" } else { "over" };
        let (named, numbers): (Vec<&Arg>, Vec<&Arg>) =
            call.args.iter().partition(|arg| arg.name.is_some());
        let mut names = named.iter().filter_map(|arg| arg.name.as_ref());
        if let Some(other) = names.find(|it| it.node != timed) {
            let message = format!("`{name}` of a number has no argument `{}`", other.node);
            let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
            self.out.push(diagnostic.expected(other.span, &other.node, [timed]).help(usage(name)));
            return None;
        }
        let values: Vec<_> = numbers.iter().map(|arg| self.plain_number(&arg.value)).collect();
        let values: Vec<f64> = values.into_iter().collect::<Option<_>>()?;
        let time = named.first().map(|arg| &arg.value);
        match (name, &values[..]) {
            ("step", [_, _, ..]) => {
                let at = self.times(call, time, values.len() - 1)?;
                Some(Course::Step { values, at })
            }
            ("linear" | "cosine", [from, to]) => {
                let over = match time {
                    Some(expr) => Some(self.length_of_ramp(expr)?),
                    None => None,
                };
                let shape = if name == "linear" { Shape::Linear } else { Shape::Cosine };
                Some(Course::Ramp { shape, from: *from, to: *to, over })
            }
            _ => {
                let message = format!("`{name}` of a number cannot be read");
                let label = format!("{} here", crate::diag::plural(values.len(), "number"));
                let diagnostic = Diagnostic::new(&codes::WRONG_TYPE, message);
                self.out.push(diagnostic.at(call.path.span, label).help(usage(name)));
                None
            }
        }
    }

    fn length_of_ramp(&mut self, expr: &Expr) -> Option<Duration> {
        match self.value(expr, &[], Want::new("over", &Type::Duration))? {
            Value::Duration(over) if over.amount > 0.0 => Some(over),
            _ => {
                let diagnostic = Diagnostic::new(&codes::OUT_OF_RANGE, "`over` is more than 0");
                self.out.push(diagnostic.at(expr.span, "no time at all"));
                None
            }
        }
    }

    /// The times of a `step`, one for each number but the first.
    fn times(&mut self, call: &Call, expr: Option<&Expr>, wanted: usize) -> Option<Vec<Duration>> {
        let span = expr.map_or(call.path.span, |expr| expr.span);
        let times = match expr {
            Some(expr) => self.value(expr, &[], Want::new("at", &TIMES))?,
            None => Value::List(Vec::new()),
        };
        let Value::List(times) = times else { return None };
        let times: Vec<Duration> = times
            .into_iter()
            .filter_map(|time| if let Value::Duration(time) = time { Some(time) } else { None })
            .collect();
        if times.len() == wanted {
            return Some(times);
        }
        let message = "`step` needs a time for each number but the first";
        let label = format!("{} for {}", crate::diag::plural(times.len(), "time"), wanted);
        let diagnostic = Diagnostic::new(&codes::WRONG_TYPE, message);
        self.out.push(diagnostic.at(span, label).help(usage("step")));
        None
    }

    /// A number without a unit.
    fn plain_number(&mut self, expr: &Expr) -> Option<f64> {
        let quantity = self.quantity(expr)?;
        let Some(unit) = quantity.unit else { return Some(quantity.value) };
        let diagnostic = Diagnostic::new(&codes::WRONG_UNIT, "a plain number is needed here");
        self.out.push(diagnostic.at(expr.span, format!("this is in {}", unit.text())));
        None
    }
}

/// Whether a call gives numbers, and not the arguments of a component of that name.
fn is_shape(call: &Call) -> bool {
    let is_named = call.path.single().is_some_and(|name| SHAPES.contains(&name));
    is_named && call.args.iter().any(|arg| arg.name.is_none())
}

/// A number without the noise of its last digits.
fn short(value: f64) -> f64 {
    if value.is_finite() { (value * 1e9).round() / 1e9 } else { value }
}

fn usage(name: &str) -> String {
    match name {
        "step" => "for example `step(0%, 50%, at=[10 epochs])`".to_owned(),
        name => format!("for example `{name}(0%, 50%, over=50 epochs)`"),
    }
}
