//! Groups that an earlier stage finds: `groups = clusters(on=first)`.

use super::super::draft::Section;
use super::super::eval::Eval;
use super::super::{Called, Stage};
use crate::catalog::{Features, Kind, Value};
use crate::diag::{Diagnostic, codes};
use crate::syntax::ExprKind;

impl Eval<'_> {
    /// What finds the groups of `stage`, if it says so; none when that is wrong.
    pub(super) fn found(&mut self, stage: &Section) -> Option<Option<Called>> {
        let slot = stage.get("groups").filter(|slot| slot.expr.kind != ExprKind::None);
        let Some(slot) = slot else { return Some(None) };
        let call = self.call(slot, Kind::Grouping)?;
        if call.bound.value("on") != Some(&Value::Features(Features::Auto)) {
            return Some(Some(call));
        }
        let others = self.stages.iter().filter(|name| **name != stage.name.node);
        let example = others.map(String::as_str).next().unwrap_or("first");
        self.out.push(
            Diagnostic::new(&codes::MISSING, "groups are found by an earlier stage")
                .at(call.place("on"), format!("name it: `on={example}`")),
        );
        None
    }

    /// Says which of `stages` would find groups by what those groups have trained.
    pub(super) fn found_in_circles(&mut self, stages: &[&Stage]) {
        let mut said: Vec<&str> = Vec::new();
        for stage in stages.iter().filter(|it| it.groups.is_some()) {
            let Some(circle) = circle(stage, stages) else { continue };
            if !circle.iter().any(|it| said.contains(&it.name.node.as_str())) {
                self.out.push(circular(&circle));
            }
            said.extend(circle.iter().map(|it| it.name.node.as_str()));
        }
    }
}

/// The stages on a way from `stage` back to it, itself first.
fn circle<'a>(stage: &'a Stage, stages: &[&'a Stage]) -> Option<Vec<&'a Stage>> {
    let mut ways = vec![vec![stage]];
    let mut seen: Vec<&str> = Vec::new();
    while let Some(way) = ways.pop() {
        for name in way.last()?.declared_before() {
            if name == stage.name.node {
                return Some(way);
            }
            let next = stages.iter().find(|it| it.name.node == name);
            if let Some(next) = next.filter(|_| !seen.contains(&name)) {
                seen.push(name);
                ways.push([&way[..], &[*next]].concat());
            }
        }
    }
    None
}

fn circular(circle: &[&Stage]) -> Diagnostic {
    let name = &circle[0].name.node;
    let message = format!("stage `{name}` would find its groups by what they have trained");
    let mut diagnostic = Diagnostic::new(&codes::CYCLE, message);
    for stage in circle {
        if let Some(groups) = &stage.groups {
            let before = stage.found_by().join("` and `");
            diagnostic = diagnostic.at(groups.place("on"), format!("found by `{before}`"));
        } else if let Some(begins) = &stage.begins_with {
            diagnostic =
                diagnostic.at(begins.span, format!("begins with that of `{}`", begins.node));
        }
    }
    diagnostic.help("let a stage find them that is trained before")
}
