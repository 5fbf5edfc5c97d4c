//! `union = [a, b]`: the cells of several sweeps of one experiment, in one table.

use std::collections::BTreeMap;

use super::super::draft::as_path;
use super::super::{Axis, Cell, Design, Options, scope};
use super::body::Parts;
use super::cell::nothing_left;
use super::layout::too_many;
use super::{Change, MOST_RUNS, Reader, design_of};
use crate::diag::{Diagnostic, Span, Spanned, codes, plural};
use crate::syntax::{Block, ExprKind, Field, Path};

/// The level of an axis that a sweep does not have.
const ABSENT: &str = "-";

impl Reader<'_> {
    /// The design of a sweep that joins others; `above` are the unions it stands in.
    pub(super) fn union(
        &mut self,
        block: &Block,
        field: &Field,
        parts: &Parts,
        options: &Options,
        above: &[Span],
    ) -> Option<Design> {
        let name = block.label.clone()?;
        let own_only = Options { levels: Vec::new(), ..options.clone() };
        let mut designs = Vec::new();
        let mut is_sound = self.is_bare(field, parts);
        for path in self.members(field)? {
            let member = self.member(block, path, &[above, &[block.header]].concat(), &own_only);
            is_sound &= member.is_some();
            designs.extend(member);
        }
        let seeds = match options.seeds.as_ref().or(parts.seeds.as_ref()) {
            Some(seeds) => self.seeds(seeds),
            None => self.common_seeds(field, &designs),
        };
        let joined = Joined::of(&designs);
        let cells = self.joined_cells(field, &designs, &joined).filter(|_| is_sound)?;
        let seeds = seeds?;
        if cells.len() * seeds.node.len() > MOST_RUNS {
            let factors = [plural(cells.len(), "cell"), plural(seeds.node.len(), "seed")];
            self.out.push(too_many(name.span, &factors));
            return None;
        }
        let axes: Vec<super::Axis> = joined.axes.iter().map(super::Axis::bare).collect();
        let picked = self.pick(&axes, &options.levels, &name);
        let mut cells = cells;
        cells.retain(|cell| picked.keeps(&cell.levels));
        if cells.is_empty() {
            let kept = options.levels.first().map_or(name.span, |kept| kept.level.span);
            self.out.push(nothing_left("`--only`", kept, &name));
        }
        let analyses = self.analyses_of(&axes, parts, &cells, options);
        let axes = joined.axes;
        Some(Design { name, axes, seeds, cells, is_union: true, control: None, analyses })
    }

    /// Whether nothing stands beside the union that would change its cells.
    fn is_bare(&mut self, field: &Field, parts: &Parts) -> bool {
        let axis = parts.axes.first().map(|axis| axis.span);
        let filter = parts.filters.first().map(|filter| filter.span);
        let scheme = parts.scheme.as_ref().map(|scheme| scheme.span);
        let change = parts.common.first().map(Change::span);
        let control = parts.control_field.as_ref().map(|field| field.path.span);
        let Some(other) = axis.or(filter).or(scheme).or(control).or(change) else { return true };
        self.out.push(
            Diagnostic::new(&codes::UNKNOWN_BLOCK, "a union takes its cells from its sweeps")
                .at(other, "this belongs into one of them")
                .at(field.path.span, "joined here"),
        );
        false
    }

    /// The names in `[a, b]`.
    fn members<'f>(&mut self, field: &'f Field) -> Option<Vec<&'f Path>> {
        let paths: Option<Vec<&Path>> = match &field.value.kind {
            ExprKind::List(items) if items.len() > 1 => items.iter().map(as_path).collect(),
            _ => None,
        };
        if paths.is_none() {
            self.out.push(
                Diagnostic::new(&codes::WRONG_TYPE, "`union` lists two sweeps or more")
                    .at(field.value.span, "for example `union = [first, second]`"),
            );
        }
        for (at, path) in paths.iter().flatten().enumerate() {
            let before = paths.iter().flatten().take(at);
            if let Some(first) = before.clone().find(|it| it.text() == path.text()) {
                self.out.push(
                    Diagnostic::new(
                        &codes::DUPLICATE,
                        format!("`{}` is joined twice", path.text()),
                    )
                    .at(path.span, "a second time")
                    .at(first.span, "first here"),
                );
            }
        }
        paths
    }

    fn member(
        &mut self,
        union: &Block,
        path: &Path,
        above: &[Span],
        options: &Options,
    ) -> Option<Design> {
        let member = match scope::block(self.program, path, "sweep") {
            Ok(member) => member,
            Err(diagnostic) => {
                self.out.extend(diagnostic);
                return None;
            }
        };
        if let Some(first) = above.iter().find(|span| **span == member.header) {
            let message = format!("the union `{}` contains itself", path.text());
            self.out.push(
                Diagnostic::new(&codes::CYCLE, message)
                    .at(path.span, "comes back here")
                    .at(*first, "begins here"),
            );
            return None;
        }
        let experiment = |block: &Block| {
            let found = scope::block(self.program, block.of.as_ref()?, "experiment");
            found.ok().map(|experiment| experiment.header)
        };
        if let (Some(own), Some(other)) = (experiment(union), experiment(member))
            && own != other
        {
            self.out.push(
                Diagnostic::new(&codes::AXIS_CLASH, "a union joins sweeps of one experiment")
                    .at(path.span, "a sweep of another one")
                    .at(other, "this one")
                    .at(own, "the union's"),
            );
            return None;
        }
        design_of(self.program, self.catalog, options, member, above, self.out)
    }

    /// The seeds of all sweeps, where they agree.
    fn common_seeds(&mut self, field: &Field, designs: &[Design]) -> Option<Spanned<Vec<u64>>> {
        let (first, rest) = designs.split_first()?;
        let Some(other) = rest.iter().find(|it| it.seeds.node != first.seeds.node) else {
            return Some(first.seeds.clone());
        };
        self.out.push(
            Diagnostic::new(&codes::MISSING, "the sweeps of this union have different seeds")
                .at(field.path.span, "add `seeds = …` beside it")
                .at(first.seeds.span, plural(first.seeds.node.len(), "seed"))
                .at(other.seeds.span, plural(other.seeds.node.len(), "seed")),
        );
        None
    }

    /// The cells of all sweeps over the joined axes; a cell that two of them have stands there once.
    fn joined_cells(
        &mut self,
        field: &Field,
        designs: &[Design],
        joined: &Joined,
    ) -> Option<Vec<Cell>> {
        let mut cells: Vec<Cell> = Vec::new();
        let mut seen: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        for design in designs {
            for cell in &design.cells {
                let levels = joined.levels(design, cell);
                let first = *seen.entry(levels.clone()).or_insert(cells.len());
                if first == cells.len() {
                    cells.push(Cell { levels, experiment: cell.experiment.clone() });
                } else if !cells[first].experiment.is_same(&cell.experiment) {
                    self.out.push(
                        Diagnostic::new(&codes::AXIS_CLASH, "two cells of this union look alike")
                            .at(
                                design.name.span,
                                "has a cell of the same labels that is another experiment",
                            )
                            .at(field.value.span, "joined here")
                            .help("give the levels other labels, or the axes other names"),
                    );
                    return None;
                }
            }
        }
        Some(cells)
    }
}

