//! An experiment as layers of text: fields and sections that inherit from each other and can be
//! overridden by path, before anything is evaluated.

mod layer;
mod path;
mod read;
mod shared;

pub(super) use read::{EXPERIMENT_BLOCKS, SEED};
pub(super) use shared::Shared;

use crate::diag::{Diagnostic, Span, codes};
use crate::syntax::{Expr, ExprKind, Name, Path};

/// A block's fields and sections, in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Section {
    pub kind: String,
    pub name: Name,
    pub fields: Shared<Slot>,
    pub sections: Shared<Section>,
    /// Overrides written inside the block that are still to be applied.
    overrides: Vec<Patch>,
    /// Part of it could not be read, so what seems to be missing may be there.
    is_damaged: bool,
    /// Fields that misnamed ones stand for, so that they are not missing.
    meant: Vec<&'static str>,
    /// Where it is written.
    pub span: Span,
}

/// A field's expression, and what overrides reach inside it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slot {
    pub name: Name,
    pub expr: Expr,
    pub patches: Vec<Patch>,
    /// What was written here before and replaced, in order; an empty path is the whole.
    pub past: Vec<Patch>,
}

/// An override of something inside an expression: an argument of a call, a term's weight.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Patch {
    pub path: Vec<Name>,
    pub value: Expr,
}

impl Section {
    fn empty(kind: &str, name: Name, span: Span) -> Self {
        let kind = kind.to_owned();
        let (fields, sections, overrides) = (Shared::default(), Shared::default(), Vec::new());
        let (is_damaged, meant) = (false, Vec::new());
        Self { kind, name, fields, sections, overrides, is_damaged, meant, span }
    }

    /// The same under another name.
    pub fn renamed(&self, name: &str) -> Self {
        let name = Name { node: name.to_owned(), span: self.name.span };
        Self { name, ..self.clone() }
    }

    /// The field called `name`.
    pub fn get(&self, name: &str) -> Option<&Slot> {
        self.fields.iter().find(|slot| slot.name.node == name)
    }

    fn get_mut(&mut self, name: &str) -> Option<&mut Slot> {
        self.fields.iter_mut().find(|slot| slot.name.node == name)
    }

    /// The section of `kind`.
    pub fn section(&self, kind: &str) -> Option<&Self> {
        self.sections.iter().find(|section| section.kind == kind)
    }

    /// Whether there is a field or a section called `name`.
    fn has(&self, name: &str) -> bool {
        self.get(name).is_some() || self.section(name).is_some()
    }

    /// The stages, in order.
    pub fn stages(&self) -> impl Iterator<Item = &Self> {
        self.sections.iter().filter(|section| section.kind == "stage")
    }

    /// Whether a field of another name stands for the one called `name`.
    pub fn means(&self, name: &str) -> bool {
        self.meant.contains(&name)
    }

    /// Whether part of it, or of a block in it, could not be read.
    pub fn is_damaged(&self) -> bool {
        self.is_damaged || self.sections.iter().any(Self::is_damaged)
    }

    /// Whether what the stages of both take from them is the same.
    pub fn trains_like(&self, other: &Self) -> bool {
        let is_shared = |it: &&Self| !matches!(it.kind.as_str(), "stage" | "eval" | "run" | "seed");
        let shared = |it: &Self| {
            it.sections.iter().filter(is_shared).eq(other.sections.iter().filter(is_shared))
        };
        self.fields == other.fields && self.is_damaged == other.is_damaged && shared(self)
    }

    /// Every path that laying this over an experiment sets.
    pub fn paths(&self) -> Vec<Path> {
        let own = self.fields.iter().map(|slot| vec![slot.name.clone()]);
        let patched = self.overrides.iter().map(|patch| patch.path.clone());
        let mut paths: Vec<Vec<Name>> = own.chain(patched).collect();
        for section in &self.sections {
            let name = Name {
                node: if section.kind == "stage" { &section.name.node } else { &section.kind }
                    .clone(),
                span: section.name.span,
            };
            let inside = section.paths().into_iter();
            paths.extend(inside.map(|path| [vec![name.clone()], path.parts].concat()));
        }
        // A line of `eval` is known by its own name.
        let strip = |mut parts: Vec<Name>| {
            if parts.len() > 1 && parts[0].node == "eval" {
                parts.remove(0);
            }
            Path { span: parts[parts.len() - 1].span, parts }
        };
        paths.into_iter().map(strip).collect()
    }

    fn is(&self, kind: &str, name: &str) -> bool {
        self.kind == kind && (kind != "stage" || self.name.node == name)
    }
}

impl Slot {
    /// A field as it is first written.
    pub fn new(name: &Name, expr: &Expr) -> Self {
        let (name, expr) = (name.clone(), expr.clone());
        Self { name, expr, patches: Vec::new(), past: Vec::new() }
    }

    /// Sets the whole to `expr`; what reached inside it before is lost.
    pub fn replace(&mut self, expr: &Expr, out: &mut Vec<Diagnostic>) {
        self.past.push(Patch { path: Vec::new(), value: self.expr.clone() });
        for patch in &self.patches {
            let lost = &patch.path[patch.path.len() - 1];
            let message = format!("this override of `{}` is lost", lost.node);
            out.push(
                Diagnostic::new(&codes::OVERRIDE_LOST, message)
                    .at(lost.span, "set here")
                    .at(expr.span, format!("`{}` is replaced as a whole here", self.name.node))
                    .help("write the argument in the new call"),
            );
        }
        self.past.append(&mut self.patches);
        self.expr = expr.clone();
    }

    /// Overrides what `path` names inside it.
    pub fn patch(&mut self, path: &[Name], value: &Expr) {
        let replaced = self.patches.extract_if(.., |patch| is_inside(&patch.path, path));
        self.past.extend(replaced);
        self.patches.push(Patch { path: path.to_vec(), value: value.clone() });
    }
}

/// Whether what `inner` names lies in what `outer` names, or is it.
fn is_inside(inner: &[Name], outer: &[Name]) -> bool {
    inner.len() >= outer.len() && inner.iter().zip(outer).all(|(a, b)| a.node == b.node)
}

/// A path that stands for a whole value, as in `augment = lib.simclr`.
pub(super) fn as_path(expr: &Expr) -> Option<&Path> {
    match &expr.kind {
        ExprKind::Path(path) => Some(path),
        ExprKind::Paren(inner) => as_path(inner),
        _ => None,
    }
}
