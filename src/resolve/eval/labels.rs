//! Labels and features: groups of classes, and the encoders that are read.

use super::super::draft::as_path;
use super::quantity::wrong_type;
use super::{Eval, Want};
use crate::catalog::{Features, Labels, Value};
use crate::diag::{Diagnostic, codes};
use crate::syntax::{Call, Expr, ExprKind, Path};

impl Eval<'_> {
    /// `stage.encoder`, `stage.projector`, or a stage's name alone, which is its encoder.
    pub(super) fn encoder(&mut self, path: &Path) -> Option<Features> {
        let (stage, output) = match &path.parts[..] {
            [only] if only.node == "auto" && path.single().is_some() => {
                return Some(Features::Auto);
            }
            [only] if only.node == "last" && !self.stages.contains(&only.node) => {
                return self.last_of_one(path);
            }
            [stage] => (stage, None),
            [stage, output] => (stage, Some(output)),
            _ => {
                self.out.push(
                    Diagnostic::new(&codes::WRONG_TYPE, "features are named by their stage")
                        .at(path.span, "write `STAGE.encoder`"),
                );
                return None;
            }
        };
        if !self.stages.contains(&stage.node) {
            let message = format!("no stage is called `{}`", stage.node);
            let names = self.stages.iter().map(String::as_str);
            let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
            let diagnostic = diagnostic.expected(stage.span, &stage.node, names);
            self.missing(diagnostic);
            return None;
        }
        let (name, outputs) = (stage.node.clone(), ["encoder", "projector"]);
        match output.map(|output| output.node.as_str()) {
            None | Some("encoder") => Some(Features::Encoder(name)),
            Some("projector") => Some(Features::Projector(name)),
            Some(other) => {
                let message = format!("a stage gives `encoder` and `projector`, not `{other}`");
                let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
                let span = output.map_or(path.span, |output| output.span);
                self.out.push(diagnostic.expected(span, other, outputs));
                None
            }
        }
    }

    /// `last`: the only stage's encoder after its last step.
    fn last_of_one(&mut self, path: &Path) -> Option<Features> {
        if let [only] = &self.stages[..] {
            return Some(Features::Last(only.clone()));
        }
        let list: Vec<_> = self.stages.iter().map(|it| format!("`last({it}.encoder)`")).collect();
        self.out.push(
            Diagnostic::new(&codes::MISSING, "`last` could be the last state of several stages")
                .at(path.span, "name the stage")
                .help(format!("write {}", list.join(" or "))),
        );
        None
    }

    /// `last(a.encoder)`
    fn last(&mut self, call: &Call, expr: &Expr, want: Want) -> Option<Value> {
        let path = match &call.args[..] {
            [arg] => as_path(&arg.value),
            _ => None,
        };
        let Some(path) = path else {
            self.out.push(wrong_type(expr, want).help("write `last(STAGE.encoder)`"));
            return None;
        };
        match self.encoder(path)? {
            Features::Encoder(stage) => Some(Value::Features(Features::Last(stage))),
            _ => {
                let message = "`last` is said of the encoder of one stage";
                self.out.push(
                    Diagnostic::new(&codes::WRONG_TYPE, message)
                        .at(path.span, "write `last(STAGE.encoder)`"),
                );
                None
            }
        }
    }

    /// `concat(a.encoder, b.encoder)`, `last(a.encoder)`
    pub(super) fn features(&mut self, call: &Call, expr: &Expr, want: Want) -> Option<Value> {
        let name = call.path.text();
        if name == "last" {
            return self.last(call, expr, want);
        }
        if name != "concat" {
            let message = format!("`{name}` does not join features");
            let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
            self.out.push(diagnostic.expected(call.path.span, &name, ["concat", "last"]));
            return None;
        }
        let stages: Vec<_> = call.args.iter().map(|arg| self.joined(&arg.value, want)).collect();
        let stages: Vec<String> = stages.into_iter().collect::<Option<_>>()?;
        if stages.is_empty() {
            self.out.push(
                Diagnostic::new(&codes::MISSING, "`concat` joins at least one stage's features")
                    .at(expr.span, "write `concat(a.encoder, b.encoder)`"),
            );
            return None;
        }
        Some(Value::Features(Features::Concat(stages)))
    }

    /// The stage that one part of `concat(…)` reads.
    fn joined(&mut self, expr: &Expr, want: Want) -> Option<String> {
        let Some(path) = as_path(expr) else {
            self.out.push(wrong_type(expr, want).help("write `concat(a.encoder, b.encoder)`"));
            return None;
        };
        match self.encoder(path)? {
            Features::Encoder(stage) => Some(stage),
            Features::Projector(_) => {
                let diagnostic = Diagnostic::new(&codes::WRONG_TYPE, "`concat` joins encoders");
                self.out.push(
                    diagnostic
                        .at(expr.span, "this is what a projector makes of one")
                        .help("measure it in a line of its own: `on=STAGE.projector`"),
                );
                None
            }
            _ => {
                self.out.push(wrong_type(expr, want).help("name each stage that is joined"));
                None
            }
        }
    }

    /// `group({"animal" = [bird, cat], "vehicle" = [plane]})`
    pub(super) fn group(&mut self, call: &Call, expr: &Expr, want: Want) -> Option<Value> {
        let how = r#"groups are written `group({"animal" = [bird, cat], "vehicle" = [plane]})`"#;
        let record = match &call.args[..] {
            [arg] if call.path.single() == Some("group") => match &arg.value.kind {
                ExprKind::Record(pairs) => Some(pairs),
                _ => None,
            },
            _ => None,
        };
        let Some(record) = record else {
            self.out.push(wrong_type(expr, want).help(how));
            return None;
        };
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for (name, members) in record {
            let first = record.iter().find(|(other, _)| other.node == name.node);
            if let Some((first, _)) = first.filter(|(first, _)| first.span != name.span) {
                let message = format!("the group `{}` is given twice", name.node);
                self.out.push(
                    Diagnostic::new(&codes::DUPLICATE, message)
                        .at(name.span, "a second time")
                        .at(first.span, "first here"),
                );
                return None;
            }
            let ExprKind::List(items) = &members.kind else {
                self.out.push(wrong_type(members, want).help(how));
                return None;
            };
            let members: Option<Vec<_>> = items.iter().map(|item| self.member(item)).collect();
            groups.push((name.node.clone(), members?));
        }
        Some(Value::Labels(Labels::Group(groups)))
    }

    /// A fine class, by its name or its id.
    fn member(&mut self, item: &Expr) -> Option<String> {
        match &item.kind {
            ExprKind::Path(path) => Some(path.text()),
            ExprKind::Text(text) => Some(text.clone()),
            ExprKind::Number { text, unit: None, .. } => Some(text.clone()),
            _ => {
                self.out.push(
                    Diagnostic::new(&codes::WRONG_TYPE, "a group lists fine classes")
                        .at(item.span, "expected a class's name or id"),
                );
                None
            }
        }
    }
}
