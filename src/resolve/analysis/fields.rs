//! The closed schemas of analysis blocks, and the values that several of them take.

use super::{Analyst, Dimension, LevelName};
use crate::diag::{Diagnostic, Span, closest, codes, or_list};
use crate::resolve::eval::kind_of;
use crate::resolve::sweep::{level_label, literal, near};
use crate::syntax::{Arg, Block, Expr, ExprKind, Field, Path, Statement, Unit};

/// The fields of a block, each of a known name and given once.
pub(super) struct Fields<'b> {
    pub block: &'b Block,
    fields: Vec<&'b Field>,
    /// What seems to be missing may stand where the file could not be read.
    is_damaged: bool,
}

impl<'b> Fields<'b> {
    pub fn get(&self, name: &str) -> Option<&'b Expr> {
        let found = self.fields.iter().find(|field| field.path.single() == Some(name));
        found.map(|field| &field.value)
    }

    /// Where the value of a field stands, or else the block.
    pub fn place(&self, name: &str) -> Span {
        self.get(name).map_or(self.block.header, |value| value.span)
    }
}

/// A word, or a call of one: `holm`, `sign_flip(level=5%)`.
pub(super) struct Word<'e> {
    pub text: &'e str,
    pub span: Span,
    pub args: &'e [Arg],
}

impl Analyst<'_> {
    /// The fields of `block`, which may have those in `known`.
    pub fn fields<'b>(&mut self, block: &'b Block, known: &[&str]) -> Fields<'b> {
        let mut found = Fields { block, fields: Vec::new(), is_damaged: false };
        for statement in &block.body {
            match statement {
                Statement::Field(field) => self.field(field, known, &mut found),
                Statement::Unreadable(_) => found.is_damaged = true,
                _ => {
                    found.is_damaged = true;
                    let message = format!("`{}` holds `name = value` lines", block.kind.node);
                    self.out.push(
                        Diagnostic::new(&codes::UNKNOWN_BLOCK, message)
                            .at(block.header, "and nothing else"),
                    );
                }
            }
        }
        found
    }

    fn field<'b>(&mut self, field: &'b Field, known: &[&str], found: &mut Fields<'b>) {
        let (name, span) = (field.path.text(), field.path.span);
        let kind = &found.block.kind.node;
        if !known.contains(&name.as_str()) {
            found.is_damaged |= closest(&name, known.iter().copied()).is_some();
            let message = format!("`{kind}` has no field `{name}`");
            let diagnostic = Diagnostic::new(&codes::UNKNOWN_BLOCK, message);
            return self.out.push(diagnostic.expected(span, &name, known.iter().copied()));
        }
        let same = |it: &&&Field| it.path.text() == name;
        if let Some(first) = found.fields.iter().find(same) {
            return self.out.push(
                Diagnostic::new(&codes::DUPLICATE, format!("`{name}` is set twice"))
                    .at(span, "a second time")
                    .at(first.path.span, "first here"),
            );
        }
        found.fields.push(field);
    }

    /// The field `name`, which has no default.
    pub fn needed<'b>(
        &mut self,
        fields: &Fields<'b>,
        name: &str,
        example: &str,
    ) -> Option<&'b Expr> {
        let found = fields.get(name);
        if found.is_none() && !fields.is_damaged {
            let message = format!("`{}` needs `{name}`", fields.block.kind.node);
            self.out.push(
                Diagnostic::new(&codes::MISSING, message)
                    .at(fields.block.header, format!("add `{name} = {example}`")),
            );
        }
        found
    }

    /// The name of a block that needs one.
    pub fn name_of(&mut self, block: &Block) -> Option<String> {
        if block.label.is_none() {
            let kind = &block.kind.node;
            self.out.push(
                Diagnostic::new(&codes::HEADER, format!("this {kind} has no name"))
                    .at(block.header, format!("write `{kind} NAME {{ … }}`")),
            );
        }
        block.label.as_ref().map(|label| label.node.clone())
    }

    /// The axis that `expr` names, or one of the `words`.
    pub fn axis(&mut self, expr: &Expr, words: &[&str]) -> Option<String> {
        let text = match &expr.kind {
            ExprKind::Path(path) => match self.dimension(path) {
                Some(dimension) => return Some(dimension.name.node.clone()),
                None => path.text(),
            },
            ExprKind::Paren(inner) => return self.axis(inner, words),
            ExprKind::Text(text) => text.clone(),
            _ => {
                let label = format!("this is {}", kind_of(expr));
                let diagnostic = Diagnostic::new(&codes::WRONG_TYPE, "an axis is needed here");
                self.out.push(diagnostic.at(expr.span, label));
                return None;
            }
        };
        if words.contains(&text.as_str()) {
            return Some(text);
        }
        let axes = self.ground.dimensions.iter().map(|it| it.name.node.as_str());
        let names: Vec<&str> = axes.chain(words.iter().copied()).collect();
        let message = format!("no axis is called `{text}`");
        let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
        self.out.push(match names[..] {
            [] => diagnostic.at(expr.span, "this sweep has none"),
            _ => diagnostic.expected(expr.span, &text, names),
        });
        None
    }

    /// The axes of a field that takes one or a list.
    pub fn axes(&mut self, expr: Option<&Expr>, words: &[&str]) -> Vec<String> {
        match expr.map(|expr| (&expr.kind, expr)) {
            None | Some((ExprKind::None, _)) => Vec::new(),
            Some((ExprKind::List(items), _)) => {
                items.iter().filter_map(|item| self.axis(item, words)).collect()
            }
            Some((_, expr)) => self.axis(expr, words).into_iter().collect(),
        }
    }

    /// The axis that `path` names, by its name or by what it sets.
    pub fn dimension(&self, path: &Path) -> Option<&Dimension<'_>> {
        let text = path.text();
        let dimensions = &self.ground.dimensions;
        let by_name = dimensions.iter().find(|it| it.name.node == text);
        by_name.or_else(|| dimensions.iter().find(|it| it.path == Some(text.as_str())))
    }

    /// The axes of several levels that none of `used` is.
    pub fn averaged(&self, used: &[&str]) -> Vec<String> {
        let is_left = |it: &&Dimension| {
            let names = self.ground.dimensions.iter().filter(|other| other.axis == it.axis);
            it.levels.len() > 1
                && !names.into_iter().any(|it| used.contains(&it.name.node.as_str()))
        };
        let left = self.ground.dimensions.iter().filter(is_left);
        left.map(|it| it.name.node.clone()).collect()
    }

    /// The confidence of an interval: `ci(95%)`.
    pub fn confidence(&mut self, word: &Word) -> Option<f64> {
        let [Arg { name: None, value }] = word.args else {
            let label = format!("for example `{}(95%)`", word.text);
            let message = format!("`{}` needs its confidence", word.text);
            self.out.push(Diagnostic::new(&codes::MISSING, message).at(word.span, label));
            return None;
        };
        self.share(value, "the confidence", (0.5, 1.0), "95%")
    }

    /// A share strictly between two bounds.
    pub fn share(
        &mut self,
        expr: &Expr,
        what: &str,
        (low, high): (f64, f64),
        example: &str,
    ) -> Option<f64> {
        let quantity = self.eval().quantity(expr)?;
        if quantity.unit.is_none() && low < quantity.value && quantity.value < high {
            return Some(quantity.value);
        }
        let (code, label) = match quantity.unit {
            Some(unit) => {
                (&codes::WRONG_UNIT, format!("not {}; for example `{example}`", unit.text()))
            }
            None => (
                &codes::OUT_OF_RANGE,
                format!(
                    "expected between {}% and {}%, for example `{example}`",
                    100.0 * low,
                    100.0 * high
                ),
            ),
        };
        self.out.push(Diagnostic::new(code, format!("{what} cannot be this")).at(expr.span, label));
        None
    }

    /// The meaning of a word that takes no arguments, out of a closed list.
    pub fn word<T: Copy>(&mut self, expr: &Expr, what: &str, words: &[(&str, T)]) -> Option<T> {
        let found = word_of(expr);
        let wanted = found.as_ref().and_then(|it| words.iter().find(|(word, _)| *word == it.text));
        match (found, wanted) {
            (Some(word), Some((_, value))) if word.args.is_empty() => Some(*value),
            (Some(word), Some(_)) => {
                let message = format!("`{}` takes no arguments", word.text);
                let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
                self.out.push(diagnostic.at(word.span, format!("write `{}`", word.text)));
                None
            }
            _ => self.no_word(expr, what, words.iter().map(|(word, _)| *word)),
        }
    }

    /// Reports that `expr` is none of the words that `what` can be.
    pub fn no_word<'w, T>(
        &mut self,
        expr: &Expr,
        what: &str,
        words: impl Iterator<Item = &'w str>,
    ) -> Option<T> {
        let text = word_of(expr).map_or(expr.to_string(), |word| word.text.to_owned());
        let message = format!("{what} cannot be `{text}`");
        let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
        self.out.push(diagnostic.expected(expr.span, &text, words));
        None
    }

    /// A text that stands as it is.
    pub fn text(&mut self, expr: &Expr, what: &str) -> Option<String> {
        if let ExprKind::Text(text) = &expr.kind {
            return Some(text.clone());
        }
        let label = format!("this is {}; write it in quotes", kind_of(expr));
        let message = format!("`{what}` is a text");
        self.out.push(Diagnostic::new(&codes::WRONG_TYPE, message).at(expr.span, label));
        None
    }
}

