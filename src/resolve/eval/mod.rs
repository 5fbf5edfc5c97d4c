//! Expressions to values: what a name means depends on what is wanted where it stands.

mod accept;
mod bind;
mod component;
mod condition;
mod course;
mod labels;
mod loose;
mod measure;
mod quantity;
mod value;
mod weights;

pub(super) use measure::{MEASURES, WALLTIME};
pub(super) use quantity::{Quantity, compare, kind_of};

use std::collections::{BTreeMap, BTreeSet};

use super::import::Program;
use super::scope::{self, Meaning};
use crate::catalog::{Catalog, ParamSpec, Type};
use crate::diag::{Diagnostic, Span, codes};
use crate::syntax::{Expr, Path};

/// What is wanted at a place: a type, and whose it is.
#[derive(Clone, Copy)]
pub(super) struct Want<'a> {
    pub ty: &'a Type,
    /// The parameter or field.
    pub name: &'a str,
    pub docs: &'a str,
    /// What a share is of, where that is known: images of a split, steps of an epoch.
    pub whole: Option<usize>,
}

impl<'a> Want<'a> {
    /// A value of type `ty` for the field `name`.
    pub fn new(name: &'a str, ty: &'a Type) -> Self {
        Self { ty, name, docs: "", whole: None }
    }

    /// What a declared parameter accepts.
    pub fn param(param: &'a ParamSpec) -> Self {
        Self { ty: &param.ty, name: param.name, docs: param.docs, whole: None }
    }

    /// The same as a share of `whole`.
    pub fn of(self, whole: Option<usize>) -> Self {
        Self { whole, ..self }
    }

    /// The same parameter with an inner type of its own.
    fn inner(self, ty: &'a Type) -> Self {
        Self { ty, ..self }
    }

    /// The first sentence of the documentation, as advice; nothing without documentation.
    fn explain(self, diagnostic: Diagnostic) -> Diagnostic {
        match self.docs.lines().next().unwrap_or_default().trim() {
            "" => diagnostic,
            sentence => diagnostic.help(format!("`{}`: {sentence}", self.name)),
        }
    }
}

/// Overrides of parameters, by file and name.
pub(super) type Params = BTreeMap<(u16, String), Expr>;

/// No parameter is overridden.
pub(super) static NO_PARAMS: Params = Params::new();

/// Most expressions one experiment may need; a file that names itself over and over stops here.
const BUDGET: usize = 20_000;
/// Deepest nesting of expressions, names followed; recursion relies on it.
const DEEPEST: usize = 256;

/// The evaluation of one experiment's expressions.
pub(super) struct Eval<'a> {
    pub program: &'a Program,
    pub catalog: &'a Catalog,
    pub params: &'a Params,
    pub out: &'a mut Vec<Diagnostic>,
    /// The stages whose features can be read.
    pub stages: Vec<String>,
    /// What seems to be missing may stand where the file could not be read.
    pub is_damaged: bool,
    /// Whether the experiment asks for products in bf16.
    pub is_half: bool,
    /// The parameters that were asked for.
    pub used: BTreeSet<(u16, String)>,
    /// Names being worked out, to find definitions that go in circles.
    names: Vec<(u16, String)>,
    budget: usize,
    depth: usize,
}

impl<'a> Eval<'a> {
    pub fn new(
        program: &'a Program,
        catalog: &'a Catalog,
        params: &'a Params,
        out: &'a mut Vec<Diagnostic>,
    ) -> Self {
        let (stages, names) = (Vec::new(), Vec::new());
        Self {
            program,
            catalog,
            params,
            out,
            stages,
            is_damaged: false,
            is_half: false,
            used: BTreeSet::new(),
            names,
            budget: BUDGET,
            depth: 0,
        }
    }

    /// Reports something that is missing, unless it may stand in what could not be read.
    pub fn missing(&mut self, diagnostic: Diagnostic) {
        if !self.is_damaged {
            self.out.push(diagnostic);
        }
    }

    /// Does `work` one level deeper, as far as recursion and the budget allow.
    fn nested<T>(&mut self, span: Span, work: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.budget == 0 || self.depth >= DEEPEST {
            self.exhausted(span);
            self.budget = 0;
            return None;
        }
        self.budget -= 1;
        self.depth += 1;
        let found = work(self);
        self.depth -= 1;
        found
    }

    /// Reported once: every expression behind this one ends the same way.
    fn exhausted(&mut self, span: Span) {
        let message = "this experiment is too large to work out";
        if !self.out.iter().any(|it| it.message == message) {
            self.out.push(Diagnostic::new(&codes::CYCLE, message).at(span, "given up here"));
        }
    }

    /// Whether `path` names a value of the file.
    fn is_value(&self, path: &Path) -> bool {
        let found = scope::lookup(self.program, path.span.file, &path.parts);
        found.is_some_and(|(_, meaning)| meaning.is_value())
    }

    /// Does `work` on the expression that the name `path` stands for, where `wanted` is wanted.
    pub fn named<T>(
        &mut self,
        path: &Path,
        wanted: &str,
        work: impl FnOnce(&mut Self, &Expr) -> Option<T>,
    ) -> Option<T> {
        let Some((file, meaning)) = scope::lookup(self.program, path.span.file, &path.parts) else {
            self.unknown(path, wanted);
            return None;
        };
        let key = (file, path.parts[path.parts.len() - 1].node.clone());
        let expr: &'a Expr = match meaning {
            Meaning::Let(expr) | Meaning::Declaration(_, expr) => expr,
            Meaning::Param(param) => {
                self.used.insert(key.clone());
                self.params.get(&key).unwrap_or(&param.default)
            }
            Meaning::Block(block) => {
                let message = format!("`{}` is a block, not {wanted}", path.text());
                self.out.push(
                    Diagnostic::new(&codes::WRONG_TYPE, message)
                        .at(path.span, format!("expected {wanted}"))
                        .at(block.header, "declared here"),
                );
                return None;
            }
        };
        if self.names.contains(&key) {
            let message = format!("`{}` is defined by itself", key.1);
            self.out.push(
                Diagnostic::new(&codes::CYCLE, message)
                    .at(expr.span, "what it is defined as")
                    .at(path.span, "comes back here"),
            );
            return None;
        }
        self.names.push(key);
        let before = self.out.len();
        let found = self.nested(path.span, |eval| work(eval, expr));
        self.names.pop();
        self.mention(path, before);
        found
    }

    /// Says of what was found wrong since `before` that `path` brought it in.
    fn mention(&mut self, path: &Path, before: usize) {
        for diagnostic in self.out.iter_mut().skip(before) {
            if diagnostic.labels.len() == 1 {
                diagnostic.labels.push((path.span, "used here".to_owned()));
            }
        }
    }

    fn unknown(&mut self, path: &Path, wanted: &str) {
        if scope::is_lost(self.program, path) {
            return;
        }
        if let Some(diagnostic) = scope::unknown_alias(self.program, path) {
            return self.out.push(diagnostic);
        }
        let text = path.text();
        let is_number = |it: &Meaning| matches!(it, Meaning::Let(_) | Meaning::Param(_));
        let names = scope::visible(self.program, path.span.file, is_number);
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        if wanted == TRUTH {
            names.extend(["true", "false"]);
        }
        let message = format!("nothing here is called `{text}`");
        let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
        self.out.push(match names[..] {
            [] => diagnostic.at(path.span, format!("expected {wanted}")),
            _ => diagnostic.expected(path.span, &text, names),
        });
    }
}

/// What a condition wants.
const TRUTH: &str = "true or false";
