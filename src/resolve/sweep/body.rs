//! The statements of a sweep: what varies, what is the same in every cell, what is filtered.

use super::super::Control;
use super::super::draft::{EXPERIMENT_BLOCKS, Section};
use super::layout::Scheme;
use super::{Axis, Change, Reader};
use crate::diag::{Diagnostic, Span, Spanned, codes};
use crate::resolve::analysis::ANALYSES;
use crate::syntax::{Block, Expr, Field, Name, Path, Statement};

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
    /// What is asked of the results.
    pub analyses: Vec<Statement>,
    design: Option<Field>,
    /// How the axes are combined, where not every combination runs.
    pub scheme: Option<Spanned<Scheme>>,
    /// The sweeps whose cells these are.
    pub union: Option<Field>,
    /// What asks for a control, and the level it became.
    pub control_field: Option<Field>,
    pub control: Option<Control>,
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
        self.add_control(&mut parts);
        parts
    }

    fn field(&mut self, field: &Field, parts: &mut Parts) {
        match field.path.single() {
            Some("seeds") => self.once(&mut parts.seeds, field),
            Some("union") => self.once(&mut parts.union, field),
            Some("control") => self.once(&mut parts.control_field, field),
            Some("design") => {
                self.once(&mut parts.design, field);
                if parts.scheme.is_none() {
                    parts.scheme = self.scheme(field);
                }
            }
            _ => self.change(&mut parts.common, Change::Set(field.clone())),
        }
    }

    fn once(&mut self, slot: &mut Option<Field>, field: &Field) {
        let Some(first) = slot else { return *slot = Some(field.clone()) };
        self.out.push(twice(&field.path, &first.path));
    }

    /// Adds a change to those that are made together, none of which may undo another.
    pub(super) fn change(&mut self, changes: &mut Vec<Change>, change: Change) {
        let before: Vec<Path> = changes.iter().flat_map(Change::paths).collect();
        for path in change.paths() {
            let first = before.iter().find(|it| it.text() == path.text());
            self.out.extend(first.map(|first| twice(&path, first)));
        }
        changes.push(change);
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
                self.change(&mut parts.common, Change::Lay(over));
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

fn twice(path: &Path, first: &Path) -> Diagnostic {
    Diagnostic::new(&codes::DUPLICATE, format!("`{}` is set twice", path.text()))
        .at(path.span, "a second time")
        .at(first.span, "first here")
}
