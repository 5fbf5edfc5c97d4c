//! The statements of a sweep: what varies, what is the same in every cell, what is filtered.

use super::super::draft::{EXPERIMENT_BLOCKS, Section};
use super::layout::Scheme;
use super::{Axis, Change, Reader};
use crate::diag::{Diagnostic, Span, Spanned, codes};
use crate::syntax::{Block, Expr, Field, Name, Statement};

/// Blocks that analyse results.
const ANALYSES: &[&str] = &["table", "figure", "compare"];
/// Blocks that make axes.
const AXES: &[&str] = &["grid", "zip", "choose", "toggle"];

/// The parts of a sweep's body.
#[derive(Default)]
pub(in crate::resolve) struct Parts {
    /// What every cell changes.
    pub common: Vec<Change>,
    pub axes: Vec<Axis>,
    pub filters: Vec<Expr>,
    pub seeds: Option<Field>,
    design: Option<Field>,
    /// How the axes are combined, where not every combination runs.
    pub scheme: Option<Spanned<Scheme>>,
    /// The sweeps whose cells these are.
    pub union: Option<Field>,
    /// Where an analysis is declared that is not computed.
    analyses: Vec<(String, Span)>,
}

impl Parts {
    /// Of a sweep with one axis and nothing else.
    pub fn of(axis: Axis) -> Self {
        Self { axes: vec![axis], ..Self::default() }
    }
}

impl Reader<'_> {
    /// Reads the body of a sweep.
    pub(super) fn body(&mut self, body: &[Statement]) -> Parts {
        let mut parts = Parts::default();
        for statement in body {
            match statement {
                Statement::Block(block) => self.block(block, &mut parts),
                Statement::Where(test) => parts.filters.push(test.clone()),
                Statement::Field(field) => self.field(field, &mut parts),
                Statement::Expect(test) => parts.analyses.push(("expect".into(), test.span)),
                Statement::Claim { text, .. } => parts.analyses.push(("claim".into(), text.span)),
                Statement::Unreadable(_) => {}
                other => {
                    let sweep = Name { node: "sweep".into(), span: Span::default() };
                    Section::over(other, &sweep, self.out);
                }
            }
        }
        self.later(&parts.analyses);
        parts
    }

    /// Analyses are read, so that files for a later version check today.
    fn later(&mut self, analyses: &[(String, Span)]) {
        let mut kinds: Vec<&str> = analyses.iter().map(|(kind, _)| kind.as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        if kinds.is_empty() {
            return;
        }
        let list = kinds.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(", ");
        let message = format!("read, but not computed by this version: {list}");
        let mut diagnostic = Diagnostic::new(&codes::NOT_YET, message);
        for (at, (_, span)) in analyses.iter().enumerate() {
            let label = if at == 0 { "the table of means is printed all the same" } else { "" };
            diagnostic = diagnostic.at(*span, label);
        }
        self.out.push(diagnostic);
    }

    fn field(&mut self, field: &Field, parts: &mut Parts) {
        match field.path.single() {
            Some("seeds") => self.once(&mut parts.seeds, field),
            Some("union") => self.once(&mut parts.union, field),
            Some("design") => {
                self.once(&mut parts.design, field);
                if parts.scheme.is_none() {
                    parts.scheme = self.scheme(field);
                }
            }
            _ => parts.common.push(Change::Set(field.clone())),
        }
    }

    fn once(&mut self, slot: &mut Option<Field>, field: &Field) {
        let Some(first) = slot else { return *slot = Some(field.clone()) };
        self.out.push(
            Diagnostic::new(&codes::DUPLICATE, format!("`{}` is set twice", field.path.text()))
                .at(field.path.span, "a second time")
                .at(first.path.span, "first here"),
        );
    }

    fn block(&mut self, block: &Block, parts: &mut Parts) {
        match block.kind.node.as_str() {
            "grid" => parts.axes.extend(self.grid(block)),
            "zip" => parts.axes.extend(self.zip(block)),
            "choose" => parts.axes.extend(self.choose(block)),
            "toggle" => parts.axes.extend(self.toggle(block)),
            kind if ANALYSES.contains(&kind) => {
                parts.analyses.push((kind.to_owned(), block.header));
            }
            kind if EXPERIMENT_BLOCKS.contains(&kind) => {
                let over = Section::over(&Statement::Block(block.clone()), &block.kind, self.out);
                parts.common.push(Change::Lay(over));
            }
            kind => {
                let message = format!("a sweep has no block `{kind}`");
                let names = AXES.iter().chain(ANALYSES).chain(EXPERIMENT_BLOCKS).copied();
                let diagnostic = Diagnostic::new(&codes::UNKNOWN_BLOCK, message);
                self.out.push(diagnostic.expected(block.kind.span, kind, names));
            }
        }
    }
}
