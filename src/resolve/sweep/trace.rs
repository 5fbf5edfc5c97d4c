//! The cells of a sweep before anything is evaluated, for those who ask where a value comes from.

use super::super::draft::Section;
use super::super::eval::Params;
use super::super::import::Program;
use super::super::inherit::inherit;
use super::super::scope::{self, Meaning};
use super::super::{Design, Options};
use super::body::Parts;
use super::{Change, Reader};
use crate::catalog::Catalog;
use crate::diag::Span;
use crate::syntax::{Block, Expr, Field, Path, Statement};

/// A design as layers of text.
pub(in crate::resolve) struct Drafted<'a> {
    pub program: &'a Program,
    pub catalog: &'a Catalog,
    options: &'a Options,
    draft: Section,
    parts: Parts,
}

/// One cell as layers of text.
pub(in crate::resolve) struct DraftedCell {
    pub draft: Section,
    pub params: Params,
    /// What is written to each parameter, in order.
    pub writes: Vec<((u16, String), Expr)>,
}

impl<'a> Drafted<'a> {
    /// The layers of `design`, which `program` was resolved to.
    pub fn of(
        program: &'a Program,
        catalog: &'a Catalog,
        options: &'a Options,
        design: &Design,
    ) -> Option<Self> {
        let block = declared(program, &design.name.node)?;
        let name = block.label.as_ref()?;
        let is_sweep = block.kind.node == "sweep";
        let own = Path { span: name.span, parts: vec![name.clone()] };
        let of = if is_sweep { block.of.as_ref()? } else { &own };
        let mut out = Vec::new();
        let draft = inherit(program, of, "experiment", &mut out)?;
        let mut reader = Reader { program, catalog, out: &mut out };
        let parts = if is_sweep { reader.body(&block.body) } else { Parts::default() };
        Some(Self { program, catalog, options, draft, parts })
    }

    /// The cell with these levels.
    pub fn cell(&self, levels: &[usize]) -> DraftedCell {
        let mut out = Vec::new();
        let set: Vec<&Field> = self.options.set.iter().collect();
        let mut reader = Reader { program: self.program, catalog: self.catalog, out: &mut out };
        let (draft, params) = reader.layered(self.draft.clone(), &self.parts, levels, &set);
        DraftedCell { draft, params, writes: self.writes(levels) }
    }

    fn writes(&self, levels: &[usize]) -> Vec<((u16, String), Expr)> {
        let axes = self.parts.axes.iter().zip(levels);
        let own = axes.flat_map(|(axis, at)| &axis.levels[*at].changes);
        let changes = self.parts.common.iter().chain(own).filter_map(|change| match change {
            Change::Set(field) => Some(field),
            Change::Lay(_) => None,
        });
        let write = |field: &Field| {
            let path = &field.path;
            match scope::lookup(self.program, path.span.file, &path.parts)? {
                (file, Meaning::Param(param)) => {
                    Some(((file, param.name.node.clone()), field.value.clone()))
                }
                _ => None,
            }
        };
        changes.chain(&self.options.set).filter_map(write).collect()
    }

    /// The axis whose level writes the value at `span`, or whose block is one of `blocks`.
    pub fn axis_of(
        &self,
        span: Span,
        levels: &[usize],
        blocks: impl Iterator<Item = Span> + Clone,
    ) -> Option<AxisPlace> {
        let writes = |change: &Change| match change {
            Change::Set(field) => field.value.span == span,
            Change::Lay(_) => false,
        };
        let axes = self.parts.axes.iter().zip(levels).enumerate();
        let mut found = axes.filter(|(_, (axis, at))| {
            let mut changes = axis.levels[**at].changes.iter();
            changes.any(writes) || blocks.clone().any(|block| block == axis.span)
        });
        found.next().map(|(number, (axis, _))| AxisPlace {
            number,
            name: axis.label(),
            levels: axis.levels.len(),
        })
    }
}

/// An axis of a design, as a place to name.
pub(in crate::resolve) struct AxisPlace {
    pub number: usize,
    pub name: String,
    /// How many levels it has.
    pub levels: usize,
}

/// The sweep or experiment of the root file that is called `name`; of the two, the sweep.
fn declared<'a>(program: &'a Program, name: &str) -> Option<&'a Block> {
    let statements = program.root()?.tree.statements.iter();
    let blocks = statements.filter_map(|statement| match statement {
        Statement::Block(block) => Some(block),
        _ => None,
    });
    let is_named = |block: &&Block| block.label.as_ref().is_some_and(|label| label.node == name);
    let mut found: Vec<&Block> = blocks.filter(is_named).collect();
    found.sort_by_key(|block| block.kind.node != "sweep");
    found
        .first()
        .copied()
        .filter(|block| ["sweep", "experiment"].contains(&block.kind.node.as_str()))
}
