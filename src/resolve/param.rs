//! Parameters: every value is of its type and inside its domain.

use std::collections::BTreeSet;

use super::eval::{Eval, MEASURES, Params, Want, kind_of};
use super::experiment::plain;
use super::scope::{self, Meaning};
use crate::catalog::Type;
use crate::diag::{Diagnostic, codes, has_errors};
use crate::syntax::{Call, Expr, ExprKind, Param, Statement, Unit};

/// The types a parameter may be declared with.
const TYPES: &[(&str, Type)] = &[
    ("int", Type::Int { name: "int", min: -(1 << 50), max: 1 << 50 }),
    ("float", real("float", f64::NEG_INFINITY, f64::INFINITY, false)),
    ("bool", Type::Bool),
    ("string", Type::Text),
    ("positive", real("positive", 0.0, f64::INFINITY, true)),
    ("nonneg", real("nonneg", 0.0, f64::INFINITY, false)),
    ("fraction", real("fraction", 0.0, 1.0, false)),
    ("duration", Type::Duration),
    ("interval", Type::Interval { min: f64::NEG_INFINITY, max: f64::INFINITY }),
];

const fn real(name: &'static str, min: f64, max: f64, open: bool) -> Type {
    Type::Real { name, min, max, open }
}

impl Eval<'_> {
    /// Whether every parameter is of its type and in its domain, as `params` overrides them.
    pub fn are_sound(&mut self, params: &Params) -> bool {
        let before = self.out.len();
        self.check_changed_params(params);
        !has_errors(&self.out[before..])
    }

    /// Checks the parameters of every file, as `params` overrides them.
    pub fn check_params(&mut self, params: &Params) {
        for module in &self.program.files {
            for (_, meaning) in scope::names(module) {
                let Meaning::Param(param) = meaning else { continue };
                let key = (module.file, param.name.node.clone());
                self.check_param(param, params.get(&key).unwrap_or(&param.default));
            }
        }
    }

    /// Checks the parameters whose values `params` may have changed.
    pub fn check_changed_params(&mut self, params: &Params) {
        if params.is_empty() {
            return;
        }
        for module in &self.program.files {
            let named = params.range((module.file, String::new())..);
            let named = named.take_while(|((file, _), _)| *file == module.file);
            let changed = named.filter_map(|((_, name), _)| module.names.get(name));
            let places: BTreeSet<usize> = changed.chain(&module.linked).copied().collect();
            for at in places {
                let Statement::Param(param) = &module.tree.statements[at] else { continue };
                let key = (module.file, param.name.node.clone());
                self.check_param(param, params.get(&key).unwrap_or(&param.default));
            }
        }
    }

    fn check_param(&mut self, param: &Param, value: &Expr) {
        let is_sound = match param.ty.as_ref().map(|ty| (&ty.kind, ty)) {
            None => Some(()),
            Some((ExprKind::Call(call), _)) if call.path.single() == Some("one_of") => {
                return self.check_choice(param, call, value);
            }
            Some((_, ty)) => self.check_type(param, ty, value),
        };
        if is_sound.is_some() {
            self.check_domain(param, value);
        }
    }

    fn check_type(&mut self, param: &Param, ty: &Expr, value: &Expr) -> Option<()> {
        let wanted = ty.to_string();
        if let Some(measure) = MEASURES.iter().find(|it| it.name == wanted) {
            return self.measure((&param.name.node, value), measure).map(|_| ());
        }
        let Some((_, ty)) = TYPES.iter().find(|(name, _)| *name == wanted) else {
            let measures = MEASURES.iter().map(|it| it.name);
            let names = TYPES.iter().map(|(name, _)| *name).chain(measures).chain(["one_of"]);
            let message = format!("no type is called `{wanted}`");
            let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
            self.out.push(diagnostic.expected(ty.span, &wanted, names));
            return None;
        };
        let docs = param.doc.as_ref().map_or("", |doc| &doc.node);
        let varying = Type::Varying(ty);
        let ty = if matches!(ty, Type::Real { .. }) { &varying } else { ty };
        self.value(value, &[], Want { docs, ..Want::new(&param.name.node, ty) }).map(|_| ())
    }

    /// `param tier: one_of("smoke", "cpu") = "smoke"`
    fn check_choice(&mut self, param: &Param, call: &Call, value: &Expr) {
        let allowed: Vec<_> = call.args.iter().map(|arg| self.text(&arg.value)).collect();
        let name = &param.name.node;
        let Some(allowed) = allowed.into_iter().collect::<Option<Vec<String>>>() else {
            return self.out.push(
                Diagnostic::new(&codes::WRONG_TYPE, "`one_of` lists texts")
                    .at(call.path.span, "for example `one_of(\"small\", \"large\")`"),
            );
        };
        let Some(given) = self.text(value) else {
            return self.out.push(
                Diagnostic::new(&codes::WRONG_TYPE, format!("`{name}` takes one of some texts"))
                    .at(value.span, format!("this is {}", kind_of(value)))
                    .at(call.path.span, "declared here"),
            );
        };
        if !allowed.contains(&given) {
            let message = format!("`{name}` cannot be `{given}`");
            let names = allowed.iter().map(String::as_str);
            self.out.push(
                Diagnostic::new(&codes::OUT_OF_RANGE, message)
                    .expected(value.span, &given, names)
                    .at(call.path.span, "declared here"),
            );
        }
    }

    fn check_domain(&mut self, param: &Param, value: &Expr) {
        let Some(domain) = &param.domain else { return };
        let Some((low, high, is_closed)) = self.bounds(domain) else { return };
        let Some((least, most, unit)) = self.extent(value) else { return };
        let is_below = if is_closed { most <= high.value } else { most < high.value };
        if least < low.value || !is_below || unit != low.unit {
            let message = format!("`{}` cannot be {}", param.name.node, plain(value));
            self.out.push(
                Diagnostic::new(&codes::OUT_OF_RANGE, message)
                    .at(value.span, "outside its domain")
                    .at(domain.span, "declared here"),
            );
        }
    }

    /// The least and the greatest that a number is, and its unit.
    fn extent(&mut self, value: &Expr) -> Option<(f64, f64, Option<Unit>)> {
        if self.is_varying(value) {
            let (low, high) = self.course(value)?.bounds();
            return Some((low, high, None));
        }
        self.quantity(value).map(|it| (it.value, it.value, it.unit))
    }
}
