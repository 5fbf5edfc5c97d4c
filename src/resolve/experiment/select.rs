//! `select = val.birds.accuracy`: on which number the evaluated model is chosen.

use super::super::analysis::SPLITS;
use super::super::draft::{Slot, as_path};
use super::super::eval::{Eval, kind_of};
use super::super::{Entry, Selection};
use crate::diag::{Diagnostic, Spanned, codes};
use crate::syntax::{ExprKind, Name, Path};

/// The field of `eval` that is no evaluation.
pub(super) const SELECT: &str = "select";

impl Eval<'_> {
    /// What a model is selected by, among these evaluations.
    pub(super) fn selection(&mut self, slot: &Slot, entries: &[Entry]) -> Option<Selection> {
        let (path, is_oracle) = match &slot.expr.kind {
            ExprKind::Call(call)
                if call.path.single() == Some("oracle") && call.args.len() == 1 =>
            {
                (as_path(&call.args[0].value), true)
            }
            _ => (as_path(&slot.expr), false),
        };
        let Some((split, entry, metric)) = path.and_then(parts) else {
            let help = "write `select = val.ENTRY.METRIC`, of an evaluation of this block";
            self.out.push(
                Diagnostic::new(&codes::WRONG_TYPE, "`select` names a metric")
                    .at(slot.expr.span, format!("this is {}", kind_of(&slot.expr)))
                    .help(help),
            );
            return None;
        };
        let (measured, metric) = self.selected(entry, metric, entries)?;
        let name = format!("{}.{metric}", entry.node);
        let problem = match split.map_or("test", |split| split.node.as_str()) {
            "test" if !is_oracle => on_test(slot, split, &name, measured),
            "train" => Diagnostic::new(&codes::UNKNOWN_NAME, "a model is not chosen on `train`")
                .at(slot.expr.span, format!("write `val.{name}`")),
            "val" if is_oracle => {
                let message = "only a selection on the test split is an oracle";
                Diagnostic::new(&codes::WRONG_TYPE, message)
                    .at(slot.expr.span, format!("write `val.{name}`"))
            }
            split => {
                let message = "`select` is checked, but not computed by this version";
                self.out.push(
                    Diagnostic::new(&codes::NOT_YET, message)
                        .at(slot.expr.span, "the state that `keep` names is evaluated"),
                );
                let metric = Spanned { node: format!("{split}.{name}"), span: slot.expr.span };
                return Some(Selection { metric, entry: entry.node.clone(), is_oracle });
            }
        };
        self.out.push(problem);
        None
    }

    /// The evaluation that measures `entry.metric`, and the metric: its first without one.
    fn selected<'e>(
        &mut self,
        entry: &Name,
        metric: Option<&Name>,
        entries: &'e [Entry],
    ) -> Option<(&'e Entry, &'static str)> {
        let found = entries.iter().find(|it| it.name.node == entry.node);
        let Some(found) = found else {
            let message = format!("no evaluation is called `{}`", entry.node);
            let names = entries.iter().map(|it| it.name.node.as_str());
            let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
            self.out.push(diagnostic.expected(entry.span, &entry.node, names));
            return None;
        };
        let metrics = found.call.bound.spec.metrics;
        let Some(metric) = metric else { return Some((found, metrics.first()?)) };
        if let Some(known) = metrics.iter().find(|it| **it == metric.node) {
            return Some((found, known));
        }
        let message = format!("`{}` does not measure `{}`", entry.node, metric.node);
        let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
        self.out.push(diagnostic.expected(metric.span, &metric.node, metrics.iter().copied()));
        None
    }
}

/// The split, if one is written, the evaluation, and the metric, if one is.
fn parts(path: &Path) -> Option<(Option<&Name>, &Name, Option<&Name>)> {
    let (split, rest) = match &path.parts[..] {
        [split, rest @ ..] if SPLITS.contains(&split.node.as_str()) => (Some(split), rest),
        rest => (None, rest),
    };
    match rest {
        [entry] => Some((split, entry, None)),
        [entry, metric] => Some((split, entry, Some(metric))),
        _ => None,
    }
}

fn on_test(slot: &Slot, split: Option<&Name>, name: &str, measured: &Entry) -> Diagnostic {
    let label = match split {
        Some(_) => "the model would be chosen with test labels",
        None => "without a split this is the test split, which would choose the model",
    };
    Diagnostic::new(&codes::TEST_SELECTION, "the model is selected on the data it is reported on")
        .at(slot.expr.span, label)
        .at(measured.call.span, "and this number reported from the same split")
        .help(format!("use `select = val.{name}`"))
        .help(format!("an oracle row is allowed if it says so: `select = oracle(test.{name})`"))
}
