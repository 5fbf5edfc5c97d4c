//! Searches: what is tried, how, and by which measure one of it is picked. They are checked whole,
//! and not run yet.

mod method;
mod objective;
mod space;

use std::fmt;

use self::space::Dimension;
use super::experiment::Memo;
use super::import::Program;
use super::inherit::inherit;
use super::sweep::Reader;
use super::{Experiment, Options};
use crate::catalog::Catalog;
use crate::diag::{Diagnostic, Span, codes, has_errors, plural};
use crate::syntax::{Block, Expr, Field, Statement};

const FIELDS: &[&str] = &["maximize", "minimize", "method", "seeds"];

/// A search as it would be run.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    pub name: String,
    /// What is varied: the name, and the values as they are written.
    pub space: Vec<(String, String)>,
    /// How points are chosen, as it is written.
    pub method: String,
    pub trials: usize,
    pub seeds: Vec<u64>,
    /// `maximize val.probe.accuracy`
    pub objective: String,
}

impl Search {
    /// `64 trials × 3 seeds`
    pub fn size(&self) -> String {
        format!("{} × {}", plural(self.trials, "trial"), plural(self.seeds.len(), "seed"))
    }
}

impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "{}  {}, a search", self.name, self.size())?;
        writeln!(f, "  {}", self.objective)?;
        writeln!(f, "  by {}", self.method)?;
        for (path, values) in &self.space {
            writeln!(f, "  over {path} = {values}")?;
        }
        Ok(())
    }
}

/// The searches of the file that is asked for, and everything wrong with them.
pub fn searches(
    program: &Program,
    catalog: &Catalog,
    options: &Options,
) -> (Vec<Search>, Vec<Diagnostic>) {
    let mut out = Vec::new();
    let statements = program.root().map_or(&[][..], |root| &root.tree.statements);
    let is_asked = |block: &&Block| {
        let name = block.label.as_ref().map(|label| &label.node);
        block.kind.node == "search" && (options.only.is_none() || options.only.as_ref() == name)
    };
    let blocks = statements.iter().filter_map(|statement| match statement {
        Statement::Block(block) => Some(block),
        _ => None,
    });
    let read = |block| search(&mut Reader { program, catalog, out: &mut out }, block, options);
    let searches: Vec<Search> = blocks.filter(is_asked).filter_map(read).collect();
    let is_named = |it: &Search| options.only.as_ref() == Some(&it.name);
    if let Some(search) = searches.iter().find(|it| is_named(it)) {
        out.extend(options.levels.iter().map(|kept| {
            let message = format!("`{}` is a search, of which `--only` keeps nothing", search.name);
            Diagnostic::new(&codes::UNKNOWN_NAME, message)
                .at(kept.axis.span, "only a sweep has axes")
        }));
    }
    (searches, out)
}

fn search(reader: &mut Reader, block: &Block, options: &Options) -> Option<Search> {
    let (name, of) = (block.label.as_ref()?, block.of.as_ref()?);
    let before = reader.out.len();
    let draft = inherit(reader.program, of, "experiment", reader.out)?;
    let parts = Parts::read(block, reader.out);
    let base = reader.experiment(draft.clone(), options);
    let space = match &parts.space {
        Some(space) => reader.space(space, &draft, options),
        None => reader.lacks(block, "what it varies", "space { train.batch = [64, 128] }"),
    };
    let space = space.unwrap_or_default();
    reader.conditions(&space, &parts.filters);
    let objective = reader.objective(block, &parts, base.as_ref());
    let method = match &parts.method {
        Some(field) => reader.method(field, &space),
        None => reader.lacks(block, "how it looks", "method = random(trials=32)"),
    };
    let seeds = match options.seeds.as_ref().or(parts.seeds.as_ref()) {
        Some(field) => reader.seeds(field).map(|seeds| seeds.node),
        None => Some(vec![0]),
    };
    if has_errors(&reader.out[before..]) {
        return None;
    }
    let (method, trials) = method?;
    reader.out.push(
        Diagnostic::new(&codes::NOT_YET, "`search` is read but not run by this version")
            .at(block.header, "use `sweep`, which reports every cell"),
    );
    let (name, space) = (name.node.clone(), space.iter().map(Dimension::shown).collect());
    Some(Search { name, space, method, trials, seeds: seeds?, objective: objective? })
}

