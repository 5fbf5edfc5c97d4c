//! The evaluations of an experiment, and which stages they read.

use super::super::analysis::SPLITS;
use super::super::draft::{Section, Slot};
use super::super::eval::Eval;
use super::super::{Entry, Selection};
use super::select::SELECT;
use crate::catalog::{Features, Kind, ParamType, Value};
use crate::diag::{Diagnostic, codes};
use crate::syntax::ExprKind;

impl Eval<'_> {
    /// The evaluations, and what selects the model, where that is said.
    pub(super) fn evaluations(&mut self, draft: &Section) -> (Vec<Entry>, Option<Selection>) {
        let slots = draft.section("eval").map_or(&[][..], |eval| &eval.fields);
        let is_select = |slot: &&Slot| slot.name.node == SELECT && slot.expr.kind != ExprKind::None;
        let select = slots.iter().find(is_select);
        let slots: Vec<Slot> = slots.iter().filter(|slot| !is_select(slot)).cloned().collect();
        for slot in slots.iter().filter(|slot| SPLITS.contains(&slot.name.node.as_str())) {
            let name = &slot.name;
            self.out.push(
                Diagnostic::new(&codes::DUPLICATE, format!("`{}` names a split", name.node))
                    .at(name.span, "an evaluation needs another name")
                    .help(format!("metrics are written `{}.NAME.accuracy`", name.node)),
            );
        }
        let mut entries = self.entries(&slots, Kind::Evaluation);
        for entry in &mut entries {
            self.place(entry);
        }
        let selection = select.and_then(|select| self.selection(select, &entries));
        (entries, selection)
    }

    /// Without being told, an evaluation reads the only stage.
    fn place(&mut self, entry: &mut Entry) {
        let on = entry.call.bound.value("on");
        if on != Some(&Value::Features(Features::Auto)) {
            return;
        }
        if let [only] = &self.stages[..] {
            let on = Features::Encoder(only.clone());
            entry.call.bound = entry.call.bound.clone().with("on", on.to_value());
            return;
        }
        let list: Vec<_> = self.stages.iter().map(|stage| format!("{stage}.encoder")).collect();
        self.out.push(
            Diagnostic::new(&codes::MISSING, "this evaluation could read several stages")
                .at(entry.call.span, format!("add `on={}`", list[0]))
                .help(format!("or all of them: `on=concat({})`", list.join(", "))),
        );
    }
}
