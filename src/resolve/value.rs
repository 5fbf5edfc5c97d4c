//! Expressions to values: what a name means depends on what is wanted where it stands.

use std::collections::BTreeMap;

use super::draft::Patch;
use super::import::Program;
use super::quantity::wrong_type;
use super::scope::{self, Meaning};
use crate::catalog::{Catalog, Features, Kind, Labels, ParamSpec, Type, Value};
use crate::diag::{Diagnostic, closest, codes};
use crate::syntax::{Call, Expr, ExprKind, Name, Op, Path};

/// What is wanted at a place: a type, and whose it is.
#[derive(Clone, Copy)]
pub(super) struct Want<'a> {
    pub ty: &'a Type,
    /// The parameter or field.
    pub name: &'a str,
    pub docs: &'a str,
}

impl<'a> Want<'a> {
    /// What a declared parameter accepts.
    pub fn param(param: &'a ParamSpec) -> Self {
        Self { ty: &param.ty, name: param.name, docs: param.docs }
    }

    /// The same parameter with an inner type of its own.
    fn inner(self, ty: &'a Type) -> Self {
        Self { ty, ..self }
    }

    /// The first sentence of the documentation.
    pub fn help(self) -> String {
        self.docs.lines().next().unwrap_or_default().trim().to_owned()
    }
}

/// Overrides of parameters, by file and name.
pub(super) type Params = BTreeMap<(u16, String), Expr>;

/// Most expressions one experiment may need; a file that names itself over and over stops here.
const BUDGET: usize = 200_000;

/// The evaluation of one experiment's expressions.
pub(super) struct Eval<'a> {
    pub program: &'a Program,
    pub catalog: &'a Catalog,
    pub params: &'a Params,
    pub out: &'a mut Vec<Diagnostic>,
    /// Names being worked out, to find definitions that go in circles.
    stack: Vec<(u16, String)>,
    budget: usize,
}

impl<'a> Eval<'a> {
    pub fn new(
        program: &'a Program,
        catalog: &'a Catalog,
        params: &'a Params,
        out: &'a mut Vec<Diagnostic>,
    ) -> Self {
        Self { program, catalog, params, out, stack: Vec::new(), budget: BUDGET }
    }

    /// The value of `expr` where `want` is wanted; `patches` override parts of a call.
    pub fn value(&mut self, expr: &Expr, patches: &[&Patch], want: Want) -> Option<Value> {
        self.budget = self.budget.checked_sub(1).or_else(|| self.exhausted(expr))?;
        match (&expr.kind, want.ty) {
            (ExprKind::Paren(inner), _) => self.value(inner, patches, want),
            (ExprKind::If { test, then, otherwise }, _) => {
                let chosen = if self.truth(test)? { then } else { otherwise };
                self.value(chosen, patches, want)
            }
            (ExprKind::None, Type::Optional(_)) => Some(Value::None),
            (_, Type::Optional(inner)) => self.value(expr, patches, want.inner(inner)),
            (ExprKind::Path(path), _) => self.path(path, expr, patches, want),
            (ExprKind::Call(call), Type::Component(kind)) => {
                let bound = self.component(*kind, call, expr.span, patches)?;
                Some(Value::Component(Box::new(bound)))
            }
            (ExprKind::Call(call), Type::Labels) => self.group(call, expr, want),
            (ExprKind::Call(call), Type::Features) => self.concat(call, expr, want),
            (ExprKind::List(items), Type::List(item)) => {
                let values: Vec<_> =
                    items.iter().map(|it| self.value(it, &[], want.inner(item))).collect();
                values.into_iter().collect::<Option<Vec<_>>>().map(Value::List)
            }
            (ExprKind::Text(text), Type::Text) => Some(Value::Text(text.clone())),
            (ExprKind::Bool(value), Type::Bool) => Some(Value::Bool(*value)),
            (_, Type::Bool) => self.truth(expr).map(Value::Bool),
            (_, Type::Interval { .. }) => self.interval(expr, want),
            (_, Type::Int { .. } | Type::Real { .. } | Type::Duration | Type::Amount) => {
                self.number(expr, want)
            }
            _ => {
                self.out.push(wrong_type(expr, want));
                None
            }
        }
    }

    fn exhausted(&mut self, expr: &Expr) -> Option<usize> {
        self.out.push(
            Diagnostic::new(&codes::CYCLE, "this experiment is too large to work out")
                .at(expr.span, "given up here"),
        );
        None
    }

    fn path(&mut self, path: &Path, expr: &Expr, patches: &[&Patch], want: Want) -> Option<Value> {
        match want.ty {
            Type::Choice(words) => {
                if let Some(word) = path.single().filter(|word| words.contains(word)) {
                    return Some(Value::Word(word.to_owned()));
                }
            }
            Type::Features => return self.encoder(path).map(Value::Features),
            Type::Labels if !self.is_value(path) => {
                if let Some(column) = path.single() {
                    return Some(Value::Labels(labels(column)));
                }
            }
            Type::Component(kind) if !self.is_value(path) => {
                let call = Call { path: path.clone(), args: Vec::new() };
                let bound = self.component(*kind, &call, expr.span, patches)?;
                return Some(Value::Component(Box::new(bound)));
            }
            _ => {}
        }
        if let (Type::Choice(words), false) = (want.ty, self.is_value(path)) {
            self.out.push(not_a_choice(path, words, want));
            return None;
        }
        let (expr, leave) = self.follow(path, &want.ty.to_string())?;
        let found = self.value(&expr, patches, want);
        self.leave(leave);
        found
    }

