//! The cells of a sweep: the product of its axes, each worked out as an experiment of its own.

use super::super::draft::Section;
use super::super::eval::{Eval, Params};
use super::super::scope::{self, Meaning};
use super::super::{self as resolve, Cell, Design, Experiment, Options};
use super::body::Parts;
use super::{Axis, Change, Level, MOST_RUNS, Reader};
use crate::diag::{Diagnostic, Spanned, closest, codes, has_errors, plural};
use crate::syntax::{Expr, Field, Name, Path};

/// Once something is wrong, as many cells are looked at; the others would repeat it.
const ENOUGH: usize = 32;

impl Reader<'_> {
    /// The design of a sweep whose parts are known.
    pub(super) fn cells(
        &mut self,
        draft: Section,
        parts: Spanned<Parts>,
        name: Name,
        seeds: Spanned<Vec<u64>>,
        options: &Options,
    ) -> Option<Design> {
        let Spanned { node: parts, span } = parts;
        let total = self.count(&parts.axes, seeds.node.len(), &name)?;
        for field in &options.set {
            self.check_set(field, &parts.axes);
        }
        let before = self.out.len();
        let mut cells = Vec::new();
        let mut any = false;
        for number in 0..total {
            let levels = digits(number, &parts.axes);
            if !self.passes(&parts.axes, &levels, &parts.filters) {
                continue;
            }
            any = true;
            let experiment = self.cell(draft.clone(), &parts, &levels, options);
            cells.extend(experiment.map(|experiment| Cell { levels, experiment }));
            if number >= ENOUGH && has_errors(&self.out[before..]) {
                break;
            }
        }
        if !any {
            let first = parts.filters.first().map_or(span, |filter| filter.span);
            self.out.push(
                Diagnostic::new(&codes::EMPTY, "`where` leaves no cell of this sweep")
                    .at(first, "nothing passes")
                    .at(name.span, "nothing to run"),
            );
        }
        let axes = parts.axes.iter().map(Axis::outline).collect();
        let analyses = self.analyses(&parts.axes, &parts.analyses, &cells);
        Some(Design { name, axes, seeds, cells, analyses })
    }

    /// How many cells there are, before any is filtered.
    fn count(&mut self, axes: &[Axis], seeds: usize, name: &Name) -> Option<usize> {
        let mut lengths = axes.iter().map(|it| it.levels.len());
        let total = lengths.try_fold(1usize, |all, length| all.checked_mul(length));
        let runs = total.and_then(|total| total.checked_mul(seeds));
        if runs.is_some_and(|runs| runs <= MOST_RUNS) {
            return total;
        }
        let lengths = axes.iter().map(|it| format!("{} {}", it.levels.len(), it.label()));
        let factors: Vec<String> = lengths.chain([plural(seeds, "seed")]).collect();
        self.out.push(
            Diagnostic::new(&codes::TOO_MANY_CELLS, "this sweep has more runs than can be meant")
                .at(name.span, factors.join(" × "))
                .help(format!("at most {MOST_RUNS} runs, also where some are filtered out")),
        );
        None
    }

    fn cell(
        &mut self,
        draft: Section,
        parts: &Parts,
        levels: &[usize],
        options: &Options,
    ) -> Option<Experiment> {
        let (draft, params) = self.layered(draft, parts, levels, options);
        let mut eval = Eval::new(self.program, self.catalog, &params, self.out);
        eval.check_changed_params(&params);
        eval.experiment(&draft)
    }

    /// The draft of one cell, and the parameters it overrides.
    pub(super) fn layered(
        &mut self,
        mut draft: Section,
        parts: &Parts,
        levels: &[usize],
        options: &Options,
    ) -> (Section, Params) {
        let mut params = Params::new();
        let own = parts.axes.iter().zip(levels).flat_map(|(axis, at)| &axis.levels[*at].changes);
        for change in parts.common.iter().chain(own) {
            match change {
                Change::Set(field) => self.set(&mut draft, &mut params, field),
                Change::Lay(over) => draft.lay(over, self.out),
            }
        }
        for field in &options.set {
            self.set(&mut draft, &mut params, field);
        }
        (draft, params)
    }

    /// Setting a swept path from the command line would silently change the design.
    fn check_set(&mut self, field: &Field, axes: &[Axis]) {
        let target = self.target(field);
        for axis in axes {
            let paths = axis.levels.iter().flat_map(|level| &level.changes);
            let mut swept = paths.filter_map(|change| match change {
                Change::Set(swept) => Some(swept),
                Change::Lay(_) => None,
            });
            let Some(swept) = swept.find(|swept| self.target(swept) == target) else {
                continue;
            };
            let message = format!("`{}` is what this sweep varies", field.path.text());
            self.out.push(
                Diagnostic::new(&codes::AXIS_CLASH, message)
                    .at(field.path.span, "set here")
                    .at(swept.path.span, format!("an axis here: `{}`", axis.label()))
                    .help("change the axis in the file, or run its experiment without the sweep")
                    .help("as `FILE:EXPERIMENT`, where `--set` may change it"),
            );
        }
    }

    /// What a field sets: a parameter, whatever it is called here, or a path.
    fn target(&self, field: &Field) -> (Option<u16>, String) {
        match scope::lookup(self.program, field.path.span.file, &field.path.parts) {
            Some((file, Meaning::Param(param))) => (Some(file), param.name.node.clone()),
            _ => (None, field.path.text()),
        }
    }

    fn set(&mut self, draft: &mut Section, params: &mut Params, field: &Field) {
        let path = &field.path;
        let found = scope::lookup(self.program, path.span.file, &path.parts);
        if let Some((file, Meaning::Param(param))) = found {
            params.insert((file, param.name.node.clone()), field.value.clone());
            return;
        }
        let mut problems = Vec::new();
        draft.set(&path.parts, &field.value, &mut problems);
        for problem in problems {
            let is_path = problem.code == &codes::BAD_PATH;
            self.out.push(match found {
                Some((_, Meaning::Let(value) | Meaning::Declaration(_, value))) if is_path => {
                    fixed(path, value)
                }
                _ if is_path => self.or_param(path, problem),
                _ => problem,
            });
        }
    }

    /// Names the parameter a path may have meant.
    fn or_param(&self, path: &Path, problem: Diagnostic) -> Diagnostic {
        let is_param = |meaning: &Meaning| matches!(meaning, Meaning::Param(_));
        let params = scope::visible(self.program, path.span.file, is_param);
        match closest(&path.text(), params.iter().map(String::as_str)) {
            Some(near) => problem.help(format!("or the parameter `{near}`?")),
            None => problem,
        }
    }
}

fn fixed(path: &Path, value: &Expr) -> Diagnostic {
    Diagnostic::new(&codes::BAD_PATH, format!("`{}` is fixed in its file", path.text()))
        .at(path.span, "only a `param`, or a path of the experiment, can be set")
        .at(value.span, "fixed here")
}

impl Axis {
    fn outline(&self) -> resolve::Axis {
        resolve::Axis {
            names: self.names.iter().map(|name| name.node.clone()).collect(),
            levels: self.levels.iter().map(|level: &Level| level.labels.clone()).collect(),
            span: self.span,
        }
    }

    pub(super) fn label(&self) -> String {
        self.names.iter().map(|name| name.node.as_str()).collect::<Vec<_>>().join("+")
    }
}

/// The level on each axis of cell `number`; the last axis moves fastest.
fn digits(mut number: usize, axes: &[Axis]) -> Vec<usize> {
    let mut levels = vec![0; axes.len()];
    for (at, axis) in axes.iter().enumerate().rev() {
        levels[at] = number % axis.levels.len();
        number /= axis.levels.len();
    }
    levels
}
