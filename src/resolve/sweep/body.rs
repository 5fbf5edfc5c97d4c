//! The statements of a sweep: what varies, what is the same in every cell, what is filtered.

use super::super::draft::{EXPERIMENT_BLOCKS, Section};
use super::{Axis, Change, Reader};
use crate::diag::{Diagnostic, Span, codes};
use crate::resolve::analysis::ANALYSES;
use crate::syntax::{Block, Expr, ExprKind, Field, Name, Statement};

/// Blocks that make axes.
const AXES: &[&str] = &["grid", "zip", "choose", "toggle"];

/// The parts of a sweep's body.
#[derive(Default)]
pub(super) struct Parts {
    /// What every cell changes.
    pub common: Vec<Change>,
    pub axes: Vec<Axis>,
    pub filters: Vec<Expr>,
    pub seeds: Option<Field>,
    /// What is asked of the results.
    pub analyses: Vec<Statement>,
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
                Statement::Expect(_) | Statement::Claim { .. } => {
                    parts.analyses.push(statement.clone());
                }
                Statement::Unreadable(_) => {}
                other => {
                    let sweep = Name { node: "sweep".into(), span: Span::default() };
                    Section::over(other, &sweep, self.out);
                }
            }
        }
        parts
    }

    fn field(&mut self, field: &Field, parts: &mut Parts) {
        match field.path.single() {
            Some("seeds") => match &parts.seeds {
                Some(first) => self.out.push(
                    Diagnostic::new(&codes::DUPLICATE, "`seeds` is set twice")
                        .at(field.path.span, "a second time")
                        .at(first.path.span, "first here"),
                ),
                None => parts.seeds = Some(field.clone()),
            },
            Some("design") => self.factorial(field),
            _ => parts.common.push(Change::Set(field.clone())),
        }
    }

    fn factorial(&mut self, field: &Field) {
        let is_full = matches!(
            &field.value.kind,
            ExprKind::Path(path) if path.single() == Some("factorial")
        );
        if !is_full {
            let message = "only `design = factorial` is run by this version";
            self.out.push(
                Diagnostic::new(&codes::NOT_YET, message)
                    .at(field.value.span, "every combination runs all the same"),
            );
        }
    }

    fn block(&mut self, block: &Block, parts: &mut Parts) {
        match block.kind.node.as_str() {
            "grid" => parts.axes.extend(self.grid(block)),
            "zip" => parts.axes.extend(self.zip(block)),
            "choose" => parts.axes.extend(self.choose(block)),
            "toggle" => parts.axes.extend(self.toggle(block)),
            kind if ANALYSES.contains(&kind) => {
                parts.analyses.push(Statement::Block(block.clone()));
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
