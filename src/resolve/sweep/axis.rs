//! The axes of a sweep: `grid`, `zip`, `choose`, `toggle`.

use super::super::draft::Section;
use super::level::level_label;
use super::{Axis, Change, Level, Reader};
use crate::diag::{Diagnostic, Span, codes};
use crate::syntax::{Block, Expr, Field, Name, Path, Statement};

/// The labelled values of one field of a `grid` or `zip`.
struct Values<'b> {
    field: &'b Field,
    levels: Vec<Level>,
}

/// Columns of tables of single values beside those of axes.
const COLUMNS: [&str; 5] = ["measure", "split", "seed", "value", "group_labels"];

/// An axis that a table of single values could not tell from another column.
fn like_a_column(name: &Name) -> Option<Diagnostic> {
    let called = COLUMNS.iter().find(|column| **column == name.node)?;
    let message = format!("an axis cannot be called `{called}`");
    let other = format!("`choose my_{called} {{ \"label\" {{ path = value }} }}`");
    Some(
        Diagnostic::new(&codes::DUPLICATE, message)
            .at(name.span, "tables of single values have a column of this name")
            .help(format!("give it another name: {other}")),
    )
}

impl Reader<'_> {
    /// One axis for each line.
    pub(super) fn grid(&mut self, block: &Block) -> Vec<Axis> {
        self.unnamed(block);
        let values = self.values(block);
        values.into_iter().map(|Values { field, levels }| Axis::of(field, levels)).collect()
    }

    /// One axis that takes one value of each line at a time.
    pub(super) fn zip(&mut self, block: &Block) -> Option<Axis> {
        self.unnamed(block);
        let values = self.values(block);
        let (first, rest) = values.split_first()?;
        if let Some(other) = rest.iter().find(|it| it.levels.len() != first.levels.len()) {
            self.out.push(
                Diagnostic::new(&codes::AXIS_CLASH, "the lists of a `zip` are of one length")
                    .at(first.field.value.span, format!("{} values", first.levels.len()))
                    .at(other.field.value.span, format!("{} values", other.levels.len())),
            );
            return None;
        }
        let level = |at: usize| {
            let parts = values.iter().map(|it| &it.levels[at]);
            Level {
                labels: parts.clone().flat_map(|level| level.labels.clone()).collect(),
                values: parts.clone().flat_map(|level| level.values.clone()).collect(),
                changes: parts.flat_map(|level| level.changes.clone()).collect(),
            }
        };
        Some(Axis {
            levels: (0..first.levels.len()).map(level).collect(),
            names: values.iter().map(|it| axis_name(it.field)).collect(),
            paths: values.iter().map(|it| Some(it.field.path.text())).collect(),
            is_toggle: false,
            span: block.header,
        })
    }

    /// One axis of labelled variants.
    pub(super) fn choose(&mut self, block: &Block) -> Option<Axis> {
        let name = self.named(block)?;
        let mut levels: Vec<(Level, Span)> = Vec::new();
        for statement in &block.body {
            match statement {
                Statement::Block(variant) => levels.extend(self.labelled(variant, &levels)),
                Statement::Unreadable(_) => {}
                _ => self.out.push(
                    Diagnostic::new(&codes::UNKNOWN_BLOCK, "`choose` holds labelled variants")
                        .at(block.header, "write `\"label\" { path = value }` inside"),
                ),
            }
        }
        if levels.is_empty() && !block.body.is_empty() {
            return None;
        }
        if levels.is_empty() {
            self.out.push(
                Diagnostic::new(&codes::EMPTY, format!("`{}` has no variant", name.node))
                    .at(block.header, "write `\"label\" { path = value }` inside"),
            );
            return None;
        }
        let levels = levels.into_iter().map(|(level, _)| level).collect();
        Some(Axis {
            names: vec![name],
            paths: vec![None],
            levels,
            is_toggle: false,
            span: block.header,
        })
    }

    fn labelled(&mut self, variant: &Block, before: &[(Level, Span)]) -> Option<(Level, Span)> {
        let label = match (&variant.label, variant.kind.node.as_str()) {
            (Some(label), "variant") => label.node.clone(),
            (None, kind) => kind.to_owned(),
            (Some(label), _) => {
                self.out.push(
                    Diagnostic::new(&codes::HEADER, "a variant has a label and nothing else")
                        .at(variant.header, format!("write `{:?} {{ … }}`", label.node)),
                );
                return None;
            }
        };
        if label.is_empty() {
            self.out.push(
                Diagnostic::new(&codes::HEADER, "a variant is called by its label, which is empty")
                    .at(variant.header, "write `\"label\" { … }`"),
            );
        }
        if let Some((_, first)) = before.iter().find(|(level, _)| level.labels[0] == label) {
            self.out.push(
                Diagnostic::new(&codes::DUPLICATE, format!("the variant `{label}` is given twice"))
                    .at(variant.header, "a second time")
                    .at(*first, "first here"),
            );
        }
        Some((self.variant(label, &variant.body), variant.header))
    }

    /// An axis with the levels `on` and `off`.
    pub(super) fn toggle(&mut self, block: &Block) -> Option<Axis> {
        let name = self.named(block)?;
        let on = self.variant("on".into(), &block.body);
        let off = self.variant("off".into(), block.otherwise.as_deref().unwrap_or_default());
        Some(Axis {
            names: vec![name],
            paths: vec![None],
            levels: vec![on, off],
            is_toggle: true,
            span: block.header,
        })
    }

    fn variant(&mut self, label: String, body: &[Statement]) -> Level {
        let mut changes = Vec::new();
        for statement in body {
            match statement {
                Statement::Field(field) => self.change(&mut changes, Change::Set(field.clone())),
                Statement::Unreadable(_) => {}
                other => {
                    let name = Name { node: label.clone(), span: Span::default() };
                    let over = Section::over(other, &name, self.out);
                    self.change(&mut changes, Change::Lay(over));
                }
            }
        }
        Level { labels: vec![label], values: vec![None], changes }
    }

    fn named(&mut self, block: &Block) -> Option<Name> {
        if block.label.is_none() {
            let kind = &block.kind.node;
            self.out.push(
                Diagnostic::new(&codes::HEADER, format!("`{kind}` needs a name for its axis"))
                    .at(block.header, format!("write `{kind} NAME {{ … }}`")),
            );
        }
        block.label.clone()
    }

    fn unnamed(&mut self, block: &Block) {
        if let Some(label) = &block.label {
            let kind = &block.kind.node;
            self.out.push(
                Diagnostic::new(&codes::HEADER, format!("`{kind}` takes no name"))
                    .at(label.span, format!("write `{kind} {{ path = [values] }}`")),
            );
        }
    }

    fn values<'b>(&mut self, block: &'b Block) -> Vec<Values<'b>> {
        let mut all = Vec::new();
        if block.body.is_empty() {
            let kind = &block.kind.node;
            self.out.push(
                Diagnostic::new(&codes::EMPTY, format!("this `{kind}` varies nothing"))
                    .at(block.header, "write `path = [values]` inside"),
            );
        }
        for statement in &block.body {
            match statement {
                Statement::Field(field) => {
                    let levels = self.levels(field, block.kind.node == "zip");
                    all.extend(levels.map(|levels| Values { field, levels }));
                }
                Statement::Unreadable(_) => {}
                _ => {
                    let message = format!("`{}` holds `path = [values]` lines", block.kind.node);
                    self.out.push(
                        Diagnostic::new(&codes::UNKNOWN_BLOCK, message)
                            .at(block.header, "in this block"),
                    );
                }
            }
        }
        all
    }

    /// Axes that could not be told apart, or that undo each other.
    pub(in crate::resolve) fn check_axes(&mut self, axes: &[Axis]) {
        let mut names: Vec<&Name> = Vec::new();
        let mut paths: Vec<(String, Span, usize)> = Vec::new();
        for (at, axis) in axes.iter().enumerate() {
            for name in &axis.names {
                self.out.extend(like_a_column(name));
                if let Some(first) = names.iter().find(|other| other.node == name.node) {
                    let message = format!("two axes are called `{}`", name.node);
                    self.out.push(
                        Diagnostic::new(&codes::AXIS_CLASH, message)
                            .at(name.span, "the second")
                            .at(first.span, "the first")
                            .help("`choose NAME { \"label\" { path = value } }` names one"),
                    );
                }
                names.push(name);
            }
            for (path, span) in axis.levels.iter().flat_map(Level::paths) {
                let is_other =
                    |(other, _, axis): &&(String, Span, usize)| *other == path && *axis != at;
                if let Some((_, first, _)) = paths.iter().find(is_other) {
                    self.out.push(
                        Diagnostic::new(&codes::AXIS_CLASH, format!("two axes set `{path}`"))
                            .at(span, "set here")
                            .at(*first, "and here"),
                    );
                }
                paths.push((path, span, at));
            }
        }
    }
}

