//! The cells of a sweep before anything is evaluated, for those who ask where a value comes from.

use super::super::draft::Section;
use super::super::draft::as_path;
use super::super::eval::Params;
use super::super::import::Program;
use super::super::inherit::inherit;
use super::super::scope::{self, Meaning};
use super::super::{Axis, Design, Options};
use super::body::Parts;
use super::union::joined_levels;
use super::{Change, Reader, design_of};
use crate::catalog::Catalog;
use crate::diag::Span;
use crate::syntax::{Block, Expr, ExprKind, Field, Path, Statement};

/// A design as layers of text.
pub(in crate::resolve) struct Drafted<'a> {
    pub program: &'a Program,
    pub catalog: &'a Catalog,
    options: &'a Options,
    draft: Section,
    parts: Parts,
    /// The axes of its cells.
    axes: Vec<Axis>,
    /// The sweeps that a union joins, each with its design.
    members: Vec<(Design, Drafted<'a>)>,
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
        Self::of_block(program, catalog, options, declared(program, &design.name.node)?, design)
    }

    fn of_block(
        program: &'a Program,
        catalog: &'a Catalog,
        options: &'a Options,
        block: &Block,
        design: &Design,
    ) -> Option<Self> {
        let name = block.label.as_ref()?;
        let is_sweep = block.kind.node == "sweep";
        let own = Path { span: name.span, parts: vec![name.clone()] };
        let of = if is_sweep { block.of.as_ref()? } else { &own };
        let mut out = Vec::new();
        let draft = inherit(program, of, "experiment", &mut out)?;
        let mut reader = Reader { program, catalog, out: &mut out };
        let parts = if is_sweep { reader.body(&block.body) } else { Parts::default() };
        let axes = design.axes.clone();
        let members = Vec::new();
        let mut drafted = Self { program, catalog, options, draft, parts, axes, members };
        drafted.members = drafted.joined();
        Some(drafted)
    }

    /// The sweeps that this one joins, if it is a union.
    fn joined(&self) -> Vec<(Design, Self)> {
        let Self { program, catalog, options, .. } = *self;
        let all = Options { levels: Vec::new(), ..options.clone() };
        let Some(ExprKind::List(items)) = self.parts.union.as_ref().map(|it| &it.value.kind) else {
            return Vec::new();
        };
        let member = |path: &Path| {
            let block = scope::block(program, path, "sweep").ok()?;
            let design = design_of(program, catalog, &all, block, &[], &mut Vec::new())?;
            let drafted = Self::of_block(program, catalog, options, block, &design)?;
            Some((design, drafted))
        };
        items.iter().filter_map(as_path).filter_map(member).collect()
    }

    /// The sweep that the cell with these levels comes from, and its levels there: of a union, the
    /// first one that has it.
    pub fn home(&self, levels: &[usize]) -> Option<(&Self, Vec<usize>)> {
        if self.parts.union.is_none() {
            return Some((self, levels.to_vec()));
        }
        self.members.iter().find_map(|(design, member)| {
            let is_it = |own: &[usize]| joined_levels(&self.axes, &design.axes, own) == levels;
            let cell = design.cells.iter().find(|cell| is_it(&cell.levels))?;
            member.home(&cell.levels)
        })
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
