//! A draft to a complete experiment: every field evaluated, every default written out.

mod begins;
mod evaluation;
mod found;
mod machine;
mod memo;
mod method;
mod pins;
mod select;
mod stage;
mod term;
mod train;

pub(super) use memo::Memo;
pub(super) use term::split;

use std::rc::Rc;

use super::draft::{Patch, Section, Slot};
use super::eval::{Eval, Want};
use super::reserved::check_path_names;
use super::{Called, Entry, Experiment};
use crate::catalog::{Kind, Type, Value};
use crate::diag::{Spanned, has_errors};
use crate::syntax::{Expr, ExprKind};

const COUNT: Type = Type::Int { name: "count", min: 1, max: 1 << 30 };

impl Eval<'_> {
    /// The experiment a draft describes, with the stages of `memo` that are the same; none when
    /// something is wrong with it.
    pub fn experiment(&mut self, draft: &Rc<Section>, memo: &mut Memo) -> Option<Experiment> {
        let before = self.out.len();
        self.is_damaged = draft.is_damaged();
        let machine = self.run(draft);
        self.is_half = machine.half.is_some();
        self.check_notes(draft);
        check_path_names(draft, self.out);
        let mut sections: Vec<&Section> = draft.stages().collect();
        let single = draft.renamed("main");
        if sections.is_empty() {
            sections.push(&single);
        }
        self.stages = sections.iter().map(|stage| stage.name.node.clone()).collect();
        let stages: Vec<_> =
            sections.iter().map(|stage| self.remembered(draft, stage, memo)).collect();
        let (evaluations, selection) = self.evaluations(draft);
        let pins = self.pins(draft);
        if has_errors(&self.out[before..]) {
            return None;
        }
        let stages = stages.into_iter().collect::<Option<Vec<_>>>()?;
        self.found_in_circles(&stages.iter().map(Rc::as_ref).collect::<Vec<_>>());
        if has_errors(&self.out[before..]) {
            return None;
        }
        Some(Experiment { name: draft.name.clone(), stages, evaluations, machine, selection, pins })
    }

    /// The component in a slot, with the overrides that reach inside it.
    fn call(&mut self, slot: &Slot, kind: Kind) -> Option<Called> {
        let patches: Vec<&Patch> = slot.patches.iter().collect();
        let ty = Type::Component(kind);
        self.called(&slot.expr, &patches, kind, Want::new(&slot.name.node, &ty))
    }

    fn count(&mut self, slot: &Slot) -> Option<Spanned<usize>> {
        match self.value(&slot.expr, &[], Want::new(&slot.name.node, &COUNT))? {
            Value::Int(value) => Some(Spanned { node: value as usize, span: slot.expr.span }),
            _ => None,
        }
    }

    /// Named components, without those set to `none`.
    pub fn entries(&mut self, slots: &[Slot], kind: Kind) -> Vec<Entry> {
        let slots = slots.iter().filter(|slot| slot.expr.kind != ExprKind::None);
        let entry = |slot: &Slot| {
            let call = self.call(slot, kind)?;
            Some(Entry { name: slot.name.clone(), call })
        };
        slots.filter_map(entry).collect()
    }
}

/// An expression without the parentheses around all of it.
pub(super) fn plain(expr: &Expr) -> String {
    let text = expr.to_string();
    let is_whole = matches!(
        &expr.kind,
        ExprKind::Binary { .. } | ExprKind::Negate(_) | ExprKind::Not(_) | ExprKind::If { .. }
    );
    match (&expr.kind, is_whole) {
        (ExprKind::Paren(inner), _) => plain(inner),
        (_, true) => text[1..text.len() - 1].to_owned(),
        _ => text,
    }
}
