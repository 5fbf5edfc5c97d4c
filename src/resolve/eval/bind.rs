//! Matches a call's arguments to a component's parameters, reporting every mistake in it.

use std::sync::Arc;

use super::super::draft::Patch;
use super::{Eval, Want};
use crate::catalog::{Bound, Division, ParamSpec, Spec, Value};
use crate::diag::{Diagnostic, Span, closest, codes};
use crate::resolve::Called;
use crate::syntax::{Arg, Expr, Name};

/// Columns of a signature in a message.
const SIGNATURE: usize = 76;

/// The argument that asks a network to keep distances within a bound.
const LIPSCHITZ: &str = "lipschitz";

/// A call that is being matched to its component's parameters.
struct Site<'a> {
    spec: &'static Spec,
    args: &'a [Arg],
    span: Span,
    patches: &'a [&'a Patch],
}

impl Site<'_> {
    fn given(&self, name: &str) -> Option<&Arg> {
        self.args.iter().find(|arg| arg.name.as_ref().is_some_and(|it| it.node == name))
    }

    /// The overrides of the argument `name` as a whole, and those inside it.
    fn overrides(&self, name: &str) -> (Option<&Patch>, Vec<Patch>) {
        let own = self.patches.iter().filter(|patch| patch.path[0].node == name);
        let (whole, inside): (Vec<&Patch>, Vec<&Patch>) = own.partition(|it| it.path.len() == 1);
        let inside = inside
            .into_iter()
            .map(|patch| Patch { path: patch.path[1..].to_vec(), value: patch.value.clone() });
        (whole.last().copied(), inside.collect())
    }
}

