//! What a search varies: each path with a distribution or a list of values.

use super::super::Options;
use super::super::draft::Section;
use super::super::eval::Quantity;
use super::super::experiment::{Memo, plain};
use super::super::sweep::{Axis, Parts, Reader};
use crate::diag::{Diagnostic, Span, codes};
use crate::syntax::{Block, Call, Expr, ExprKind, Field, Path, Statement};

const DISTRIBUTIONS: &[&str] = &["uniform", "log_uniform", "int_uniform"];
/// Where between its ends a distribution is tried: at no round number.
const BETWEEN: f64 = 0.381_966;

/// One thing that is varied: its values, or the ends of its distribution, are the levels of an axis.
pub(super) struct Dimension {
    pub axis: Axis,
    field: Field,
    /// A number between the ends, where any may be drawn.
    between: Option<Expr>,
    is_list: bool,
}

impl Dimension {
    /// How many values it lists; none when it draws them.
    pub fn listed(&self) -> Option<usize> {
        self.is_list.then_some(self.axis.levels.len())
    }

    pub fn span(&self) -> Span {
        self.field.value.span
    }

    /// The path, and the values as they are written.
    pub fn shown(&self) -> (String, String) {
        (self.field.path.text(), plain(&self.field.value))
    }
}

impl Reader<'_> {
    /// The dimensions of a space, every one tried on the experiment by itself.
    pub(super) fn space(
        &mut self,
        block: &Block,
        draft: &Section,
        options: &Options,
    ) -> Option<Vec<Dimension>> {
        let mut space = Vec::new();
        for statement in &block.body {
            match statement {
                Statement::Field(field) => space.extend(self.dimension(field)),
                Statement::Unreadable(_) => {}
                _ => self.out.push(
                    Diagnostic::new(&codes::UNKNOWN_BLOCK, "`space` holds `path = values` lines")
                        .at(block.header, "in this block")
                        .help("for example `train.optimizer.lr = log_uniform(1e-5, 1e-2)`"),
                ),
            }
        }
        if block.body.is_empty() {
            self.out.push(
                Diagnostic::new(&codes::EMPTY, "this space has no dimension")
                    .at(block.header, "write `path = [values]` inside"),
            );
        }
        let axes: Vec<Axis> = space.iter().map(|it| it.axis.clone()).collect();
        self.check_axes(&axes);
        let set: Vec<&Field> = self.unvaried(&options.set, &axes, is_searched);
        for dimension in &space {
            self.try_out(dimension, draft, &set);
        }
        Some(space)
    }

    fn dimension(&mut self, field: &Field) -> Option<Dimension> {
        let call = match &field.value.kind {
            ExprKind::Call(call) => call,
            _ => {
                let levels = self.levels(field, false)?;
                let axis = Axis::of(field, levels);
                return Some(Dimension {
                    axis,
                    field: field.clone(),
                    between: None,
                    is_list: true,
                });
            }
        };
        let name = call.path.text();
        if name == "linspace" {
            let axis = Axis::of(field, self.levels(field, false)?);
            return Some(Dimension { axis, field: field.clone(), between: None, is_list: true });
        }
        if !DISTRIBUTIONS.contains(&name.as_str()) {
            let message = format!("no distribution is called `{name}`");
            let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
            let names = DISTRIBUTIONS.iter().copied();
            self.out.push(diagnostic.expected(call.path.span, &name, names));
            return None;
        }
        let (low, high) = self.ends(&name, call, field.value.span)?;
        let between = (name != "int_uniform").then(|| between(low, high, field.value.span));
        let levels = call.args.iter().map(|arg| Axis::level(field, &arg.value)).collect();
        let axis = Axis::of(field, levels);
        Some(Dimension { axis, field: field.clone(), between, is_list: false })
    }

    /// The ends of a distribution, in order.
    fn ends(&mut self, name: &str, call: &Call, span: Span) -> Option<(Quantity, Quantity)> {
        let [low, high] = &call.args[..] else {
            let message = format!("`{name}` takes its two ends");
            self.out.push(
                Diagnostic::new(&codes::MISSING, message)
                    .at(span, format!("for example `{name}(1, 10)`")),
            );
            return None;
        };
        let (low, high) = (&low.value, &high.value);
        let (a, b) = (self.eval().quantity(low), self.eval().quantity(high));
        let (a, b) = (a?, b?);
        let wrong = |message: String, span, label: &str| {
            Some(Diagnostic::new(&codes::OUT_OF_RANGE, message).at(span, label))
        };
        let problem = if a.unit != b.unit {
            let message = "the ends of a distribution are counted alike";
            Some(Diagnostic::new(&codes::WRONG_UNIT, message).at(span, "two units"))
        } else if a.value >= b.value {
            wrong(format!("`{name}` begins below its end"), span, "write the smaller one first")
        } else if name == "log_uniform" && a.value <= 0.0 {
            wrong("a logarithm has no end at 0 or below".to_owned(), low.span, "above 0")
        } else if name == "int_uniform" && (a.value.fract() != 0.0 || b.value.fract() != 0.0) {
            wrong("`int_uniform` draws whole numbers".to_owned(), span, "so its ends are some")
        } else {
            None
        };
        let is_sound = problem.is_none();
        self.out.extend(problem);
        is_sound.then_some((a, b))
    }

    /// Works the experiment out at every listed value, or at both ends and between them.
    fn try_out(&mut self, dimension: &Dimension, draft: &Section, set: &[&Field]) {
        let before = self.out.len();
        for at in 0..dimension.axis.levels.len() {
            self.point(dimension.axis.clone(), at, draft, set);
        }
        let Some(between) = &dimension.between else { return };
        if crate::diag::has_errors(&self.out[before..]) {
            return;
        }
        let levels = vec![Axis::level(&dimension.field, between)];
        self.point(Axis::of(&dimension.field, levels), 0, draft, set);
        if crate::diag::has_errors(&self.out[before..]) {
            self.out.truncate(before);
            let message = format!("`{}` takes whole numbers", dimension.field.path.text());
            self.out.push(
                Diagnostic::new(&codes::WRONG_TYPE, message)
                    .at(dimension.span(), "draws numbers in between")
                    .help("write `int_uniform(…)`"),
            );
        }
    }

    fn point(&mut self, axis: Axis, at: usize, draft: &Section, set: &[&Field]) {
        let parts = Parts::of(axis);
        self.cell(draft.clone(), &parts, &[at], set, &mut Memo::default());
    }

    /// Reads every `where` once, with each dimension at its first value.
    pub(super) fn conditions(&mut self, space: &[Dimension], filters: &[Expr]) {
        let axes: Vec<Axis> = space.iter().map(|it| it.axis.clone()).collect();
        let levels = vec![0; axes.len()];
        self.passes(&axes, &levels, filters);
    }
}

fn is_searched(field: &Field, _: &Axis, varied: &Path) -> Diagnostic {
    let message = format!("`{}` is what this search varies", field.path.text());
    Diagnostic::new(&codes::AXIS_CLASH, message)
        .at(field.path.span, "leave it out")
        .at(varied.span, "varied here")
        .help("without the search, as `FILE:EXPERIMENT`, `--set` may change it")
}

fn between(low: Quantity, high: Quantity, span: Span) -> Expr {
    let value = low.value + BETWEEN * (high.value - low.value);
    let kind = ExprKind::Number { text: value.to_string(), value, unit: low.unit };
    Expr { kind, span }
}
