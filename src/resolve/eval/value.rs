//! The value of an expression, by the type that is wanted.

use super::super::draft::Patch;
use super::super::foreign;
use super::quantity::{kind_of, noun, wrong_type};
use super::{Eval, TRUTH, Want};
use crate::catalog::{BALANCED, DataPath, Kind, Labels, NonNegative, ParamType, Type, Value};
use crate::diag::{Diagnostic, codes};
use crate::resolve::Called;
use crate::syntax::{Expr, ExprKind, Path};

/// Weights that are written out.
const WEIGHTS: Type = Type::List(&NonNegative::TYPE);

impl Eval<'_> {
    /// The value of `expr` where `want` is wanted; `patches` override parts of a call.
    pub fn value(&mut self, expr: &Expr, patches: &[&Patch], want: Want) -> Option<Value> {
        self.nested(expr.span, |eval| eval.value_here(expr, patches, want))
    }

    fn value_here(&mut self, expr: &Expr, patches: &[&Patch], want: Want) -> Option<Value> {
        match (&expr.kind, want.ty) {
            (_, Type::Component(kind)) => {
                let called = self.called(expr, patches, *kind, want)?;
                return Some(Value::Component(Box::new(called.bound)));
            }
            (_, Type::Varying(inner)) => {
                return match self.is_varying(expr) {
                    true => self.varying(expr, want),
                    false => self.value(expr, patches, want.inner(inner)),
                };
            }
            (ExprKind::Paren(inner), _) => return self.value(inner, patches, want),
            (ExprKind::If { test, then, otherwise }, _) => {
                let chosen = if self.truth(test)? { then } else { otherwise };
                return self.value(chosen, patches, want);
            }
            (ExprKind::None, Type::Optional(_) | Type::ClassWeights) => return Some(Value::None),
            (_, Type::Optional(inner)) => return self.value(expr, patches, want.inner(inner)),
            _ => {}
        }
        if let Some(patch) = patches.first() {
            let message = format!("`{}` has no arguments of its own", want.name);
            let diagnostic = Diagnostic::new(&codes::BAD_PATH, message);
            self.out.push(diagnostic.at(patch.path[0].span, "overridden here"));
            return None;
        }
        self.plain(expr, want)
    }

    /// A value that nothing overrides a part of.
    fn plain(&mut self, expr: &Expr, want: Want) -> Option<Value> {
        match (&expr.kind, want.ty) {
            (ExprKind::Path(path), _) => self.path(path, want),
            (ExprKind::Call(call), Type::Labels) => self.group(call, expr, want),
            (ExprKind::Call(call), Type::Features) => self.features(call, expr, want),
            (ExprKind::Call(call), Type::Weights) => self.weights(call, expr, want),
            (ExprKind::List(items), Type::Several(_)) if items.is_empty() => {
                let message = format!("`{}` is empty", want.name);
                let diagnostic = Diagnostic::new(&codes::OUT_OF_RANGE, message);
                self.out.push(diagnostic.at(expr.span, "expected one at least"));
                None
            }
            (ExprKind::List(items), Type::List(item) | Type::Several(item)) => {
                let values: Vec<_> =
                    items.iter().map(|it| self.value(it, &[], want.inner(item))).collect();
                values.into_iter().collect::<Option<Vec<_>>>().map(Value::List)
            }
            (ExprKind::List(_), Type::ClassWeights) => self.value(expr, &[], want.inner(&WEIGHTS)),
            (ExprKind::Text(text), Type::Path) => {
                let module = self.program.module(expr.span.file);
                let folder = module.and_then(|it| it.path.parent()).map(Into::into);
                let folder = folder.unwrap_or_default();
                Some(Value::Path(DataPath { written: text.clone(), folder }))
            }
            (ExprKind::Text(text), Type::Text) => Some(Value::Text(text.clone())),
            (ExprKind::Text(text), Type::Choice(words)) if words.contains(&text.as_str()) => {
                let diagnostic = wrong_type(expr, want);
                let help = format!("write `{text}` without quotes");
                self.out.push(diagnostic.help(help).fix(expr.span, text));
                None
            }
            (ExprKind::Bool(_) | ExprKind::Not(_) | ExprKind::Binary { .. }, Type::Bool) => {
                self.truth(expr).map(Value::Bool)
            }
            (ExprKind::Call(_), ty) if is_numeric(ty) && self.is_varying(expr) => {
                let message = format!("`{}` cannot change over training", want.name);
                let diagnostic = Diagnostic::new(&codes::WRONG_TYPE, message);
                self.out.push(
                    diagnostic
                        .at(expr.span, "weights of terms and temperatures may")
                        .help("how a learning rate changes is said by `schedule`"),
                );
                None
            }
            (_, Type::Interval { .. }) => self.interval(expr, want),
            (ExprKind::Number { .. } | ExprKind::Negate(_) | ExprKind::Binary { .. }, ty)
                if is_numeric(ty) =>
            {
                self.number(expr, want)
            }
            _ => {
                self.out.push(wrong_type(expr, want));
                None
            }
        }
    }

    fn path(&mut self, path: &Path, want: Want) -> Option<Value> {
        let is_value = self.is_value(path);
        match (want.ty, path.single()) {
            (Type::Choice(words), Some(word)) if words.contains(&word) => {
                return Some(Value::Word(word.to_owned()));
            }
            (Type::Choice(words), _) if !is_value => {
                let text = path.text();
                let message = format!("`{}` cannot be `{text}`", want.name);
                let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
                self.out.push(match foreign::word(&text, words) {
                    Some(word) => diagnostic.at(path.span, format!("did you mean `{word}`?")),
                    None => diagnostic.expected(path.span, &text, words.iter().copied()),
                });
                return None;
            }
            (Type::ClassWeights, Some(BALANCED)) => {
                return Some(Value::Word(BALANCED.to_owned()));
            }
            (Type::ClassWeights, _) if !is_value => {
                let text = path.text();
                let message = format!("`{}` cannot be `{text}`", want.name);
                let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
                self.out.push(diagnostic.expected(path.span, &text, [BALANCED, "none"]));
                return None;
            }
            (Type::Part, _) => return Some(Value::Word(path.text())),
            (Type::Features, _) => return self.encoder(path).map(Value::Features),
            (Type::Labels, Some("declared")) => return Some(Value::Labels(Labels::Declared)),
            (Type::Labels, Some(column)) if !is_value => {
                return Some(Value::Labels(Labels::Column(column.to_owned())));
            }
            (Type::Seed | Type::Side, word) if !is_value => {
                let only = if *want.ty == Type::Seed { "seed" } else { "input" };
                if word == Some(only) {
                    return Some(Value::Word(only.to_owned()));
                }
                let text = path.text();
                let message = format!("`{}` cannot be `{text}`", want.name);
                let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
                self.out.push(diagnostic.expected(path.span, &text, [only]));
                return None;
            }
            (Type::Weights, _) if !is_value => {
                self.no_weights(path, want);
                return None;
            }
            (Type::Bool, _) => return self.truth_of(path).map(Value::Bool),
            _ => {}
        }
        self.named(path, &noun(want.ty), |eval, expr| eval.value(expr, &[], want))
    }

    fn truth_of(&mut self, path: &Path) -> Option<bool> {
        self.named(path, TRUTH, |eval, expr| eval.truth(expr))
    }

    /// The component of `kind` that an expression stands for.
    pub fn called(
        &mut self,
        expr: &Expr,
        patches: &[&Patch],
        kind: Kind,
        want: Want,
    ) -> Option<Called> {
        match &expr.kind {
            ExprKind::Paren(inner) => self.called(inner, patches, kind, want),
            ExprKind::If { test, then, otherwise } => {
                let chosen = if self.truth(test)? { then } else { otherwise };
                self.nested(expr.span, |eval| eval.called(chosen, patches, kind, want))
            }
            ExprKind::Path(path) if self.is_value(path) => {
                self.named(path, kind.name(), |eval, expr| eval.called(expr, patches, kind, want))
            }
            ExprKind::Path(path) => self.component(kind, path, &[], expr.span, patches),
            ExprKind::Call(call) => {
                self.component(kind, &call.path, &call.args, expr.span, patches)
            }
            _ => {
                let message = format!("`{}` takes {}", want.name, with_article(kind.name()));
                let diagnostic = Diagnostic::new(&codes::WRONG_TYPE, message)
                    .at(expr.span, format!("this is {}", kind_of(expr)));
                let example = self.catalog.of(kind).next().map_or("name", |spec| spec.name);
                self.out.push(diagnostic.help(format!("for example `{example}(…)`")));
                None
            }
        }
    }
}

fn is_numeric(ty: &Type) -> bool {
    use Type::{Amount, Duration, Int, Real, Seed, Side};
    matches!(ty, Int { .. } | Real { .. } | Duration | Amount | Seed | Side)
}

/// `an encoder`, `a loss term`
pub(super) fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {noun}")
}
