//! The analyses a sweep declares: tables, figures, comparisons, expectations and claims, checked
//! against its axes and against what its evaluations measure.

mod compare;
mod data;
mod expect;
mod fields;
mod figure;
mod metric;
mod notice;
mod show;
mod table;

pub use data::*;
pub(super) use metric::SPLITS;

use super::Cell;
use super::eval::{Eval, NO_PARAMS};
use super::import::Program;
use crate::catalog::{Catalog, Spec};
use crate::diag::{Diagnostic, Span, codes, has_errors};
use crate::syntax::{Block, Name, Statement};

/// Blocks that analyse results.
pub(super) const ANALYSES: &[&str] = &["table", "figure", "compare"];

/// The analyses of a design, with the places that later checks point at.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Analyses {
    pub tables: Vec<Table>,
    pub figures: Vec<Figure>,
    pub comparisons: Vec<(Comparison, Places)>,
    pub expectations: Vec<Expectation>,
    pub claims: Vec<Claim>,
    /// Every metric that is asked for, with its place.
    pub metrics: Vec<(Metric, Span)>,
}

/// Where the parts of a comparison stand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Places {
    pub baseline: Span,
    /// The test, or the block where none is written.
    pub test: Span,
}

/// One name of an axis.
pub(super) struct Dimension<'a> {
    pub name: &'a Name,
    /// What it sets, where it is a path.
    pub path: Option<&'a str>,
    /// The number of its axis.
    pub axis: usize,
    pub levels: Vec<LevelName<'a>>,
}

/// A level as it can be named.
pub(super) struct LevelName<'a> {
    pub label: &'a str,
    pub number: Option<f64>,
}

/// Whether the cell of these levels passes a condition; none when that cannot be said, which was
/// reported.
pub(super) type Passes<'a> =
    &'a dyn Fn(&[usize], &crate::syntax::Expr, &mut Vec<Diagnostic>) -> Option<bool>;

/// What a sweep's analyses can speak of.
pub(super) struct Ground<'a> {
    pub program: &'a Program,
    pub catalog: &'a Catalog,
    pub dimensions: Vec<Dimension<'a>>,
    pub cells: &'a [Cell],
    pub passes: Passes<'a>,
}

/// What a cell's evaluation is called, and what it is.
struct Measure<'a> {
    entry: &'a str,
    spec: &'static Spec,
}

/// The reading of a sweep's analyses.
struct Analyst<'a> {
    ground: &'a Ground<'a>,
    /// The evaluations of all cells, each once.
    measures: Vec<Measure<'a>>,
    found: Analyses,
    out: &'a mut Vec<Diagnostic>,
}

/// Reads the analyses among the statements of a sweep.
pub(super) fn read(
    ground: &Ground,
    statements: &[Statement],
    out: &mut Vec<Diagnostic>,
) -> Analyses {
    let (before, measures) = (out.len(), measures(ground.cells));
    let mut analyst = Analyst { ground, measures, found: Analyses::default(), out };
    analyst.names(statements);
    // A table may mark what a comparison finds, wherever that stands.
    let is_comparison = |it: &&Statement| matches!(it, Statement::Block(it) if is_compare(it));
    for statement in statements.iter().filter(is_comparison) {
        analyst.statement(statement, statements);
    }
    for statement in statements.iter().filter(|it| !is_comparison(it)) {
        analyst.statement(statement, statements);
    }
    let found = analyst.found;
    // What has to be mended first may not be what is not computed then.
    if !has_errors(&out[before..]) {
        out.extend(notice::not_computed(statements));
    }
    found
}

fn is_compare(block: &Block) -> bool {
    block.kind.node == "compare"
}

fn measures(cells: &[Cell]) -> Vec<Measure<'_>> {
    let mut all: Vec<Measure> = Vec::new();
    for entry in cells.iter().flat_map(|cell| &cell.experiment.evaluations) {
        let (name, spec) = (entry.name.node.as_str(), entry.call.bound.spec);
        if !all.iter().any(|it| it.entry == name && it.spec == spec) {
            all.push(Measure { entry: name, spec });
        }
    }
    all
}

impl Analyst<'_> {
    fn statement(&mut self, statement: &Statement, all: &[Statement]) {
        match statement {
            Statement::Expect(test) => {
                let expectation = self.expectation(test);
                self.found.expectations.extend(expectation);
            }
            Statement::Claim { text, value } => {
                let claim = self.claim(text, value);
                self.found.claims.extend(claim);
            }
            Statement::Block(block) => self.block(block, all),
            _ => {}
        }
    }

    fn block(&mut self, block: &Block, all: &[Statement]) {
        match block.kind.node.as_str() {
            "table" => {
                let table = self.table(block, all);
                self.found.tables.extend(table);
            }
            "figure" => {
                let figure = self.figure(block);
                self.found.figures.extend(figure);
            }
            _ => {
                let comparison = self.comparison(block);
                self.found.comparisons.extend(comparison);
            }
        }
    }

    /// Tables and figures become files, so no two of a kind share a name.
    fn names(&mut self, statements: &[Statement]) {
        let mut seen: Vec<(&str, &Name)> = Vec::new();
        for statement in statements {
            let Statement::Block(Block { kind, label: Some(name), .. }) = statement else {
                continue;
            };
            let kind = kind.node.as_str();
            match seen.iter().find(|(of, it)| *of == kind && it.node == name.node) {
                Some((_, first)) => self.out.push(
                    Diagnostic::new(
                        &codes::DUPLICATE,
                        format!("the {kind} `{}` is declared twice", name.node),
                    )
                    .at(name.span, "a second time")
                    .at(first.span, "first here"),
                ),
                None => seen.push((kind, name)),
            }
        }
    }

    /// What evaluates the numbers of analyses.
    fn eval(&mut self) -> Eval<'_> {
        Eval::new(self.ground.program, self.ground.catalog, &NO_PARAMS, self.out)
    }
}
