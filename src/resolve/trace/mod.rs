//! Where a value comes from: what determines it, which names that goes through, and what it
//! replaced, each with its place.

mod home;
mod names;
mod walk;

use self::home::{Home, elided, home, short};
use super::eval::Eval;
use super::import::Program;
use super::scope::{self, Meaning};
use super::sweep::{Drafted, DraftedCell};
use super::values::{Owner, Valued};
use super::{Cell, Design, Options};
use crate::catalog::Catalog;
use crate::diag::Span;
use crate::syntax::{Expr, Name, Path};

/// One step on the way to a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    pub role: Role,
    /// What is set: a parameter, a name, a field; empty for the value that was asked for.
    pub name: String,
    /// What it is set to.
    pub text: String,
    /// Where; none for a default that stands in no file.
    pub span: Option<Span>,
    /// Its statement, or the blocks it stands in.
    pub note: String,
}

/// What a step is to the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is the value, or the formula of it.
    Value,
    /// A name in the formula stands for it.
    Name,
    /// The component with the value in it was brought in by it.
    Through,
    /// It was the value, or the name's meaning, and was replaced.
    Replaced,
}

/// Answers where the values of one design come from.
pub struct Origins<'a> {
    drafted: Drafted<'a>,
}

impl<'a> Origins<'a> {
    /// The origins of the values of `design`, which `program` was resolved to.
    pub fn of(
        program: &'a Program,
        catalog: &'a Catalog,
        options: &'a Options,
        design: &Design,
    ) -> Option<Self> {
        Some(Self { drafted: Drafted::of(program, catalog, options, design)? })
    }

    /// Where `value`, one of the cell's experiment, comes from.
    pub fn value(&self, cell: &Cell, value: &Valued) -> Vec<Link> {
        self.trace(cell, |tracer| tracer.owned(value))
    }

    /// Where the parameter that is called `path` in the root file gets its value; none when no
    /// parameter is called so.
    pub fn param(&self, cell: &Cell, path: &str) -> Option<Vec<Link>> {
        let file = self.drafted.program.root()?.file;
        let name = |node: &str| Name { node: node.to_owned(), span: Span::new(file, 0, 0) };
        let parts: Vec<Name> = path.split('.').map(name).collect();
        let path = Path { parts, span: Span::new(file, 0, 0) };
        let links = self.trace(cell, |tracer| tracer.param(&path));
        (!links.is_empty()).then_some(links)
    }

    /// The parameters that the root file sees, under the names it has for them, with what they are
    /// in a cell.
    pub fn params(&self, cell: &Cell) -> Vec<(String, Valued)> {
        let program = self.drafted.program;
        let Some(root) = program.root() else { return Vec::new() };
        let is_param = |meaning: &Meaning| matches!(meaning, Meaning::Param(_));
        let names = scope::visible(program, root.file, is_param);
        let Some((design, levels)) = self.drafted.home(&cell.levels) else { return Vec::new() };
        let drafted = design.cell(&levels);
        let valued = |path: String| {
            let at = Span::new(root.file, 0, 0);
            let parts = path.split('.').map(|part| Name { node: part.to_owned(), span: at });
            let parts: Vec<Name> = parts.collect();
            let (file, meaning) = scope::lookup(program, root.file, &parts)?;
            let Meaning::Param(param) = meaning else { return None };
            let written = drafted.params.get(&(file, param.name.node.clone()));
            let expr = written.unwrap_or(&param.default);
            let (owner, rest) = (Owner::Parameter(path.clone()), Vec::new());
            let ty = param.ty.as_ref().map_or("any".to_owned(), ToString::to_string);
            Some((path, Valued { owner, rest, value: short(expr), ty, span: expr.span }))
        };
        names.into_iter().filter_map(valued).collect()
    }

    fn trace(&self, cell: &Cell, work: impl FnOnce(&mut Tracer)) -> Vec<Link> {
        let Some((design, levels)) = self.drafted.home(&cell.levels) else { return Vec::new() };
        let drafted = design.cell(&levels);
        let mut out = Vec::new();
        let eval = Eval::new(design.program, design.catalog, &drafted.params, &mut out);
        let levels = &levels[..];
        let (links, seen) = (Vec::new(), Vec::new());
        let mut tracer = Tracer { design, levels, cell: &drafted, eval, links, seen };
        work(&mut tracer);
        tracer.links
    }
}

/// The links of one value, as they are found.
struct Tracer<'a> {
    design: &'a Drafted<'a>,
    levels: &'a [usize],
    cell: &'a DraftedCell,
    eval: Eval<'a>,
    links: Vec<Link>,
    /// Names that were followed already.
    seen: Vec<(u16, String)>,
}

impl Tracer<'_> {
    fn link(&mut self, role: Role, name: &str, expr: &Expr) {
        let note = self.note(role, expr);
        self.push(role, name, short(expr), Some(expr.span), note);
    }

    fn push(&mut self, role: Role, name: &str, text: String, span: Option<Span>, note: String) {
        let is_known = |it: &Link| it.span == span && it.text == text && it.name == name;
        if role != Role::Replaced || !self.links.iter().any(is_known) {
            self.links.push(Link { role, name: name.to_owned(), text, span, note });
        }
    }

    /// The statement around a part of one; the blocks around a whole one.
    fn note(&self, role: Role, expr: &Expr) -> String {
        let Some(home) = home(self.design.program, expr.span) else {
            return "the command line".to_owned();
        };
        if let Some(level) = self.level(expr, &home) {
            return level;
        }
        match &home.statement {
            Some((name, whole)) if whole.span != expr.span && role != Role::Through => {
                format!("{name} = {}", super::experiment::plain(&elided(whole)))
            }
            _ => blocks(&home),
        }
    }

    /// The level of a sweep that an expression belongs to.
    fn level(&self, expr: &Expr, home: &Home) -> Option<String> {
        let places = home.blocks.iter().map(|block| block.header).chain(home.path);
        let axis = self.design.axis_of(expr.span, self.levels, places)?;
        let at = self.levels.get(axis.number)? + 1;
        let (name, count) = (axis.name, axis.levels);
        let mut kinds = home.blocks.iter().map(|block| block.kind.node.as_str());
        let kind = kinds.rfind(|kind| ["choose", "toggle", "zip"].contains(kind));
        Some(match kind.unwrap_or("grid") {
            "toggle" => format!("toggle {name}, {}", if home.is_otherwise { "off" } else { "on" }),
            "choose" => format!("choose {name}, level {at} of {count}"),
            kind => format!("{kind}, level {at} of {count}"),
        })
    }
}

/// `experiment thanos, stage contrast`
fn blocks(home: &Home) -> String {
    let named = home.blocks.iter().filter(|block| block.label.is_some());
    let name = |block: &&crate::syntax::Block| {
        let label = block.label.as_ref().map_or("", |label| &label.node);
        format!("{} {label}", block.kind.node)
    };
    named.map(name).collect::<Vec<_>>().join(", ")
}
