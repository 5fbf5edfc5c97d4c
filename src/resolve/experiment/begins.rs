//! A stage that begins with the trained encoder of another: `encoder = contrast.encoder`.

use super::super::draft::{Section, Slot};
use super::super::eval::Eval;
use super::super::{Called, scope};
use super::stage::shown_name;
use crate::catalog::Kind;
use crate::diag::{Diagnostic, Span, Spanned, codes};
use crate::syntax::{Expr, ExprKind, Name, Path};

/// The encoder of a stage, and the stage that trained it before, with where that is said.
type Begun = (Called, Option<Spanned<String>>);

/// What an encoder's field stands for.
enum Meant {
    /// A component.
    Call,
    /// The encoder of this stage.
    Of(String),
    /// Neither, which was said.
    Nothing,
}

impl Eval<'_> {
    /// The encoder of `stage`, followed to where it is declared.
    pub(super) fn begun(&mut self, draft: &Section, stage: &Section) -> Option<Begun> {
        let mut passed: Vec<Name> = Vec::new();
        let mut at = stage;
        loop {
            let first = passed.first().cloned();
            let Some(slot) = at.get("encoder").or_else(|| draft.get("encoder")) else {
                let encoder = self.required([draft, at], "encoder", Kind::Encoder)?;
                return Some((encoder, first));
            };
            let other = match self.stood_for(&slot.expr) {
                Meant::Call => return Some((self.call(slot, Kind::Encoder)?, first)),
                Meant::Of(other) => other,
                Meant::Nothing => return None,
            };
            self.as_it_is(slot, at, &other)?;
            passed.push(Spanned { node: other.clone(), span: slot.expr.span });
            if let Some(circle) = self.circle(stage, &passed) {
                self.out.extend(circle);
                return None;
            }
            at = draft.stages().find(|it| it.name.node == other).unwrap_or(stage);
        }
    }

    /// What `expr` stands for where an encoder is wanted.
    fn stood_for(&mut self, expr: &Expr) -> Meant {
        match &expr.kind {
            ExprKind::Paren(inner) => self.stood_for(inner),
            ExprKind::If { test, then, otherwise } => match self.truth(test) {
                Some(true) => self.stood_for(then),
                Some(false) => self.stood_for(otherwise),
                None => Meant::Nothing,
            },
            ExprKind::Path(path) => self.meant_by(path),
            _ => Meant::Call,
        }
    }

    fn meant_by(&mut self, path: &Path) -> Meant {
        let is_stage = |name: &Name| self.stages.contains(&name.node);
        let found = scope::lookup(self.program, path.span.file, &path.parts);
        let diagnostic = match &path.parts[..] {
            [stage, output] if is_stage(stage) && output.node == "encoder" => {
                return Meant::Of(stage.node.clone());
            }
            [stage, output] if is_stage(stage) => {
                let message = format!("a stage gives `encoder`, not `{}`", output.node);
                Diagnostic::new(&codes::UNKNOWN_NAME, message).expected(
                    output.span,
                    &output.node,
                    ["encoder"],
                )
            }
            [stage] if found.is_none() && is_stage(stage) => {
                let encoder = format!("{}.encoder", stage.node);
                Diagnostic::new(&codes::WRONG_TYPE, format!("`{}` is a stage", stage.node))
                    .at(stage.span, format!("write `{encoder}` for its encoder"))
                    .fix(stage.span, encoder)
            }
            [stage, output] if output.node == "encoder" && self.is_strange(path, stage) => {
                let message = format!("no stage is called `{}`", stage.node);
                let names = self.stages.iter().map(String::as_str);
                Diagnostic::new(&codes::UNKNOWN_NAME, message).expected(
                    stage.span,
                    &stage.node,
                    names,
                )
            }
            _ if found.is_some_and(|(_, meaning)| meaning.is_value()) => {
                let meant =
                    self.named(path, Kind::Encoder.name(), |eval, expr| Some(eval.stood_for(expr)));
                return meant.unwrap_or(Meant::Nothing);
            }
            _ => return Meant::Call,
        };
        self.missing(diagnostic);
        Meant::Nothing
    }

    /// Whether `stage` in `path` names nothing of the file.
    fn is_strange(&self, path: &Path, stage: &Name) -> bool {
        let module = self.program.module(path.span.file);
        let is_import =
            module.is_some_and(|it| it.imports.iter().any(|(name, _)| *name == stage.node));
        !is_import && !scope::is_lost(self.program, path)
    }

    /// What was trained has the arguments it was trained with.
    fn as_it_is(&mut self, slot: &Slot, stage: &Section, other: &str) -> Option<()> {
        let Some(patch) = slot.patches.first() else { return Some(()) };
        let path: Vec<&str> = patch.path.iter().map(|it| it.node.as_str()).collect();
        let message = format!("{} takes the encoder of `{other}` as it is", shown_name(stage));
        self.out.push(
            Diagnostic::new(&codes::BAD_PATH, message)
                .at(patch.path[0].span, "cannot be another here")
                .at(slot.expr.span, "trained there")
                .help(format!("write `{other}.encoder.{} = …`", path.join("."))),
        );
        None
    }

    /// What to say when the stages passed on the way from `stage` come back to one of them; nothing
    /// but that they do, where another stage is the first of them.
    fn circle(&self, stage: &Section, passed: &[Name]) -> Option<Option<Diagnostic>> {
        let last = &passed.last()?.node;
        let own = &stage.name.node;
        let begin = match last == own {
            true => 0,
            false => passed[..passed.len() - 1].iter().position(|it| it.node == *last)? + 1,
        };
        let members: Vec<&str> = passed[begin..].iter().map(|it| it.node.as_str()).collect();
        let first = self.stages.iter().find(|it| members.contains(&it.as_str()));
        Some((first == Some(own)).then(|| circular(own, &passed[begin..])))
    }
}

fn circular(own: &str, passed: &[Name]) -> Diagnostic {
    let message = format!("stage `{own}` would begin with its own encoder");
    let mut spans: Vec<Span> = Vec::new();
    let diagnostic = passed.iter().fold(
        Diagnostic::new(&codes::CYCLE, message),
        |diagnostic, Spanned { node, span }| {
            if spans.contains(span) {
                return diagnostic;
            }
            spans.push(*span);
            diagnostic.at(*span, format!("begins with that of `{node}`"))
        },
    );
    diagnostic.help(format!(
        "give one of them an encoder of its own: `stage {own} {{ encoder = mlp() }}`"
    ))
}
