//! How a search chooses points: all of a grid, at random, or at random with early stopping.

use super::super::eval::Want;
use super::super::experiment::plain;
use super::super::sweep::Reader;
use super::space::Dimension;
use crate::catalog::{Type, Value};
use crate::diag::{Diagnostic, Span, codes};
use crate::syntax::{Arg, ExprKind, Field, Path};

/// Points along a dimension without steps, and trials in all.
const COUNT: Type = Type::Int { name: "count", min: 1, max: 1 << 30 };
const POINTS: Type = Type::Int { name: "count", min: 2, max: 1 << 20 };
const SHARE: Type = Type::Real { name: "fraction", min: 0.0, max: 1.0, open: true };

/// A method with its arguments: each with what it takes, and whether it must be given.
type Method = (&'static str, &'static [(&'static str, Type, bool)]);

const METHODS: &[Method] = &[
    ("grid", &[("points", POINTS, false)]),
    ("random", &[("trials", COUNT, true)]),
    ("asha", &[("trials", COUNT, true), ("max", Type::Duration, true), ("keep", SHARE, false)]),
];

impl Reader<'_> {
    /// The method as it is written, and how many trials it makes.
    pub(super) fn method(&mut self, field: &Field, space: &[Dimension]) -> Option<(String, usize)> {
        let (path, args): (&Path, &[Arg]) = match &field.value.kind {
            ExprKind::Path(path) => (path, &[]),
            ExprKind::Call(call) => (&call.path, &call.args),
            _ => return self.no_method(field, ""),
        };
        let name = path.text();
        let Some((_, params)) = METHODS.iter().find(|(method, _)| *method == name) else {
            return self.no_method(field, &name);
        };
        let values = self.arguments(&name, params, args, field.value.span)?;
        let trials = match name.as_str() {
            "grid" => self.grid_trials(field, space, values[0].as_ref())?,
            _ => whole(values[0].as_ref())?,
        };
        if let Some(Some(Value::Real(keep))) = values.get(2)
            && *keep >= 1.0
        {
            self.out.push(
                Diagnostic::new(&codes::OUT_OF_RANGE, "`keep` is the share that goes on")
                    .at(field.value.span, "with all of them, nothing is stopped early")
                    .help("for example `keep=1/3`"),
            );
            return None;
        }
        Some((plain(&field.value), trials))
    }

    fn no_method<T>(&mut self, field: &Field, written: &str) -> Option<T> {
        let message = match written {
            "" => "`method` says how points are chosen".to_owned(),
            name => format!("no method of search is called `{name}`"),
        };
        let names = METHODS.iter().map(|(name, _)| *name);
        let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
        self.out.push(diagnostic.expected(field.value.span, written, names));
        None
    }

    /// The value of each parameter, where it is given; what is wrong with any is reported.
    fn arguments(
        &mut self,
        method: &str,
        params: &[(&'static str, Type, bool)],
        args: &[Arg],
        span: Span,
    ) -> Option<Vec<Option<Value>>> {
        let before = self.out.len();
        let given = |arg: &Arg| arg.name.as_ref().map_or(String::new(), |name| name.node.clone());
        for arg in args {
            let name = given(arg);
            if !params.iter().any(|(param, ..)| *param == name) {
                let message = match name.as_str() {
                    "" => format!("`{method}` takes named arguments"),
                    name => format!("`{method}` has no argument `{name}`"),
                };
                let span = arg.name.as_ref().map_or(arg.value.span, |name| name.span);
                let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
                let names = params.iter().map(|(name, ..)| *name);
                self.out.push(diagnostic.expected(span, &name, names));
            }
        }
        let mut values = Vec::new();
        for (name, ty, is_needed) in params {
            let arg = args.iter().find(|arg| given(arg) == *name);
            if arg.is_none() && *is_needed {
                let message = format!("`{method}` needs `{name}`");
                self.out.push(
                    Diagnostic::new(&codes::MISSING, message).at(span, format!("add `{name}=…`")),
                );
            }
            let value = |arg: &Arg| self.eval().value(&arg.value, &[], Want::new(name, ty));
            values.push(arg.and_then(value));
        }
        (self.out.len() == before).then_some(values)
    }

    /// The points of a grid: all values of lists, `points` along every other dimension.
    fn grid_trials(
        &mut self,
        field: &Field,
        space: &[Dimension],
        points: Option<&Value>,
    ) -> Option<usize> {
        let drawn = space.iter().find(|dimension| dimension.listed().is_none());
        let points = whole(points);
        if let (Some(drawn), None) = (drawn, points) {
            self.out.push(
                Diagnostic::new(&codes::MISSING, "a grid needs to know how many points")
                    .at(field.value.span, "write `grid(points=5)`")
                    .at(drawn.span(), "no list: as many points along this"),
            );
            return None;
        }
        let lengths = space.iter().map(|it| it.listed().unwrap_or(points.unwrap_or(1)));
        Some(lengths.fold(1, usize::saturating_mul))
    }
}

fn whole(value: Option<&Value>) -> Option<usize> {
    match value {
        Some(Value::Int(value)) => usize::try_from(*value).ok(),
        _ => None,
    }
}
