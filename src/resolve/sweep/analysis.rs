//! What the analyses of a sweep can speak of: its axes, and the cells that were worked out.

use super::filter::Filter;
use super::level::literal;
use super::{Axis, Reader};
use crate::diag::Diagnostic;
use crate::resolve::Cell;
use crate::resolve::analysis::{self, Analyses, Dimension, Ground, LevelName};
use crate::syntax::{Expr, Statement};

impl Reader<'_> {
    /// The analyses among the statements of a sweep, checked against its cells.
    pub(super) fn analyses(
        &mut self,
        axes: &[Axis],
        statements: &[Statement],
        cells: &[Cell],
    ) -> Analyses {
        let passes = |levels: &[usize], test: &Expr, out: &mut Vec<Diagnostic>| {
            Filter { axes, levels, out, word: "a condition" }.truth(test)
        };
        let dimensions = axes.iter().enumerate().flat_map(|(at, axis)| axis.dimensions(at));
        let ground = Ground {
            program: self.program,
            catalog: self.catalog,
            dimensions: dimensions.collect(),
            cells,
            passes: &passes,
        };
        analysis::read(&ground, statements, self.out)
    }
}

impl Axis {
    /// Each name of the axis, whose number is `axis`.
    fn dimensions(&self, axis: usize) -> impl Iterator<Item = Dimension<'_>> {
        self.names.iter().zip(&self.paths).enumerate().map(move |(at, (name, path))| {
            let named =
                |it| LevelName { label: label(it, at), number: it.value(at).and_then(literal) };
            Dimension {
                name,
                path: path.as_deref(),
                axis,
                levels: self.levels.iter().map(named).collect(),
            }
        })
    }
}

fn label(level: &super::Level, at: usize) -> &str {
    &level.labels[at]
}
