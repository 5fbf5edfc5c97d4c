//! Matches a call's arguments to a component's parameters, reporting every mistake in it.

use super::draft::Patch;
use super::value::{Eval, Want, inside};
use crate::catalog::{Bound, ParamSpec, Spec, Value};
use crate::diag::{Diagnostic, Span, closest, codes};
use crate::syntax::{Arg, Call, Expr, Name};

impl Eval<'_> {
    /// `spec` with the arguments of `call`, those overridden by `patches`, and its defaults.
    pub fn bind(
        &mut self,
        spec: &'static Spec,
        call: &Call,
        span: Span,
        patches: &[&Patch],
    ) -> Option<Bound> {
        let before = self.out.len();
        for (at, arg) in call.args.iter().enumerate() {
            self.check_argument(spec, arg, &call.args[..at]);
        }
        for patch in patches {
            let name = &patch.path[0];
            if spec.param(&name.node).is_none() {
                self.out.push(unknown_argument(spec, name).at(span, "overridden from there"));
            }
        }
        let args: Vec<_> = spec
            .params
            .iter()
            .map(|param| self.argument(spec, param, call, span, patches))
            .collect();
        let args: Option<Vec<Value>> = args.into_iter().collect();
        (self.out.len() == before).then_some(())?;
        Some(Bound { spec, args: args? })
    }

    fn check_argument(&mut self, spec: &Spec, arg: &Arg, before: &[Arg]) {
        let Some(name) = &arg.name else {
            let example = spec.params.first().map_or("name", |param| param.name);
            self.out.push(
                Diagnostic::new(
                    &codes::WRONG_TYPE,
                    format!("`{}` takes named arguments", spec.name),
                )
                .at(arg.value.span, "which one is this?")
                .help(format!("for example `{example}={}`", arg.value))
                .help(spec.signature()),
            );
            return;
        };
        if spec.param(&name.node).is_none() {
            self.out.push(unknown_argument(spec, name));
        }
        let same = |other: &&Arg| other.name.as_ref().is_some_and(|it| it.node == name.node);
        if let Some(first) = before.iter().find(same) {
            self.out.push(
                Diagnostic::new(&codes::DUPLICATE, format!("`{}` is given twice", name.node))
                    .at(name.span, "a second time")
                    .at(first.value.span, "first here"),
            );
        }
    }

    fn argument(
        &mut self,
        spec: &Spec,
        param: &'static ParamSpec,
        call: &Call,
        span: Span,
        patches: &[&Patch],
    ) -> Option<Value> {
        let reaching = inside(patches, param.name);
        let whole = reaching.iter().rev().find(|(rest, _)| rest.is_empty());
        let deeper: Vec<Patch> = reaching
            .iter()
            .filter(|(rest, _)| !rest.is_empty())
            .map(|(rest, value)| Patch { path: rest.to_vec(), value: (*value).clone() })
            .collect();
        let deeper: Vec<&Patch> = deeper.iter().collect();
        let given = call
            .args
            .iter()
            .find(|arg| arg.name.as_ref().is_some_and(|name| name.node == param.name));
        let expr: Option<&Expr> = whole.map(|(_, value)| *value).or(given.map(|arg| &arg.value));
        match (expr, param.default) {
            (Some(expr), _) => self.value(expr, &deeper, Want::param(param)),
            (None, Some(default)) if deeper.is_empty() => Some(default()),
            (None, Some(default)) => self.patched_default(default(), &deeper, span),
            (None, None) => {
                self.out.push(
                    Diagnostic::new(
                        &codes::MISSING,
                        format!("`{}` needs `{}`", spec.name, param.name),
                    )
                    .at(span, format!("add `{}=…`", param.name))
                    .help(format!(
                        "{}: {}",
                        param.signature(),
                        Want::param(param).help()
                    )),
                );
                None
            }
        }
    }

    /// A default component with some of its arguments overridden.
    fn patched_default(&mut self, default: Value, patches: &[&Patch], span: Span) -> Option<Value> {
        let Value::Component(mut bound) = default else {
            let name = &patches[0].path[0];
            self.out.push(
                Diagnostic::new(&codes::BAD_PATH, "this argument has no arguments of its own")
                    .at(name.span, "overridden here"),
            );
            return None;
        };
        for patch in patches {
            let name = &patch.path[0];
            let Some(param) = bound.spec.param(&name.node) else {
                self.out.push(unknown_argument(bound.spec, name).at(span, "overridden from there"));
                return None;
            };
            let value = self.value(&patch.value, &[], Want::param(param))?;
            bound = Box::new(bound.with(param.name, value));
        }
        Some(Value::Component(bound))
    }
}

fn unknown_argument(spec: &Spec, name: &Name) -> Diagnostic {
    let message = format!("`{}` has no argument `{}`", spec.name, name.node);
    let near = closest(&name.node, spec.params.iter().map(|param| param.name));
    let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
    match near {
        Some(near) => diagnostic.at(name.span, format!("did you mean `{near}`?")),
        None => diagnostic.at(name.span, "no argument has this name"),
    }
    .help(spec.signature())
}
