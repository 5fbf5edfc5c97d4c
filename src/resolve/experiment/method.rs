//! What a training does beside the plain step: which images it draws, how a step is divided, how its
//! gradient is bounded, and which average of the weights is evaluated.

use super::super::draft::{Section, Slot, as_path};
use super::super::eval::{Eval, Want};
use super::super::{Average, Called, Method};
use crate::catalog::{Bound, Kind, ParamType, Positive, Type, Value};
use crate::diag::{Diagnostic, Span, Spanned, codes};
use crate::syntax::{Expr, ExprKind};

const REAL: Type =
    Type::Real { name: "between 0 and 1", min: f64::NEG_INFINITY, max: f64::INFINITY, open: false };

impl Eval<'_> {
    /// The fields of `train` that have no part in the plainest training; none when one is wrong.
    pub(super) fn method(&mut self, train: &Section) -> Option<Method> {
        let sampler = match train.get("sampler") {
            Some(slot) => self.call(slot, Kind::Sampler),
            None => self.plain_component(Kind::Sampler, "shuffled", train.span),
        };
        let clip = self.optional(train, "clip", |eval, slot| eval.clip(slot));
        let accumulate = self.optional(train, "accumulate", |eval, slot| eval.count(slot));
        let chunk = self.optional(train, "chunk", |eval, slot| eval.count(slot));
        let ema = self.optional(train, "ema", |eval, slot| eval.ema(slot));
        let swa = self.optional(train, "swa", |eval, slot| eval.swa(slot));
        let freeze = match train.get("freeze") {
            Some(slot) => self.freeze(&slot.expr),
            None => Some(Vec::new()),
        };
        let (accumulate, chunk, ema, swa) = (accumulate?, chunk?, ema?, swa?);
        self.one_of(&ema, &swa, "which average of the weights is evaluated");
        self.one_of(&accumulate, &chunk, "how a batch is divided");
        let (sampler, clip, average) = (sampler?, clip?, ema.or(swa));
        let is_half = self.is_half;
        Some(Method { sampler, clip, accumulate, chunk, average, freeze: freeze?, is_half })
    }

    /// The component `name` with its defaults, where none is declared.
    pub(super) fn plain_component(&self, kind: Kind, name: &str, span: Span) -> Option<Called> {
        let spec = self.catalog.find(kind, name)?;
        Some(Called { bound: Bound::defaults(spec), span, args: Vec::new() })
    }

    /// What `read` makes of a field that may be absent or `none`; none when it is wrong.
    fn optional<T>(
        &mut self,
        train: &Section,
        name: &str,
        read: impl FnOnce(&mut Self, &Slot) -> Option<Spanned<T>>,
    ) -> Option<Option<Spanned<T>>> {
        match train.get(name).filter(|slot| slot.expr.kind != ExprKind::None) {
            Some(slot) => read(self, slot).map(Some),
            None => Some(None),
        }
    }

    fn clip(&mut self, slot: &Slot) -> Option<Spanned<f64>> {
        match self.value(&slot.expr, &[], Want::new("clip", &Positive::TYPE))? {
            Value::Real(node) => Some(Spanned { node, span: slot.expr.span }),
            _ => None,
        }
    }

    fn ema(&mut self, slot: &Slot) -> Option<Spanned<Average>> {
        let span = slot.expr.span;
        match self.value(&slot.expr, &[], Want::new("ema", &REAL))? {
            Value::Real(decay) if decay > 0.0 && decay < 1.0 => {
                Some(Spanned { node: Average::Ema(decay), span })
            }
            _ => {
                self.out.push(
                    Diagnostic::new(&codes::OUT_OF_RANGE, "`ema` is out of range")
                        .at(span, "expected more than 0 and less than 1")
                        .help("it is the share of the average that a step keeps: `ema = 0.999`"),
                );
                None
            }
        }
    }

    fn swa(&mut self, slot: &Slot) -> Option<Spanned<Average>> {
        match self.value(&slot.expr, &[], Want::new("swa", &Type::Duration))? {
            Value::Duration(node) => {
                Some(Spanned { node: Average::Swa(node), span: slot.expr.span })
            }
            _ => None,
        }
    }

    /// The networks in `[encoder, projector]`.
    fn freeze(&mut self, expr: &Expr) -> Option<Vec<Spanned<String>>> {
        let named =
            |item: &Expr| as_path(item).map(|path| Spanned { node: path.text(), span: path.span });
        match &expr.kind {
            ExprKind::None => return Some(Vec::new()),
            ExprKind::Paren(inner) => return self.freeze(inner),
            ExprKind::If { test, then, otherwise } => {
                let chosen = if self.truth(test)? { then } else { otherwise };
                return self.freeze(chosen);
            }
            ExprKind::List(items) => {
                if let Some(all) = items.iter().map(named).collect() {
                    return Some(all);
                }
            }
            _ => {}
        }
        let diagnostic =
            Diagnostic::new(&codes::WRONG_TYPE, "`freeze` is a list of networks of the stage");
        let diagnostic = match named(expr) {
            Some(only) => {
                let list = format!("[{}]", only.node);
                diagnostic.at(expr.span, format!("write `{list}`")).fix(expr.span, list)
            }
            None => diagnostic.at(expr.span, "cannot be read as one"),
        };
        self.out.push(diagnostic.help("for example `freeze = [encoder]`"));
        None
    }

    /// Two fields that say one thing.
    fn one_of<A, B>(&mut self, a: &Option<Spanned<A>>, b: &Option<Spanned<B>>, what: &str) {
        let (Some(a), Some(b)) = (a, b) else { return };
        self.out.push(
            Diagnostic::new(&codes::DUPLICATE, format!("{what} is said twice"))
                .at(a.span, "one way")
                .at(b.span, "and another")
                .help("leave one of them out, or set it to `none`"),
        );
    }
}
