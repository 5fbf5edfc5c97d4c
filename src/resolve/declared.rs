//! What files declare for others: checked even where no experiment uses it.

use super::eval::{Eval, NO_PARAMS, Want};
use super::import::Program;
use super::inherit::inherit;
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
