//! From a path to the expression that determines it.

use super::super::draft::{Section, Slot, as_path};
use super::super::experiment::split;
use super::super::scope::{self, Meaning};
use super::{Owner, Role, Tracer, Valued, elided};
use crate::catalog::{Bound, Value, shown};
use crate::syntax::{Arg, Expr, ExprKind, Name, Path};

/// What a path comes to inside an expression.
enum Found<'e> {
    /// This expression.
    Expr(&'e Expr),
    /// Nothing is written: this default, of this component or of the language.
    Default(String, String),
    /// The path does not lead anywhere in it.
    Nothing,
}

/// Under which names the expressions stand that lead to a value.
type Through<'e> = Vec<(String, &'e Expr)>;

impl<'a> Tracer<'a> {
    /// Follows the value `rest` of a stage or an evaluation.
    pub(super) fn owned(&mut self, value: &Valued) {
        let rest: Vec<&str> = value.rest.iter().map(String::as_str).collect();
        let draft = &self.cell.draft;
        match &value.owner {
            Owner::Parameter(_) => {}
            Owner::Experiment => {
                let slot = draft.section(rest[0]).and_then(|section| section.get(rest[1]));
                match slot {
                    Some(slot) => self.slot(slot, &[], Part::Whole),
                    None => self.left_out(value),
                }
            }
            Owner::Evaluation(name) => {
                let slot = draft.section("eval").and_then(|eval| eval.get(name));
                if let Some(slot) = slot {
                    self.slot(slot, &rest, Part::Whole);
                }
            }
            Owner::Stage(name) => {
                let single = draft.renamed("main");
                let stage = draft.stages().find(|stage| stage.name.node == *name);
                self.stage(stage.unwrap_or(&single), &rest, value);
            }
        }
    }

    fn stage(&mut self, stage: &Section, rest: &[&str], value: &Valued) {
        let draft = &self.cell.draft;
        match rest {
            ["train", field, inside @ ..] => {
                let train = self.eval.train_section(draft, stage);
                match train.as_ref().and_then(|train| train.get(field)) {
                    Some(slot) => self.slot(slot, inside, Part::Whole),
                    None => self.left_out(value),
                }
            }
            [kind @ ("loss" | "augment"), line, inside @ ..] => {
                let is_loss = *kind == "loss";
                let kind = if is_loss { "loss" } else { "augment" };
                let lines = self.eval.lines(draft, stage, kind).unwrap_or_default();
                if let Some(slot) = lines.iter().find(|slot| slot.name.node == *line) {
                    let part = match (is_loss, inside) {
                        (true, ["weight"]) => Part::Weight,
                        (true, _) => Part::Call,
                        (false, _) => Part::Whole,
                    };
                    self.slot(slot, inside, part);
                }
                self.named_block(stage, kind);
            }
            [field, inside @ ..] => match stage.get(field).or_else(|| draft.get(field)) {
                Some(slot) => self.slot(slot, inside, Part::Whole),
                None => self.left_out(value),
            },
            [] => {}
        }
    }

    /// The named block that stands for a stage's loss or augmentation, if one does.
    fn named_block(&mut self, stage: &Section, kind: &str) {
        let here = [stage, &self.cell.draft].into_iter();
        let slot = here.filter_map(|section| section.get(kind)).next();
        if let Some(slot) = slot.filter(|slot| as_path(&slot.expr).is_some()) {
            self.link(Role::Through, kind, &slot.expr);
        }
    }

    /// A field nobody wrote, which is `value`.
    fn left_out(&mut self, value: &Valued) {
        let whose = match value.rest.get(2) {
            Some(_) => "default of `constant`",
            None => "default",
        };
        self.push(Role::Value, "", value.value.clone(), None, whose.to_owned());
    }

    /// What determines `rest` inside a field, and what did before.
    fn slot(&mut self, slot: &Slot, rest: &[&str], part: Part) {
        let reaches = |path: &[Name]| {
            path.len() <= rest.len() && path.iter().zip(rest).all(|(a, b)| a.node == *b)
        };
        let mut patches: Vec<_> = slot.patches.iter().filter(|it| reaches(&it.path)).collect();
        patches.sort_by_key(|patch| std::cmp::Reverse(patch.path.len()));
        let patches = patches.into_iter().map(|patch| (&patch.value, patch.path.len()));
        let past = slot.past.iter().rev().filter(|it| reaches(&it.path));
        let past = past.map(|patch| (&patch.value, patch.path.len()));
        let all = patches.chain([(&slot.expr, 0)]).chain(past);
        let mut role = Role::Value;
        for (expr, depth) in all {
            let (expr, rest) = match depth {
                0 => match part.of(expr) {
                    Some(expr) if part == Part::Weight => (expr, &rest[1..]),
                    Some(expr) => (expr, rest),
                    None => {
                        self.written(
                            role,
                            Found::Default("1".into(), "a term without a weight".into()),
                            &Vec::new(),
                        );
                        role = Role::Replaced;
                        continue;
                    }
                },
                depth => (expr, &rest[depth..]),
            };
            let mut through = Vec::new();
            let found = self.descend((&slot.name.node, expr), rest, &mut through);
            if !matches!(found, Found::Nothing) {
                self.written(role, found, &through);
                role = Role::Replaced;
            }
        }
    }