impl Eval<'_> {
    /// `spec` with `args`, those overridden by `patches`, and its defaults.
    pub(super) fn bind(
        &mut self,
        spec: &'static Spec,
        args: &[Arg],
        span: Span,
        patches: &[&Patch],
    ) -> Option<Called> {
        let site = Site { spec, args, span, patches };
        let before = self.out.len();
        for at in 0..args.len() {
            self.check_argument(&site, at);
        }
        for patch in patches {
            if spec.param(&patch.path[0].node).is_none() {
                let diagnostic = self.unknown_argument(spec, &patch.path[0]);
                self.out.push(diagnostic.at(span, format!("of this `{}`", spec.name)));
            }
        }
        let mut places = Vec::new();
        let mut values = Vec::new();
        let chosen = spec.forms.and_then(|forms| spec.param(forms.param));
        let chosen = chosen.map(|param| (param.name, self.argument(&site, param, None)));
        let form = match &chosen {
            Some((_, (Some(Value::Word(word)), _))) => Some(word.clone()),
            _ => None,
        };
        for param in spec.params {
            let (value, place) = match &chosen {
                Some((name, found)) if *name == param.name => found.clone(),
                _ => self.argument(&site, param, form.as_deref()),
            };
            places.extend(place.map(|place| (param.name, place)));
            values.push(value);
        }
        let is_sound = self.out.len() == before;
        let args: Option<Arc<[Value]>> = values.into_iter().collect();
        args.filter(|_| is_sound).map(|args| Called {
            bound: Bound { spec, args },
            span,
            args: places,
        })
    }

    fn check_argument(&mut self, site: &Site, at: usize) {
        let (spec, arg) = (site.spec, &site.args[at]);
        let Some(name) = &arg.name else {
            let diagnostic = positional(spec, arg, at);
            return self.out.push(diagnostic);
        };
        if spec.param(&name.node).is_none() {
            let diagnostic = self.unknown_argument(spec, name);
            self.out.push(diagnostic);
        }
        let names = site.args[..at].iter().filter_map(|arg| arg.name.as_ref());
        if let Some(first) = names.clone().find(|other| other.node == name.node) {
            let message = format!("`{}` is given twice", name.node);
            self.out.push(
                Diagnostic::new(&codes::DUPLICATE, message)
                    .at(name.span, "a second time")
                    .at(first.span, "first here"),
            );
        }
    }

    /// The value of one parameter in the form called `form`, and where it is written.
    fn argument(
        &mut self,
        site: &Site,
        param: &'static ParamSpec,
        form: Option<&str>,
    ) -> (Option<Value>, Option<Span>) {
        let (whole, inside) = site.overrides(param.name);
        let inside: Vec<&Patch> = inside.iter().collect();
        let given = site.given(param.name);
        let expr: Option<&Expr> = whole.map(|patch| &patch.value).or(given.map(|arg| &arg.value));
        if let Some(expr) = expr {
            let place = match (whole, given.and_then(|arg| arg.name.as_ref())) {
                (None, Some(name)) => name.span.to(expr.span),
                _ => expr.span,
            };
            let want = Want::param(param).of(self.images(site.spec, param));
            return (self.value(expr, &inside, want), Some(place));
        }
        let value = match site.spec.default_in(form, param) {
            Some(default) if inside.is_empty() => Some(default),
            Some(default) => self.patched_default(default, param, &inside),
            None => {
                self.out.push(no_argument(site, param));
                None
            }
        };
        (value, None)
    }

    fn unknown_argument(&self, spec: &Spec, name: &Name) -> Diagnostic {
        match spec.unbounded.filter(|_| name.node == LIPSCHITZ) {
            Some(why) => {
                let others = self.catalog.of(spec.kind);
                let bounded = others.filter(|it| it.param(LIPSCHITZ).is_some());
                let bounded: Vec<String> = bounded.map(|it| format!("`{}`", it.name)).collect();
                Diagnostic::new(&codes::NO_BOUND, format!("`{}` has no Lipschitz bound", spec.name))
                    .at(name.span, why)
                    .help(format!("encoders that keep one: {}", bounded.join(", ")))
                    .more(spec.name)
            }
            None => unknown_argument(spec, name),
        }
    }

    /// How many images an amount that a dataset takes is a share of.
    fn images(&self, spec: &'static Spec, param: &ParamSpec) -> Option<usize> {
        let facts = self.catalog.facts(spec)?;
        let division = Division::of(&Bound::defaults(spec), facts).ok()?;
        Some(match param.name {
            "train" => division.train,
            "val" => division.train + division.val,
            _ => facts.train,
        })
    }

    /// A default component with some of its arguments overridden.
    fn patched_default(
        &mut self,
        default: Value,
        param: &ParamSpec,
        patches: &[&Patch],
    ) -> Option<Value> {
        let Value::Component(mut bound) = default else {
            let message = format!("`{}` has no arguments of its own", param.name);
            let diagnostic = Diagnostic::new(&codes::BAD_PATH, message);
            self.out.push(diagnostic.at(patches[0].path[0].span, "overridden here"));
            return None;
        };
        for patch in patches {
            let name = &patch.path[0];
            let Some(param) = bound.spec.param(&name.node) else {
                let diagnostic = self.unknown_argument(bound.spec, name);
                self.out.push(diagnostic);
                return None;
            };
            let value = self.value(&patch.value, &[], Want::param(param))?;
            bound = Box::new(bound.with(param.name, value));
        }
        Some(Value::Component(bound))
    }
}

fn positional(spec: &Spec, arg: &Arg, at: usize) -> Diagnostic {
    let message = format!("`{}` takes named arguments", spec.name);
    let diagnostic = Diagnostic::new(&codes::WRONG_TYPE, message);
    match spec.params.get(at) {
        Some(param) => diagnostic
            .at(arg.value.span, format!("write `{}=…`, if this is what is meant", param.name))
            .help(spec.signature()),
        None => diagnostic.at(arg.value.span, "which one is this?").help(spec.signature()),
    }
}

fn no_argument(site: &Site, param: &ParamSpec) -> Diagnostic {
    let message = format!("`{}` needs `{}`", site.spec.name, param.name);
    let diagnostic = Diagnostic::new(&codes::MISSING, message);
    Want::param(param).explain(diagnostic.at(site.span, format!("add `{}=…`", param.name)))
}

fn unknown_argument(spec: &Spec, name: &Name) -> Diagnostic {
    let message = format!("`{}` has no argument `{}`", spec.name, name.node);
    let names = spec.params.iter().map(|param| param.name);
    let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
    match spec.params {
        [] => diagnostic.at(name.span, "it takes none"),
        _ => match closest(&name.node, names.clone()) {
            Some(near) => diagnostic
                .expected(name.span, &name.node, names)
                .help(spec.signature_with(near, SIGNATURE)),
            None => diagnostic
                .at(name.span, "not one of its arguments")
                .help(spec.signature_with("", SIGNATURE)),
        }
        .more(spec.name),
    }
}
