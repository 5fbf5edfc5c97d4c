//! Sweeps to cells: what is chosen to run, the axes, what is filtered, and the seeds.

mod analysis;
mod axis;
mod body;
mod cell;
mod control;
mod filter;
mod fraction;
mod layout;
mod level;
mod pick;
mod trace;
mod union;

pub(super) use trace::{Drafted, DraftedCell};

pub(super) use self::filter::near;
pub(super) use self::level::{level_label, literal};

pub use pick::{Kept, seeds_as_field};

pub(super) use self::body::Parts;
use super::draft::Section;
use super::eval::{Eval, NO_PARAMS};
use super::import::Program;
use super::inherit::inherit;
use super::{Design, Options};
use crate::catalog::Catalog;
use crate::diag::{Diagnostic, Span, Spanned, codes};
use crate::syntax::{Block, Expr, Field, Name, Path, Statement};

/// More runs than this are a slip.
const MOST_RUNS: usize = 100_000;

/// One dimension of a sweep; a `zip` has several names.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    names: Vec<Name>,
    /// What each name sets, where it is a path.
    paths: Vec<Option<String>>,
    pub levels: Vec<Level>,
    is_toggle: bool,
    span: Span,
}

#[derive(Debug, Clone)]
pub(super) struct Level {
    /// One for each name of the axis.
    labels: Vec<String>,
    /// One for each name, where it is a value.
    values: Vec<Option<Expr>>,
    changes: Vec<Change>,
}

/// One thing a level changes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    Set(Field),
    /// A block laid on top of the experiment's own.
    Lay(Section),
}

impl Change {
    /// Where it is written.
    fn span(&self) -> Span {
        match self {
            Self::Set(field) => field.path.span,
            Self::Lay(over) => over.span,
        }
    }
}

/// A sweep that is being read.
pub(super) struct Reader<'a> {
    pub program: &'a Program,
    pub catalog: &'a Catalog,
    pub out: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    /// What evaluates the values of axes and seeds, which no parameter's override reaches.
    pub(super) fn eval(&mut self) -> Eval<'_> {
        Eval::new(self.program, self.catalog, &NO_PARAMS, self.out)
    }
}

/// The blocks that `run` would run: every sweep of the file, or else every experiment.
pub(super) fn chosen<'a>(
    program: &'a Program,
    options: &Options,
    out: &mut Vec<Diagnostic>,
) -> Vec<&'a Block> {
    let blocks = |kind| blocks(program, kind);
    let (sweeps, experiments, searches) = (blocks("sweep"), blocks("experiment"), blocks("search"));
    if let Some(name) = &options.only {
        if searches.iter().any(|it| it.label.as_ref().is_some_and(|label| label.node == *name)) {
            return Vec::new();
        }
        let all: Vec<&Block> = sweeps.into_iter().chain(experiments).collect();
        return called(name, all, out);
    }
    if sweeps.is_empty() { experiments } else { sweeps }
}

/// The experiments that are not run because the file has sweeps; none where one design is asked
/// for by name.
pub(super) fn left_out<'a>(program: &'a Program, options: &Options) -> Vec<&'a Block> {
    match options.only.is_some() || blocks(program, "sweep").is_empty() {
        true => Vec::new(),
        false => blocks(program, "experiment"),
    }
}

/// Whether another block of the file extends `block`, or is of it.
pub(super) fn is_built_on(program: &Program, block: &Block) -> bool {
    let Some(label) = &block.label else { return false };
    let names =
        |path: &Option<Path>| path.as_ref().is_some_and(|path| path.single() == Some(&label.node));
    let all = ["sweep", "search", "experiment"].into_iter().flat_map(|it| blocks(program, it));
    all.into_iter().any(|it| names(&it.of) || names(&it.extends))
}

/// The named blocks of `kind` of the file that is asked for.
fn blocks<'a>(program: &'a Program, kind: &str) -> Vec<&'a Block> {
    let statements = program.root().into_iter().flat_map(|root| &root.tree.statements);
    let blocks = statements.filter_map(|statement| match statement {
        Statement::Block(block) if block.label.is_some() => Some(block),
        _ => None,
    });
    blocks.filter(|block| block.kind.node == kind).collect()
}

/// The blocks called `name`, of `all` that could be run.
fn called<'a>(name: &str, all: Vec<&'a Block>, out: &mut Vec<Diagnostic>) -> Vec<&'a Block> {
    let label = |block: &&'a Block| block.label.as_ref().map_or("", |label| &label.node);
    let found: Vec<&Block> = all.iter().copied().filter(|block| label(block) == name).collect();
    if found.is_empty() {
        let names: Vec<&str> = all.iter().map(label).collect();
        let message = format!("this file declares no sweep and no experiment `{name}`");
        let diagnostic = Diagnostic::new(&codes::EMPTY, message);
        out.push(match (crate::diag::closest(name, names.iter().copied()), &names[..]) {
            (Some(near), _) => diagnostic.help(format!("did you mean `{near}`?")),
            (None, []) => diagnostic,
            (None, names) => diagnostic.help(format!("it has {}", crate::diag::or_list(names))),
        });
    }
    found
}

/// What to say of a file in which there is nothing to run; nothing when it may mean to have it.
pub(super) fn nothing_to_run(program: &Program) -> Option<Diagnostic> {
    let root = program.root()?;
    let may_mean = |it: &Statement| match it {
        Statement::Block(block) => block.kind.node == "search",
        Statement::Unreadable(_) => true,
        _ => false,
    };
    let is_whole = root.imports.iter().all(|(_, file)| file.is_some());
    if !is_whole || root.tree.statements.iter().any(may_mean) {
        return None;
    }
    let message = match root.tree.statements.is_empty() {
        true => "this file is empty",
        false => "this file declares no experiment and no sweep",
    };
    Some(
        Diagnostic::new(&codes::EMPTY, message)
            .at(Span::new(root.file, 0, 0), "nothing to run")
            .help("write `experiment NAME { … }`; a file without one can only be imported"),
    )
}

/// The design of one sweep or experiment.
pub(super) fn design(
    program: &Program,
    catalog: &Catalog,
    options: &Options,
    block: &Block,
    out: &mut Vec<Diagnostic>,
) -> Option<Design> {
    design_of(program, catalog, options, block, &[], out)
}

/// The same, of a sweep that stands in the unions whose headers are `above`.
fn design_of(
    program: &Program,
    catalog: &Catalog,
    options: &Options,
    block: &Block,
    above: &[Span],
    out: &mut Vec<Diagnostic>,
) -> Option<Design> {
    let name = block.label.clone()?;
    let mut reader = Reader { program, catalog, out };
    let is_sweep = block.kind.node == "sweep";
    let own = Path { span: name.span, parts: vec![name.clone()] };
    let of = if is_sweep { block.of.as_ref()? } else { &own };
    let draft = inherit(program, of, "experiment", reader.out)?;
    let parts = if is_sweep { reader.body(&block.body) } else { Parts::default() };
    if let Some(union) = &parts.union {
        return reader.union(block, union, &parts, options, above);
    }
    let seeds = match options.seeds.as_ref().or(parts.seeds.as_ref()) {
        Some(field) => reader.seeds(field),
        None => None,
    };
    let seeds = seeds.unwrap_or(Spanned { node: vec![0], span: name.span });
    reader.check_axes(&parts.axes);
    reader.cells(draft, Spanned { node: parts, span: block.header }, name, seeds, options)
}
