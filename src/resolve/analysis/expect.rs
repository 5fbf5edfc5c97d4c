//! `expect` and `claim`: what the results are said to be.

use super::fields::is_points;
use super::{Analyst, Assertion, Claim, Direction, Expectation, Metric, Relation};
use crate::catalog::is_share;
use crate::diag::{Diagnostic, Span, Spanned, codes};
use crate::resolve::eval::kind_of;
use crate::resolve::scope;
use crate::syntax::{Arg, Call, Expr, ExprKind, Op};

const DIRECTIONS: &[(&str, Direction)] = &[("up", Direction::Up), ("down", Direction::Down)];
/// The arguments of `monotone` besides its metric.
const MONOTONE: &[&str] = &["over", "direction"];

impl Analyst<'_> {
    /// `METRIC in a ± b`, `METRIC <= x`, `METRIC < METRIC`.
    pub fn expectation(&mut self, test: &Expr) -> Option<Expectation> {
        match &test.kind {
            ExprKind::Paren(inner) => self.expectation(inner),
            ExprKind::Binary { op: Op::In, left, right } => {
                let metric = self.metric(left)?;
                let relation = self.interval(right, &metric)?;
                Some(Expectation { metric, relation })
            }
            ExprKind::Binary { op, left, right } if op.compares() => {
                self.compared(*op, left, right)
            }
            ExprKind::Binary { op: Op::And, left, right } => {
                self.out.push(
                    Diagnostic::new(&codes::WRONG_TYPE, "one expectation says one thing")
                        .at(left.span, "this is one")
                        .at(right.span, "and this another")
                        .help("write each as an `expect` of its own"),
                );
                None
            }
            _ => {
                let metric = self.example();
                self.out.push(
                    Diagnostic::new(&codes::WRONG_TYPE, "this says nothing of a metric")
                        .at(test.span, format!("this is {}", kind_of(test)))
                        .help(format!("write `{metric} in A ± B`, or `{metric} >= A`")),
                );
                None
            }
        }
    }

    fn compared(&mut self, op: Op, left: &Expr, right: &Expr) -> Option<Expectation> {
        if self.is_number(left) && !self.is_number(right) {
            return self.compared(flipped(op), right, left);
        }
        let metric = self.metric(left)?;
        if self.is_number(right) {
            let value = self.value_of(right, &metric)?;
            return Some(Expectation {
                metric,
                relation: Relation::Number { op: op.text(), value },
            });
        }
        let than = self.metric(right)?;
        if than == metric {
            self.out.push(
                Diagnostic::new(&codes::WRONG_TYPE, "a metric is compared with itself")
                    .at(right.span, "the same number")
                    .at(left.span, "as here"),
            );
            return None;
        }
        if is_share(&than.metric) != is_share(&metric.metric) {
            self.out.push(
                Diagnostic::new(&codes::WRONG_UNIT, "these metrics are not counted alike")
                    .at(left.span, unit_of(&metric))
                    .at(right.span, unit_of(&than)),
            );
            return None;
        }
        Some(Expectation { metric, relation: Relation::Metric { op: op.text(), than } })
    }

    /// Whether `expr` is a number or stands for one, and no metric.
    fn is_number(&self, expr: &Expr) -> bool {
        match &expr.kind {
            ExprKind::Paren(inner) => self.is_number(inner),
            ExprKind::Path(path) => {
                let found = scope::lookup(self.ground.program, path.span.file, &path.parts);
                let is_entry = self.measures.iter().any(|it| it.entry == path.parts[0].node);
                !is_entry && found.is_some_and(|(_, meaning)| meaning.is_value())
            }
            ExprKind::Cells { .. } | ExprKind::Call(_) => false,
            _ => true,
        }
    }

    /// `a ± b`, `a..=b`
    fn interval(&mut self, expr: &Expr, metric: &Metric) -> Option<Relation> {
        let (op, left, right) = match &expr.kind {
            ExprKind::Paren(inner) => return self.interval(inner, metric),
            ExprKind::Binary { op, left, right } if op.spans() => (*op, left, right),
            _ => {
                let help = if is_share(&metric.metric) { "80% ± 2 pp" } else { "0.1 ± 0.02" };
                self.out.push(
                    Diagnostic::new(&codes::WRONG_TYPE, "an interval is needed here")
                        .at(expr.span, format!("this is {}", kind_of(expr)))
                        .help(format!("for example `{help}`")),
                );
                return None;
            }
        };
        let middle = self.value_of(left, metric);
        let (low, high) = match op {
            Op::PlusMinus => {
                let (middle, by) = (middle?, self.tolerance(right, metric)?);
                (middle - by, middle + by)
            }
            _ => (middle?, self.value_of(right, metric)?),
        };
        let problem = match op {
            Op::Until => {
                Some((&codes::WRONG_TYPE, "an interval includes both ends", "write `..=`"))
            }
            _ if low > high => {
                Some((&codes::OUT_OF_RANGE, "this interval is empty", "the lower end comes first"))
            }
            _ => None,
        };
        if let Some((code, message, label)) = problem {
            self.out.push(Diagnostic::new(code, message).at(expr.span, label));
            return None;
        }
        Some(Relation::Within { low, high })
    }

    /// A value that the metric could have.
    fn value_of(&mut self, expr: &Expr, metric: &Metric) -> Option<f64> {
        let quantity = self.eval().quantity(expr)?;
        let name = &metric.metric;
        let problem = match (is_share(name), quantity.unit) {
            (_, Some(unit)) => {
                let wanted =
                    if is_share(name) { "a share, such as `80%`" } else { "a plain number" };
                let message = format!("`{name}` is not counted in `{}`", unit.text());
                Diagnostic::new(&codes::WRONG_UNIT, message)
                    .at(expr.span, format!("expected {wanted}"))
            }
            (true, None) if !quantity.percent => {
                Diagnostic::new(&codes::UNIT, format!("`{name}` is a share of all images"))
                    .at(expr.span, "in `%`, as in `80%`")
            }
            (true, None) if !(0.0..=1.0).contains(&quantity.value) => {
                Diagnostic::new(&codes::OUT_OF_RANGE, format!("`{name}` is never this"))
                    .at(expr.span, "expected 0% to 100%")
            }
            (false, None) if quantity.percent => {
                Diagnostic::new(&codes::WRONG_UNIT, format!("`{name}` is no share"))
                    .at(expr.span, format!("write `{}`", quantity.value))
            }
            _ => return Some(quantity.value),
        };
        self.out.push(problem);
        None
    }

    /// How far a metric may lie from a value.
    fn tolerance(&mut self, expr: &Expr, metric: &Metric) -> Option<f64> {
        let quantity = self.eval().quantity(expr)?;
        let name = &metric.metric;
        if !is_share(name) && quantity.unit.is_none() && !quantity.percent
            || is_share(name) && is_points(quantity.unit)
        {
            return Some(quantity.value);
        }
        let diagnostic = match (is_share(name), quantity.unit) {
            (true, None) => {
                let number = expr.to_string().trim_end_matches('%').to_owned();
                let code = if quantity.percent { &codes::WRONG_UNIT } else { &codes::UNIT };
                Diagnostic::new(code, "a tolerance of a share is in `pp`")
                    .at(expr.span, format!("write `{number} pp`"))
                    .help("a percentage could be one of the value, or of all images")
            }
            _ => Diagnostic::new(&codes::WRONG_UNIT, format!("this is no tolerance of `{name}`"))
                .at(
                    expr.span,
                    if is_share(name) { "for example `2 pp`" } else { "write a plain number" },
                ),
        };
        self.out.push(diagnostic);
        None
    }

    /// `claim "text" monotone(METRIC, over=AXIS, direction=up)`, or what `expect` takes.
    pub fn claim(&mut self, text: &Spanned<String>, value: &Expr) -> Option<Claim> {
        let says = match &value.kind {
            ExprKind::Call(call) => self.monotone(call, value.span)?,
            _ => Assertion::Holds(self.expectation(value)?),
        };
        Some(Claim { text: text.node.clone(), says })
    }

    fn monotone(&mut self, call: &Call, span: Span) -> Option<Assertion> {
        let name = call.path.text();
        if name != "monotone" {
            let message = format!("a claim knows no `{name}`");
            let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
            self.out.push(diagnostic.expected(call.path.span, &name, ["monotone"]));
            return None;
        }
        let [Arg { name: None, value: metric }, rest @ ..] = &call.args[..] else {
            let label = format!("write `monotone({}, over=AXIS, direction=up)`", self.example());
            let diagnostic = Diagnostic::new(&codes::MISSING, "`monotone` is of a metric");
            self.out.push(diagnostic.at(span, label));
            return None;
        };
        let metric = self.metric(metric);
        let known = self.arguments(rest);
        let over = self.argument(rest, "over", &self.some_axis(), span);
        let direction = self.argument(rest, "direction", "up", span);
        let over = over.and_then(|over| Some((self.axis(over, &[])?, over.span)));
        let direction = direction.and_then(|it| self.word(it, "`direction`", DIRECTIONS));
        let (over, place) = over?;
        self.has_way(&over, place)?;
        known.then_some(Assertion::Monotone { metric: metric?, over, direction: direction? })
    }

    /// Whether all arguments of `monotone` are known.
    fn arguments(&mut self, args: &[Arg]) -> bool {
        let mut known = true;
        for Arg { name, value } in args {
            let text = name.as_ref().map_or("", |name| &name.node);
            if MONOTONE.contains(&text) {
                continue;
            }
            known = false;
            let span = name.as_ref().map_or(value.span, |name| name.span);
            let message = match text {
                "" => "`monotone` takes one metric, and named arguments".to_owned(),
                text => format!("`monotone` has no argument `{text}`"),
            };
            let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
            self.out.push(diagnostic.expected(span, text, MONOTONE.iter().copied()));
        }
        known
    }

    fn argument<'e>(
        &mut self,
        args: &'e [Arg],
        wanted: &str,
        example: &str,
        span: Span,
    ) -> Option<&'e Expr> {
        let is_it = |arg: &&Arg| arg.name.as_ref().is_some_and(|name| name.node == wanted);
        let found = args.iter().find(is_it);
        if found.is_none() {
            self.out.push(
                Diagnostic::new(&codes::MISSING, format!("`monotone` needs `{wanted}`"))
                    .at(span, format!("add `{wanted}={example}`")),
            );
        }
        found.map(|arg| &arg.value)
    }

    /// An axis of one level goes nowhere.
    fn has_way(&mut self, axis: &str, span: Span) -> Option<()> {
        let dimension = self.ground.dimensions.iter().find(|it| it.name.node == axis)?;
        if dimension.levels.len() > 1 {
            return Some(());
        }
        self.out.push(
            Diagnostic::new(&codes::EMPTY, format!("`{axis}` has a single level"))
                .at(span, "nothing can go up or down along it")
                .at(dimension.name.span, "this axis"),
        );
        None
    }
}

fn flipped(op: Op) -> Op {
    match op {
        Op::Less => Op::Greater,
        Op::LessEqual => Op::GreaterEqual,
        Op::Greater => Op::Less,
        Op::GreaterEqual => Op::LessEqual,
        same => same,
    }
}

fn unit_of(metric: &Metric) -> &'static str {
    if is_share(&metric.metric) { "a share, in `%`" } else { "a plain number" }
}
