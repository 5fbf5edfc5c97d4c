//! One stage: its data, encoder, augmentation and loss, its own or the experiment's.

use super::super::draft::{Section, Shared, Slot, as_path};
use super::super::eval::Eval;
use super::super::inherit::inherit;
use super::super::{Called, Stage, Term};
use crate::catalog::Kind;
use crate::diag::{Diagnostic, Spanned, codes};
use crate::syntax::ExprKind;

impl Eval<'_> {
    pub(super) fn stage(&mut self, draft: &Section, stage: &Section) -> Option<Stage> {
        let own = |name: &str| stage.get(name).or_else(|| draft.get(name));
        let data = self.required([draft, stage], "data", Kind::Dataset);
        let begun = self.begun(draft, stage);
        let projector = own("projector").filter(|slot| slot.expr.kind != ExprKind::None);
        let projector = projector.map(|slot| self.call(slot, Kind::Projector));
        let augment = self.lines(draft, stage, "augment").unwrap_or_default();
        let augment = self.entries(&augment, Kind::Augment);
        let views = match own("views") {
            Some(slot) => self.count(slot),
            None => Some(Spanned { node: 1, span: stage.span }),
        };
        let terms = self.terms(draft, stage);
        let train = self.train(draft, stage, (data.as_ref(), terms.as_deref()));
        let groups = self.found(stage);
        let loss = stage.section("loss").or_else(|| draft.section("loss"));
        let (encoder, begins_with) = begun?;
        Some(Stage {
            name: stage.name.clone(),
            data: data?,
            encoder,
            begins_with,
            projector: match projector {
                Some(found) => Some(found?),
                None => None,
            },
            groups: groups?,
            augment,
            views: views?,
            terms: terms?,
            train: train?,
            loss: loss.map_or(stage.span, |loss| loss.span),
        })
    }

    pub(super) fn required(
        &mut self,
        [draft, stage]: [&Section; 2],
        name: &'static str,
        kind: Kind,
    ) -> Option<Called> {
        if let Some(slot) = stage.get(name).or_else(|| draft.get(name)) {
            return self.call(slot, kind);
        }
        if stage.means(name) || draft.means(name) {
            return None;
        }
        let example = self.catalog.of(kind).next().map_or("…", |spec| spec.name);
        let message = format!("{} has no `{name}`", shown_name(stage));
        self.missing(
            Diagnostic::new(&codes::MISSING, message)
                .at(stage.span, format!("add `{name} = {example}(…)`")),
        );
        None
    }

    fn terms(&mut self, draft: &Section, stage: &Section) -> Option<Vec<Term>> {
        let has_loss = [stage, draft]
            .iter()
            .any(|it| it.get("loss").is_some() || it.section("loss").is_some());
        if !has_loss && (stage.means("loss") || draft.means("loss")) {
            return None;
        }
        if !has_loss {
            let message = format!("{} has no loss", shown_name(stage));
            self.missing(
                Diagnostic::new(&codes::NO_LOSS, message)
                    .at(stage.span, "add `loss { term = weight * call(…) }`"),
            );
            return None;
        }
        let lines = self.lines(draft, stage, "loss")?;
        self.loss_terms(&lines)
    }

    /// The terms that the lines of a loss declare, without those set to `none`.
    pub fn loss_terms(&mut self, lines: &[Slot]) -> Option<Vec<Term>> {
        let lines = lines.iter().filter(|slot| slot.expr.kind != ExprKind::None);
        let terms: Vec<_> = lines.map(|slot| self.term(slot)).collect();
        terms.into_iter().collect()
    }

    /// The lines of a stage's `loss` or `augment`: of its own block, of a named one, or of the
    /// experiment's. None when there is neither.
    pub fn lines(
        &mut self,
        draft: &Section,
        stage: &Section,
        kind: &'static str,
    ) -> Option<Shared<Slot>> {
        let here = [stage, draft].into_iter();
        let found =
            here.into_iter().find(|it| it.get(kind).is_some() || it.section(kind).is_some())?;
        match found.section(kind) {
            Some(section) => Some(section.fields.clone()),
            None => self.named_lines(found.get(kind)?, kind),
        }
    }

    /// The lines of the named block a field stands for, with its overrides handed down.
    fn named_lines(&mut self, slot: &Slot, kind: &'static str) -> Option<Shared<Slot>> {
        if slot.expr.kind == ExprKind::None {
            return Some(Shared::default());
        }
        let Some(path) = as_path(&slot.expr) else {
            let message = format!("`{kind}` is a block, or the name of one");
            self.out.push(
                Diagnostic::new(&codes::WRONG_TYPE, message)
                    .at(slot.expr.span, format!("write `{kind} {{ name = call(…) }}`")),
            );
            return None;
        };
        let mut section = inherit(self.program, path, kind, self.out)?;
        self.is_damaged |= section.is_damaged();
        for patch in &slot.patches {
            section.set_field(&patch.path, &patch.value, self.out);
        }
        Some(section.fields)
    }
}

/// What a user calls a stage: `main` is a name only the plan shows.
pub(super) fn shown_name(stage: &Section) -> String {
    match stage.kind.as_str() {
        "stage" => format!("stage `{}`", stage.name.node),
        kind => format!("this {kind}"),
    }
}
