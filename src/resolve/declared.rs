//! What files declare for others: checked even where no experiment uses it.

use super::eval::{Eval, NO_PARAMS, Want};
use super::import::Program;
use super::inherit::inherit;
use super::scope::{self, Meaning};
use crate::catalog::{Catalog, Kind, Type};
use crate::diag::Diagnostic;
use crate::syntax::{Block, Name, Path, Statement};

/// Checks the parameters, components, augmentations and losses that files declare.
pub(super) fn check_declarations(program: &Program, catalog: &Catalog, out: &mut Vec<Diagnostic>) {
    for statement in program.files.iter().flat_map(|module| &module.tree.statements) {
        let mut eval = Eval::new(program, catalog, &NO_PARAMS, out);
        match statement {
            Statement::Declaration { kind, name, value } => match kind.node.as_str() {
                "dataset" => eval.declared(Kind::Dataset, name, value),
                "encoder" => eval.declared(Kind::Encoder, name, value),
                _ => {}
            },
            Statement::Block(Block { kind, label: Some(label), .. }) => match kind.node.as_str() {
                "augment" => eval.declared_lines("augment", label),
                "loss" => eval.declared_lines("loss", label),
                _ => {}
            },
            _ => {}
        }
    }
    Eval::new(program, catalog, &NO_PARAMS, out).check_params(&NO_PARAMS);
    let found = check_values(program, catalog);
    let found = super::unsaid(out, found);
    out.extend(found);
}

/// Values that take more work than this, all together, are left to those who use them.
const MOST_WORK: usize = 1_000_000;

/// What is wrong with the values that files declare, wherever they are wanted.
fn check_values(program: &Program, catalog: &Catalog) -> Vec<Diagnostic> {
    let (mut out, mut work) = (Vec::new(), 0);
    for (name, meaning) in program.files.iter().flat_map(scope::names) {
        let value = match meaning {
            Meaning::Let(value) => value,
            Meaning::Param(param) if param.ty.is_none() => &param.default,
            _ => continue,
        };
        work += Eval::new(program, catalog, &NO_PARAMS, &mut out).declared_value(name, value);
        if work > MOST_WORK {
            break;
        }
    }
    out
}

impl Eval<'_> {
    fn declared(&mut self, kind: Kind, name: &Name, value: &crate::syntax::Expr) {
        let ty = Type::Component(kind);
        self.called(value, &[], kind, Want::new(&name.node, &ty));
    }

    /// The lines of a named augmentation or loss.
    fn declared_lines(&mut self, kind: &'static str, label: &Name) {
        let path = Path { parts: vec![label.clone()], span: label.span };
        let Some(section) = inherit(self.program, &path, kind, self.out) else { return };
        if kind == "augment" {
            self.entries(&section.fields, Kind::Augment);
        } else {
            self.loss_terms(&section.fields);
        }
    }
}
