//! `run { … }`: what is asked of the machine; and the remarks `note` and `tags`.

use super::super::draft::{Section, Slot};
use super::super::eval::{Eval, WALLTIME, Want};
use super::super::{Hardware, Machine};
use super::COUNT;
use crate::catalog::{Type, Value};
use crate::diag::{Diagnostic, codes};
use crate::syntax::{Arg, ExprKind};

impl Eval<'_> {
    /// Checks what `run` asks for, and says what this version does not do.
    pub(super) fn run(&mut self, draft: &Section) -> Machine {
        let mut machine = Machine::default();
        for slot in draft.section("run").into_iter().flat_map(|run| &run.fields) {
            match slot.name.node.as_str() {
                "precision" => {
                    let is_half = self.word(slot, &["f32", "bf16"], &[]) == Some("bf16");
                    machine.half = is_half.then_some(slot.expr.span);
                }
                "determinism" => {
                    let instead = "this version always gives the same bytes";
                    self.word(slot, &["strict", "fast"], &[("fast", instead)]);
                }
                "device" => {
                    machine.device = match self.word(slot, &["auto", "cpu", "cuda"], &[]) {
                        Some("cpu") => Some(Hardware::Cpu),
                        Some("cuda") => Some(Hardware::Cuda),
                        _ => None,
                    };
                }
                "workers" => {
                    let found = self.value(&slot.expr, &[], Want::new("workers", &COUNT));
                    let instead = "this version uses every core it is given";
                    self.not_done(slot, found.is_some().then_some(instead));
                }
                "checkpoint" => {
                    let is_sound = self.checkpoint(slot);
                    let instead = "this version saves by the clock, and keeps the last state";
                    self.not_done(slot, is_sound.map(|()| instead));
                }
                "limit" if slot.expr.kind == ExprKind::None => {}
                "limit" => {
                    machine.limit = self.measure((&slot.name.node, &slot.expr), &WALLTIME);
                }
                _ => {}
            }
        }
        machine
    }

    /// A field that takes a word; some words ask for what is not done.
    fn word(
        &mut self,
        slot: &Slot,
        words: &'static [&'static str],
        undone: &[(&str, &str)],
    ) -> Option<&'static str> {
        let ty = Type::Choice(words);
        let found = self.value(&slot.expr, &[], Want::new(&slot.name.node, &ty));
        let is_found = |word: &str| matches!(&found, Some(Value::Word(it)) if it == word);
        let instead = undone.iter().find(|(word, _)| is_found(word)).map(|(_, instead)| *instead);
        self.not_done(slot, instead);
        words.iter().copied().find(|word| is_found(word))
    }

    fn not_done(&mut self, slot: &Slot, instead: Option<&str>) {
        let Some(instead) = instead else { return };
        let message = format!("`{}` is read but not heeded by this version", slot.name.node);
        self.out.push(Diagnostic::new(&codes::NOT_YET, message).at(slot.expr.span, instead));
    }

    /// `every(10 epochs, keep=2)`
    fn checkpoint(&mut self, slot: &Slot) -> Option<()> {
        let args: &[Arg] = match &slot.expr.kind {
            ExprKind::Call(call) if call.path.single() == Some("every") => &call.args,
            _ => &[],
        };
        let (every, keep) = match args {
            [every] if every.name.is_none() => (every, None),
            [every, keep] if every.name.is_none() && is_called(keep, "keep") => (every, Some(keep)),
            _ => {
                self.out.push(
                    Diagnostic::new(&codes::WRONG_TYPE, "`checkpoint` says when to save")
                        .at(slot.expr.span, "cannot be read as that")
                        .help("write `checkpoint = every(10 epochs)`, with `keep=2` to keep two"),
                );
                return None;
            }
        };
        let every = self.value(&every.value, &[], Want::new("every", &Type::Duration));
        let keep = keep.map(|keep| self.value(&keep.value, &[], Want::new("keep", &COUNT)));
        every?;
        keep.is_none_or(|keep| keep.is_some()).then_some(())
    }

    /// `note` is a text, `tags` a list of them.
    pub(super) fn check_notes(&mut self, draft: &Section) {
        for (name, ty) in [("note", Type::Text), ("tags", Type::List(&Type::Text))] {
            if let Some(slot) = draft.get(name) {
                self.value(&slot.expr, &[], Want::new(name, &ty));
            }
        }
    }
}

fn is_called(arg: &Arg, name: &str) -> bool {
    arg.name.as_ref().is_some_and(|it| it.node == name)
}
