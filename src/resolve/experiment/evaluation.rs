//! The evaluations of an experiment, and which stages they read.

use super::super::Entry;
use super::super::draft::Section;
use super::super::eval::Eval;
use crate::catalog::{Features, Kind, ParamType, Value};
use crate::diag::{Diagnostic, codes};

/// Words that begin the name of a metric, and so cannot name an evaluation.
const SPLITS: &[&str] = &["train", "val", "test"];

impl Eval<'_> {
    pub(super) fn evaluations(&mut self, draft: &Section) -> Vec<Entry> {
        let slots = draft.section("eval").map_or(&[][..], |eval| &eval.fields);
        for slot in slots.iter().filter(|slot| SPLITS.contains(&slot.name.node.as_str())) {
            let name = &slot.name;
            self.out.push(
                Diagnostic::new(&codes::DUPLICATE, format!("`{}` names a split", name.node))
                    .at(name.span, "an evaluation needs another name")
                    .help(format!("metrics are written `{}.NAME.accuracy`", name.node)),
            );
        }
        let mut entries = self.entries(slots, Kind::Evaluation);
        for entry in &mut entries {
            self.place(entry);
        }
        entries
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