    /// Whether `path` names a value of the file.
    fn is_value(&self, path: &Path) -> bool {
        let found = scope::lookup(self.program, path.span.file, &path.parts);
        matches!(found, Some((_, meaning)) if !matches!(meaning, Meaning::Block(_)))
    }

    /// The expression a name stands for; the caller calls [`Eval::leave`] when done with it.
    pub fn follow(&mut self, path: &Path, wanted: &str) -> Option<(Expr, usize)> {
        let Some((file, meaning)) = scope::lookup(self.program, path.span.file, &path.parts) else {
            self.unknown(path, wanted);
            return None;
        };
        let name = &path.parts[path.parts.len() - 1].node;
        let key = (file, name.clone());
        let expr = match meaning {
            Meaning::Let(expr) | Meaning::Declaration(expr) => expr.clone(),
            Meaning::Param(param) => self.params.get(&key).unwrap_or(&param.default).clone(),
            Meaning::Block(block) => {
                let message = format!("`{}` is a block, not {wanted}", path.text());
                self.out.push(
                    Diagnostic::new(&codes::WRONG_TYPE, message)
                        .at(path.span, "named here")
                        .at(block.header, "declared here"),
                );
                return None;
            }
        };
        if self.stack.contains(&key) {
            let message = format!("`{name}` is defined by itself");
            self.out.push(Diagnostic::new(&codes::CYCLE, message).at(path.span, "comes back here"));
            return None;
        }
        self.stack.push(key);
        Some((expr, self.stack.len()))
    }

    /// Ends what [`Eval::follow`] began.
    pub fn leave(&mut self, depth: usize) {
        self.stack.truncate(depth - 1);
    }

    fn unknown(&mut self, path: &Path, wanted: &str) {
        let text = path.text();
        let names = scope::visible(self.program, path.span.file);
        let near = closest(&text, names.iter().map(String::as_str));
        let message = format!("nothing here is called `{text}`");
        let otherwise = match &names[..] {
            [] => format!("expected {wanted}"),
            names => format!("expected {wanted}; this file knows {}", names.join(", ")),
        };
        self.out.push(
            Diagnostic::new(&codes::UNKNOWN_NAME, message).suggest(path.span, near, otherwise),
        );
    }

    /// Whether a condition over parameters holds.
    pub fn truth(&mut self, expr: &Expr) -> Option<bool> {
        match &expr.kind {
            ExprKind::Bool(value) => Some(*value),
            ExprKind::Paren(inner) => self.truth(inner),
            ExprKind::Not(inner) => self.truth(inner).map(|value| !value),
            ExprKind::Binary { op: Op::And, left, right } => {
                Some(self.truth(left)? & self.truth(right)?)
            }
            ExprKind::Binary { op: Op::Or, left, right } => {
                Some(self.truth(left)? | self.truth(right)?)
            }
            ExprKind::Binary { op, left, right } => self.comparison(*op, left, right, expr),
            ExprKind::Path(path) => {
                let (expr, leave) = self.follow(path, "true or false")?;
                let found = self.truth(&expr);
                self.leave(leave);
                found
            }
            _ => {
                self.not_truth(expr);
                None
            }
        }
    }

    fn not_truth(&mut self, expr: &Expr) {
        let label = format!("this is {}", super::quantity::kind_of(expr));
        self.out.push(
            Diagnostic::new(&codes::WRONG_TYPE, "true or false is needed here")
                .at(expr.span, label),
        );
    }

    fn comparison(&mut self, op: Op, left: &Expr, right: &Expr, whole: &Expr) -> Option<bool> {
        if !matches!(
            op,
            Op::Equal | Op::NotEqual | Op::Less | Op::LessEqual | Op::Greater | Op::GreaterEqual
        ) {
            self.not_truth(whole);
            return None;
        }
        if let (Some(a), Some(b)) = (self.text(left), self.text(right)) {
            return Some((a == b) == (op == Op::Equal));
        }
        let (a, b) = (self.quantity(left)?.value, self.quantity(right)?.value);
        Some(match op {
            Op::Equal => a == b,
            Op::NotEqual => a != b,
            Op::Less => a < b,
            Op::LessEqual => a <= b,
            Op::Greater => a > b,
            _ => a >= b,
        })
    }

