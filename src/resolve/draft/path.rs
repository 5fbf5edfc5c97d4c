//! Overrides by path: what a path names inside an experiment.

use super::{Section, Slot, as_path};
use crate::diag::{Diagnostic, codes};
use crate::syntax::{Expr, Name};

impl Section {
    /// Sets what `path` names inside this experiment to `value`.
    pub fn set(&mut self, path: &[Name], value: &Expr, out: &mut Vec<Diagnostic>) {
        let (first, rest) = path.split_first().expect("a path has a name");
        if let Some(at) = self.sections.iter().position(|it| it.is("stage", &first.node)) {
            return self.set_in_stage(at, path, value, out);
        }
        let eval = self.sections.iter_mut().find(|section| section.kind == "eval");
        if let Some(eval) = eval.filter(|eval| eval.get(&first.node).is_some()) {
            return eval.set_field(path, value, out);
        }
        match first.node.as_str() {
            "eval" if !rest.is_empty() => self.set_here(path, value, out),
            "data" | "encoder" | "projector" | "augment" | "views" | "loss" | "train" | "run"
            | "seed" => {
                self.set_everywhere(path, value, out);
            }
            _ => out.extend(self.no_such_path(path)),
        }
    }

    /// A path that begins at the experiment holds for every stage.
    fn set_everywhere(&mut self, path: &[Name], value: &Expr, out: &mut Vec<Diagnostic>) {
        let name = &path[0].node;
        let stages = self.sections.iter().enumerate().filter(|(_, it)| it.kind == "stage");
        // What begins with the encoder of another stage follows that.
        let stages = stages.filter(|(_, it)| name != "encoder" || !self.is_begun(it));
        let stages: Vec<(usize, &Self)> = stages.collect();
        let own = stages.iter().filter(|(_, it)| it.has(name)).map(|(at, _)| *at);
        let own: Vec<usize> = own.collect();
        let is_inherited = own.is_empty() || own.len() < stages.len();
        // Line by line, as in `loss.cnce.weight`: the stages that have the line are meant. Lines of
        // `train` are inherited one by one, so that inside one those are meant that write it.
        let is_inside = name == "train" && path.len() > 2;
        let has_line = |section: &Self| match (path.get(1), section.section(name)) {
            (Some(line), Some(block)) if is_inside || name == "loss" || name == "augment" => {
                block.get(&line.node).is_some()
            }
            _ => !is_inside,
        };
        let some = own.iter().any(|at| has_line(&self.sections[*at]));
        let some = some || (is_inside && has_line(self));
        for at in own {
            if !some || has_line(&self.sections[at]) {
                self.sections[at].set_here(path, value, out);
            }
        }
        if (is_inherited || self.has(name)) && (!some || has_line(self)) {
            self.set_here(path, value, out);
        }
    }

    /// Whether `stage` says that it begins with the encoder of another.
    fn is_begun(&self, stage: &Self) -> bool {
        let path = stage.get("encoder").and_then(|slot| as_path(&slot.expr));
        path.is_some_and(|path| match &path.parts[..] {
            [other, output] => {
                output.node == "encoder" && self.stages().any(|it| it.name.node == other.node)
            }
            _ => false,
        })
    }

    fn set_in_stage(&mut self, at: usize, path: &[Name], value: &Expr, out: &mut Vec<Diagnostic>) {
        let stage = &path[0];
        let Some(first) = path.get(1) else {
            let message = format!("`{}` is a stage and cannot be set", stage.node);
            return out.push(
                Diagnostic::new(&codes::BAD_PATH, message)
                    .at(stage.span, "name something inside it")
                    .help(format!("for example `{}.encoder = …`", stage.node)),
            );
        };
        // An override inside something the stage inherits makes a copy of its own.
        if !self.sections[at].has(&first.node) {
            let field = self.get(&first.node).cloned();
            let section = self.section(&first.node).cloned();
            self.sections[at].fields.extend(field);
            self.sections[at].sections.extend(section);
        } else {
            self.inherit_line(at, &first.node, &path[2..]);
        }
        self.sections[at].set_here(&path[1..], value, out);
    }

    /// Copies the line that `path` goes into, if `block` is `train`, to a stage that inherits it.
    pub(super) fn inherit_line(&mut self, at: usize, block: &str, path: &[Name]) {
        let [line, _, ..] = path else { return };
        let inherited = self.section(block).and_then(|it| it.get(&line.node)).cloned();
        let own = self.sections[at].sections.iter_mut().find(|it| it.kind == block);
        if let Some(own) = own.filter(|own| block == "train" && own.get(&line.node).is_none()) {
            own.fields.extend(inherited);
        }
    }

    /// Sets a path that begins with a field or a section of this very block.
    fn set_here(&mut self, path: &[Name], value: &Expr, out: &mut Vec<Diagnostic>) {
        let (first, rest) = path.split_first().expect("a path has a name");
        if rest.is_empty() {
            if let Err(diagnostic) = self.may_have(first) {
                return out.push(diagnostic);
            }
            self.sections.retain(|it| it.kind == "stage" || it.kind != first.node);
            return self.set_field(path, value, out);
        }
        if let Some(section) = self.sections.iter_mut().find(|it| it.kind == first.node) {
            return section.set_field(rest, value, out);
        }
        if self.get(&first.node).is_some() {
            return self.set_field(path, value, out);
        }
        match first.node.as_str() {
            "train" | "run" | "seed" => {
                let mut section = Self::empty(&first.node, first.clone(), first.span);
                section.set_field(rest, value, out);
                self.sections.push(section);
            }
            _ => out.extend(self.no_such_path(path)),
        }
    }

    /// Sets a field of this section, or something inside it.
    pub fn set_field(&mut self, path: &[Name], value: &Expr, out: &mut Vec<Diagnostic>) {
        let (name, inside) = path.split_first().expect("a path has a name");
        match (self.get_mut(&name.node), inside) {
            (Some(slot), []) => slot.replace(value, out),
            (Some(slot), inside) => slot.patch(inside, value),
            (None, []) => match self.may_have(name) {
                Ok(()) => self.fields.push(Slot::new(name, value)),
                Err(diagnostic) => out.push(diagnostic),
            },
            (None, _) => out.extend(self.no_such_path(path)),
        }
    }

    /// The diagnostic for a path that names nothing here; none when it may name something that
    /// could not be read.
    fn no_such_path(&self, path: &[Name]) -> Option<Diagnostic> {
        let first = &path[0];
        let known = self.known_fields().unwrap_or_default();
        let diagnostic = if known.contains(&first.node.as_str()) {
            let message = format!("there is no `{}` here that could be overridden", first.node);
            Diagnostic::new(&codes::BAD_PATH, message).at(first.span, "set it as a whole first")
        } else {
            let message = format!("{} has nothing called `{}`", self.kind_name(), first.node);
            let diagnostic = Diagnostic::new(&codes::BAD_PATH, message);
            diagnostic.expected(first.span, &first.node, self.names())
        };
        (!self.is_damaged()).then_some(diagnostic)
    }

    /// What a path may begin with here.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.fields.iter().map(|it| it.name.node.as_str()).collect();
        names.extend(self.stages().map(|stage| stage.name.node.as_str()));
        let eval = self.section("eval").into_iter().flat_map(|eval| &eval.fields);
        names.extend(eval.map(|slot| slot.name.node.as_str()));
        if self.kind == "experiment" {
            names.extend(["data", "encoder", "projector", "augment", "views", "loss", "train"]);
        }
        names.sort_unstable();
        names.dedup();
        names
    }
}