/// The parts of a search's body.
#[derive(Default)]
struct Parts {
    maximize: Option<Field>,
    minimize: Option<Field>,
    method: Option<Field>,
    seeds: Option<Field>,
    space: Option<Block>,
    filters: Vec<Expr>,
}

impl Parts {
    fn read(block: &Block, out: &mut Vec<Diagnostic>) -> Self {
        let mut parts = Self::default();
        for statement in &block.body {
            match statement {
                Statement::Where(test) => parts.filters.push(test.clone()),
                Statement::Field(field) => parts.field(field, out),
                Statement::Block(block) => parts.block(block, out),
                Statement::Unreadable(_) => {}
                _ => out.push(
                    Diagnostic::new(&codes::UNKNOWN_BLOCK, "this cannot stand in a search")
                        .at(block.header, "in this search")
                        .help("it holds `space`, `where` and fields"),
                ),
            }
        }
        parts
    }

    fn field(&mut self, field: &Field, out: &mut Vec<Diagnostic>) {
        let name = field.path.text();
        let slot = match name.as_str() {
            "maximize" => &mut self.maximize,
            "minimize" => &mut self.minimize,
            "method" => &mut self.method,
            "seeds" => &mut self.seeds,
            _ => return out.push(no_field(field, &name)),
        };
        match slot {
            Some(first) => out.push(twice(&name, field.path.span, first.path.span)),
            None => *slot = Some(field.clone()),
        }
    }

    fn block(&mut self, block: &Block, out: &mut Vec<Diagnostic>) {
        let kind = block.kind.node.as_str();
        if kind != "space" {
            let diagnostic =
                Diagnostic::new(&codes::UNKNOWN_BLOCK, format!("a search has no block `{kind}`"));
            let names = ["space"].into_iter().chain(FIELDS.iter().copied());
            return out.push(diagnostic.expected(block.kind.span, kind, names));
        }
        match &self.space {
            Some(first) => out.push(twice("space", block.header, first.header)),
            None => self.space = Some(block.clone()),
        }
    }
}

impl Reader<'_> {
    /// Says that `search` does not say `what`.
    fn lacks<T>(&mut self, search: &Block, what: &str, example: &str) -> Option<T> {
        let name = search.label.as_ref().map_or("", |label| &label.node);
        self.out.push(
            Diagnostic::new(&codes::MISSING, format!("the search `{name}` does not say {what}"))
                .at(search.header, format!("add `{example}`")),
        );
        None
    }

    /// The experiment as it is without a point of the space.
    fn experiment(
        &mut self,
        draft: super::draft::Section,
        options: &Options,
    ) -> Option<Experiment> {
        let set: Vec<&Field> = options.set.iter().collect();
        self.cell(draft, &Default::default(), &[], &set, &mut Memo::default())
    }
}

fn no_field(field: &Field, name: &str) -> Diagnostic {
    let message = format!("a search has no field `{name}`");
    let diagnostic = Diagnostic::new(&codes::UNKNOWN_BLOCK, message);
    match field.path.single() {
        Some(_) => {
            let names = FIELDS.iter().copied().chain(["space"]);
            diagnostic.expected(field.path.span, name, names)
        }
        None => diagnostic
            .at(field.path.span, "what is varied stands in `space`")
            .help("what is the same in every trial belongs into the experiment"),
    }
}

fn twice(name: &str, second: Span, first: Span) -> Diagnostic {
    Diagnostic::new(&codes::DUPLICATE, format!("`{name}` is given twice"))
        .at(second, "a second time")
        .at(first, "first here")
}
