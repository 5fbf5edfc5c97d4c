//! How a stage is trained, and which state of it is kept.

use super::super::draft::{Section, Slot, as_path};
use super::super::eval::{Eval, Want};
use super::super::{Called, KEPT_BY, Keep, Term, Train};
use super::stage::shown_name;
use crate::catalog::{Division, Duration, Kind, Type, Value};
use crate::diag::{Diagnostic, Spanned, codes};
use crate::syntax::{ExprKind, Name};

impl Eval<'_> {
    pub(super) fn train(
        &mut self,
        draft: &Section,
        stage: &Section,
        (data, terms): (Option<&Called>, Option<&[Term]>),
    ) -> Option<Train> {
        let Some(section) = self.train_section(draft, stage) else {
            if stage.means("train") || draft.means("train") {
                return None;
            }
            let message = format!("{} does not say how to train", shown_name(stage));
            self.missing(Diagnostic::new(&codes::MISSING, message).at(
                stage.span,
                "add `train { optimizer = adamw(lr=1e-3); batch = 128; for = 50 epochs }`",
            ));
            return None;
        };
        let optimizer = self.trained(&section, "optimizer", "optimizer = adamw(lr=1e-3)");
        let batch = self.trained(&section, "batch", "batch = 128");
        let length = self.trained(&section, "for", "for = 50 epochs");
        let optimizer = optimizer.and_then(|slot| self.call(slot, Kind::Optimizer));
        let batch = batch.and_then(|slot| self.count(slot));
        let epoch = self.epoch(data, batch.as_ref());
        let length = length.and_then(|slot| self.length(slot, epoch));
        let schedule = match section.get("schedule") {
            Some(slot) => self.call(slot, Kind::Schedule),
            None => self.plain_component(Kind::Schedule, "constant", section.span),
        };
        let drop_last = match section.get("drop_last") {
            Some(slot) => self.truth(&slot.expr),
            None => Some(false),
        };
        let keep = match section.get("keep") {
            Some(slot) => self.keep(slot, terms),
            None => Some(Keep::Last),
        };
        let method = self.method(&section);
        let (optimizer, schedule, batch, length) = (optimizer?, schedule?, batch?, length?);
        let (drop_last, keep, method) = (drop_last?, keep?, method?);
        Some(Train { optimizer, schedule, batch, length, drop_last, keep, method })
    }

    /// The experiment's `train` with the stage's own laid over it.
    pub fn train_section(&self, draft: &Section, stage: &Section) -> Option<Section> {
        let own = stage.section("train").filter(|_| stage.kind == "stage");
        match (draft.section("train").cloned(), own) {
            (Some(mut section), Some(own)) => {
                // A stage's own field hides the experiment's, which is no loss.
                section.lay(own, &mut Vec::new());
                Some(section)
            }
            (section, own) => section.or_else(|| own.cloned()),
        }
    }

    fn trained<'s>(&mut self, train: &'s Section, name: &str, example: &str) -> Option<&'s Slot> {
        if train.get(name).is_none() && !train.means(name) {
            let message = format!("`train` needs `{name}`");
            self.missing(
                Diagnostic::new(&codes::MISSING, message)
                    .at(train.span, format!("add `{example}`")),
            );
        }
        train.get(name)
    }

    /// The steps of an epoch, as far as it is known.
    fn epoch(&self, data: Option<&Called>, batch: Option<&Spanned<usize>>) -> Option<usize> {
        let data = &data?.bound;
        let division = Division::of(data, self.catalog.facts(data.spec)?).ok()?;
        Some(division.train.div_ceil(batch?.node))
    }

    fn length(&mut self, slot: &Slot, epoch: Option<usize>) -> Option<Spanned<Duration>> {
        match self.value(&slot.expr, &[], Want::new("for", &Type::Duration).of(epoch))? {
            Value::Duration(node) => Some(Spanned { node, span: slot.expr.span }),
            _ => None,
        }
    }

    /// `last`, or `best(val.TERM.accuracy)`.
    fn keep(&mut self, slot: &Slot, terms: Option<&[Term]>) -> Option<Keep> {
        let path = match &slot.expr.kind {
            ExprKind::Path(path) if path.single() == Some("last") => return Some(Keep::Last),
            ExprKind::Call(call) if call.path.single() == Some("best") && call.args.len() == 1 => {
                as_path(&call.args[0].value)
            }
            _ => None,
        };
        let Some([split, term, metric]) = path.map(|path| &path.parts[..]) else {
            let help = match path.map(|path| &path.parts[..]) {
                Some([term, metric]) if !["train", "val", "test"].contains(&term.node.as_str()) => {
                    format!("write `keep = best(val.{}.{})`", term.node, metric.node)
                }
                _ => "write `keep = last` or `keep = best(val.TERM.accuracy)`".to_owned(),
            };
            self.out.push(
                Diagnostic::new(&codes::WRONG_TYPE, "`keep` says which state is evaluated")
                    .at(slot.expr.span, "cannot be read as one")
                    .help(help),
            );
            return None;
        };
        if split.node != "val" {
            self.out.push(selected_on(split, term, metric));
            return None;
        }
        // Without the terms, what is wrong with them has been said.
        let metric = self.measured(term, metric, terms?)?;
        Some(Keep::Best { term: term.clone(), metric })
    }

    /// The metric, if training measures `term.metric`.
    fn measured(&mut self, term: &Name, metric: &Name, terms: &[Term]) -> Option<&'static str> {
        let heads = terms.iter().filter(|it| it.has_classifier());
        let heads: Vec<&str> = heads.map(|it| it.name.node.as_str()).collect();
        let known = KEPT_BY.into_iter().find(|known| metric.node == *known);
        if let Some(known) = known.filter(|_| heads.contains(&term.node.as_str())) {
            return Some(known);
        }
        let message = format!("`{}.{}` is not measured in training", term.node, metric.node);
        let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
        self.out.push(match &heads[..] {
            [] => diagnostic
                .at(term.span, "no term of this loss has a classifier")
                .help("add one, for example `class = cross_entropy()`"),
            heads if heads.contains(&term.node.as_str()) => {
                diagnostic.expected(metric.span, &metric.node, KEPT_BY)
            }
            // Another stage that inherits this may have a term of the name that is written.
            heads => {
                diagnostic.expected(term.span, &term.node, heads.iter().copied()).without_fix()
            }
        });
        None
    }
}

fn selected_on(split: &Name, term: &Name, metric: &Name) -> Diagnostic {
    let better = format!("keep = best(val.{}.{})", term.node, metric.node);
    if split.node == "test" {
        let message = "the model is selected on the data it is reported on";
        return Diagnostic::new(&codes::TEST_SELECTION, message)
            .at(split.span, "the state would be chosen with test labels")
            .help(format!("use `{better}`"));
    }
    let message = format!("a state is not chosen on `{}`", split.node);
    Diagnostic::new(&codes::UNKNOWN_NAME, message).at(split.span, format!("write `{better}`"))
}