impl Dimension<'_> {
    /// The levels that `expr` names, by label or by number.
    pub fn named(&self, expr: &Expr) -> Vec<usize> {
        let (label, number) = (level_label(expr), literal(expr));
        let is_meant = |level: &LevelName| match (number, level.number) {
            (Some(a), Some(b)) => near(a, b),
            _ => level.label == label,
        };
        (0..self.levels.len()).filter(|at| is_meant(&self.levels[*at])).collect()
    }

    /// What to say of an `expr` that names no level.
    pub fn unknown(&self, expr: &Expr) -> Diagnostic {
        let label = level_label(expr);
        let message = format!("`{}` is never `{label}`", self.name.node);
        let labels = self.levels.iter().map(|level| level.label);
        let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
        let diagnostic = match literal(expr) {
            // A number is no misspelling of another.
            Some(_) => {
                let list = or_list(&labels.collect::<Vec<_>>());
                diagnostic.at(expr.span, format!("expected {list}"))
            }
            None => diagnostic.expected(expr.span, &label, labels),
        };
        diagnostic.at(self.name.span, "of this axis")
    }
}

/// The word that an expression is, with its arguments.
pub(super) fn word_of(expr: &Expr) -> Option<Word<'_>> {
    let (path, args): (&Path, &[Arg]) = match &expr.kind {
        ExprKind::Path(path) => (path, &[]),
        ExprKind::Call(call) => (&call.path, &call.args),
        ExprKind::Paren(inner) => return word_of(inner),
        _ => return None,
    };
    path.single().map(|text| Word { text, span: expr.span, args })
}

/// Whether a unit is that of a difference between two shares.
pub(super) fn is_points(unit: Option<Unit>) -> bool {
    unit == Some(Unit::Points)
}
