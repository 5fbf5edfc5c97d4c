//! Files of weights.

use std::path::Path as File;

use super::super::import::tidy;
use super::quantity::{noun, wrong_type};
use super::{Eval, Want};
use crate::catalog::{Value, WeightsFile};
use crate::diag::{Diagnostic, codes};
use crate::syntax::{Call, Expr, ExprKind, Path};

const HOW: &str = "a file that is here is named, `weights(\"FILE.safetensors\")`; none is fetched";

impl Eval<'_> {
    /// `weights("file.safetensors")`, seen from the folder of the file that says it.
    pub(super) fn weights(&mut self, call: &Call, expr: &Expr, want: Want) -> Option<Value> {
        let text = match &call.args[..] {
            [arg] if call.path.single() == Some("weights") && arg.name.is_none() => {
                match &arg.value.kind {
                    ExprKind::Text(text) => Some(text),
                    _ => None,
                }
            }
            _ => None,
        };
        let Some(text) = text else {
            self.out.push(wrong_type(expr, want).help(HOW));
            return None;
        };
        let module = self.program.module(expr.span.file);
        let folder = module.and_then(|module| module.path.parent()).unwrap_or(File::new(""));
        let path = tidy(&folder.join(text)).display().to_string();
        Some(Value::Weights(WeightsFile { written: text.clone(), path }))
    }

    /// A word where weights are wanted, as of a program that fetches them.
    pub(super) fn no_weights(&mut self, path: &Path, want: Want) {
        let message = format!("`{}` takes {}", want.name, noun(want.ty));
        let label = format!("no weights are called `{}`", path.text());
        let diagnostic = Diagnostic::new(&codes::WRONG_TYPE, message);
        self.out.push(diagnostic.at(path.span, label).help(HOW));
    }
}