    fn written(&mut self, role: Role, found: Found, through: &Through) {
        match found {
            Found::Expr(expr) => {
                self.link(role, "", expr);
                if role == Role::Value {
                    self.names(expr);
                }
            }
            Found::Default(text, whose) => self.push(role, "", text, None, whose),
            Found::Nothing => {}
        }
        for (name, expr) in through.iter().rev().filter(|_| role == Role::Value) {
            self.link(Role::Through, name, &elided(expr));
        }
    }

    /// What `rest` comes to inside `expr`, which stands under `name`; notes what leads there.
    fn descend<'e>(
        &mut self,
        (name, expr): (&str, &'e Expr),
        rest: &[&str],
        through: &mut Through<'e>,
    ) -> Found<'e>
    where
        'a: 'e,
    {
        let Some((first, inside)) = rest.split_first() else { return Found::Expr(expr) };
        match &expr.kind {
            ExprKind::Paren(inner) => self.descend((name, inner), rest, through),
            ExprKind::If { test, then, otherwise } => match self.eval.truth(test) {
                Some(true) => self.descend((name, then), rest, through),
                Some(false) => self.descend((name, otherwise), rest, through),
                None => Found::Nothing,
            },
            ExprKind::Call(call) => {
                let is_named = |arg: &&Arg| arg.name.as_ref().is_some_and(|it| it.node == *first);
                match call.args.iter().find(is_named) {
                    Some(arg) => self.descend((first, &arg.value), inside, through),
                    None => self.default_of(&call.path, rest, (name, expr), through),
                }
            }
            ExprKind::Path(path) => {
                let Some((name_there, there)) = self.meaning(path) else {
                    return self.default_of(path, rest, (name, expr), through);
                };
                through.push((name.to_owned(), expr));
                self.descend((&name_there, there), rest, through)
            }
            _ => Found::Nothing,
        }
    }

    /// The expression that a name stands for in this cell, and what it is declared as.
    fn meaning<'e>(&self, path: &Path) -> Option<(String, &'e Expr)>
    where
        'a: 'e,
    {
        let (file, meaning) = scope::lookup(self.design.program, path.span.file, &path.parts)?;
        let name = path.parts[path.parts.len() - 1].node.clone();
        match meaning {
            Meaning::Let(expr) => Some((name, expr)),
            Meaning::Declaration(kind, expr) => Some((format!("{kind} {name}"), expr)),
            Meaning::Param(param) => {
                let written = self.cell.params.get(&(file, name.clone()));
                Some((name, written.unwrap_or(&param.default)))
            }
            Meaning::Block(_) => None,
        }
    }

    /// The default that a component has for the argument that `rest` begins with.
    fn default_of<'e>(
        &self,
        component: &Path,
        rest: &[&str],
        (name, expr): (&str, &'e Expr),
        through: &mut Through<'e>,
    ) -> Found<'e> {
        let component = component.text();
        let specs = self.design.catalog.named(&component);
        let Some(text) = specs.iter().find_map(|spec| default(&Bound::defaults(spec), rest)) else {
            return Found::Nothing;
        };
        through.push((name.to_owned(), expr));
        Found::Default(text, format!("default of `{component}`"))
    }
}

/// The argument of a component that `rest` names, as it is written.
fn default(bound: &Bound, rest: &[&str]) -> Option<String> {
    let (first, inside) = rest.split_first()?;
    let value = bound.value(first)?;
    match value {
        Value::Component(inner) if inside.is_empty() => Some(inner.spec.name.to_owned()),
        Value::Component(inner) => default(inner, inside),
        value => Some(shown(&bound.spec.param(first)?.ty, value)),
    }
}

/// Which part of a field's whole expression is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    /// The weight of a loss term.
    Weight,
    /// The call of a loss term.
    Call,
}

impl Part {
    fn of(self, expr: &Expr) -> Option<&Expr> {
        match self {
            Self::Whole => Some(expr),
            Self::Weight => split(expr).ok()?.0,
            Self::Call => split(expr).ok().map(|(_, call)| call),
        }
    }
}