impl Axis {
    /// The axis of what `field` sets.
    pub(in crate::resolve) fn of(field: &Field, levels: Vec<Level>) -> Self {
        Self {
            names: vec![axis_name(field)],
            paths: vec![Some(field.path.text())],
            levels,
            is_toggle: false,
            span: field.path.span,
        }
    }

    /// The level at which what `field` sets is `value`.
    pub(in crate::resolve) fn level(field: &Field, value: &Expr) -> Level {
        let change = Change::Set(Field { path: field.path.clone(), value: value.clone() });
        Level {
            labels: vec![level_label(value)],
            values: vec![Some(value.clone())],
            changes: vec![change],
        }
    }
}

impl Level {
    /// The value under the name of number `name` of its axis, where it is one.
    pub(super) fn value(&self, name: usize) -> Option<&Expr> {
        self.values[name].as_ref()
    }

    /// What it sets, as text with its place.
    pub(super) fn paths(&self) -> impl Iterator<Item = (String, Span)> + '_ {
        self.changes.iter().flat_map(Change::paths).map(|path| (path.text(), path.span))
    }
}

impl Change {
    /// Every path it sets.
    pub(super) fn paths(&self) -> Vec<Path> {
        match self {
            Self::Set(field) => vec![field.path.clone()],
            Self::Lay(over) => over.paths(),
        }
    }
}

/// An axis is called by the last part of what it sets.
fn axis_name(field: &Field) -> Name {
    field.path.parts[field.path.parts.len() - 1].clone()
}