/// The axes of several designs, each once.
struct Joined {
    axes: Vec<Axis>,
}

impl Joined {
    fn of(designs: &[Design]) -> Self {
        let mut axes: Vec<Axis> = Vec::new();
        for axis in designs.iter().flat_map(|design| &design.axes) {
            match axes.iter_mut().find(|own| own.names == axis.names) {
                Some(own) => {
                    let new = axis.levels.iter().filter(|level| !own.levels.contains(level));
                    let new: Vec<_> = new.cloned().collect();
                    own.levels.extend(new);
                }
                None => axes.push(axis.clone()),
            }
        }
        for axis in &mut axes {
            let has = |design: &Design| design.axes.iter().any(|it| it.names == axis.names);
            if !designs.iter().all(has) {
                axis.levels.push(vec![ABSENT.to_owned(); axis.names.len()]);
            }
        }
        Self { axes }
    }

    /// The levels of a cell of `design` on the joined axes.
    fn levels(&self, design: &Design, cell: &Cell) -> Vec<usize> {
        joined_levels(&self.axes, &design.axes, &cell.levels)
    }
}

/// The levels on the axes `joined` of the cell with these `levels` on the axes `own` of its sweep.
pub(super) fn joined_levels(joined: &[Axis], own: &[Axis], levels: &[usize]) -> Vec<usize> {
    let level = |axis: &Axis| {
        let at = own.iter().position(|it| it.names == axis.names);
        let wanted = at.map(|at| &own[at].levels[levels[at]]);
        let found = axis.levels.iter().position(|level| Some(level) == wanted);
        // The level of an axis that is absent comes last.
        found.unwrap_or(axis.levels.len() - 1)
    };
    joined.iter().map(level).collect()
}