    /// The text an expression stands for, if it is one.
    fn text(&mut self, expr: &Expr) -> Option<String> {
        match &expr.kind {
            ExprKind::Text(text) => Some(text.clone()),
            ExprKind::Paren(inner) => self.text(inner),
            ExprKind::Path(path) if self.is_value(path) => {
                let (expr, leave) = self.follow(path, "text")?;
                let found = self.text(&expr);
                self.leave(leave);
                found
            }
            _ => None,
        }
    }

    /// `stage.encoder`, or a stage's name alone.
    fn encoder(&mut self, path: &Path) -> Option<Features> {
        match &path.parts[..] {
            [stage] => Some(Features::Encoder(stage.node.clone())),
            [stage, output] if output.node == "encoder" => {
                Some(Features::Encoder(stage.node.clone()))
            }
            [_, output] => {
                let message = format!("a stage gives `encoder`, not `{}`", output.node);
                let near = closest(&output.node, ["encoder"]);
                self.out.push(Diagnostic::new(&codes::UNKNOWN_NAME, message).suggest(
                    output.span,
                    near,
                    format!("write `{}.encoder`", path.parts[0].node),
                ));
                None
            }
            _ => {
                self.out.push(
                    Diagnostic::new(&codes::WRONG_TYPE, "features are named by their stage")
                        .at(path.span, "write `STAGE.encoder`"),
                );
                None
            }
        }
    }

    /// `concat(a.encoder, b.encoder)`
    fn concat(&mut self, call: &Call, expr: &Expr, want: Want) -> Option<Value> {
        if call.path.single() != Some("concat") {
            self.out.push(wrong_type(expr, want).help("join features with `concat(a.encoder, …)`"));
            return None;
        }
        let mut stages = Vec::new();
        for arg in &call.args {
            let path = super::draft::as_path(&arg.value);
            let Some(Features::Encoder(stage)) = path.and_then(|path| self.encoder(path)) else {
                if path.is_none() {
                    self.out.push(wrong_type(&arg.value, want));
                }
                return None;
            };
            stages.push(stage);
        }
        if stages.is_empty() {
            self.out.push(
                Diagnostic::new(&codes::MISSING, "`concat` joins at least one stage's features")
                    .at(expr.span, "write `concat(a.encoder, b.encoder)`"),
            );
            return None;
        }
        Some(Value::Features(Features::Concat(stages)))
    }

    /// `group({"animal" = [bird, cat], "vehicle" = [plane]})`
    fn group(&mut self, call: &Call, expr: &Expr, want: Want) -> Option<Value> {
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
            if groups.iter().any(|(other, _)| *other == name.node) {
                let message = format!("the group `{}` is given twice", name.node);
                self.out.push(Diagnostic::new(&codes::DUPLICATE, message).at(name.span, "again"));
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

    /// The component of `kind` that a call asks for.
    fn component(
        &mut self,
        kind: Kind,
        call: &Call,
        span: crate::diag::Span,
        patches: &[&Patch],
    ) -> Option<crate::catalog::Bound> {
        let name = call.path.text();
        let Some(spec) = self.catalog.find(kind, &name) else {
            self.out.push(self.no_component(kind, &call.path, &name));
            return None;
        };
        self.bind(spec, call, span, patches)
    }

    fn no_component(&self, kind: Kind, path: &Path, name: &str) -> Diagnostic {
        if let Some(other) = self.catalog.named(name).first() {
            let message = format!("`{name}` is no {}", kind.name());
            return Diagnostic::new(&codes::WRONG_TYPE, message)
                .at(
                    path.span,
                    format!("this is a component of another kind: {}", other.kind.name()),
                )
                .help(format!("for example {}", self.names(kind).join(", ")));
        }
        let message = format!("no {} is called `{name}`", kind.name());
        let names = self.names(kind);
        let declared = scope::visible(self.program, path.span.file);
        let all = names.iter().copied().chain(declared.iter().map(String::as_str));
        let near = closest(name, all);
        let otherwise = format!("there are: {}", names.join(", "));
        Diagnostic::new(&codes::UNKNOWN_NAME, message).suggest(path.span, near, otherwise)
    }

    fn names(&self, kind: Kind) -> Vec<&'static str> {
        self.catalog.of(kind).map(|spec| spec.name).collect()
    }
}

/// A label column by its name.
fn labels(column: &str) -> Labels {
    match column {
        "declared" => Labels::Declared,
        column => Labels::Column(column.to_owned()),
    }
}

fn not_a_choice(path: &Path, words: &[&'static str], want: Want) -> Diagnostic {
    let text = path.text();
    let message = format!("`{}` cannot be `{text}`", want.name);
    let near = closest(&text, words.iter().copied());
    let all = format!("it is one of {}", words.join(", "));
    Diagnostic::new(&codes::UNKNOWN_NAME, message).suggest(path.span, near, all)
}

/// The patches that reach into the argument `name`, one level down.
pub(super) fn inside<'p>(patches: &[&'p Patch], name: &str) -> Vec<(&'p [Name], &'p Expr)> {
    patches
        .iter()
        .filter(|patch| patch.path.first().is_some_and(|first| first.node == name))
        .map(|patch| (&patch.path[1..], &patch.value))
        .collect()
}
