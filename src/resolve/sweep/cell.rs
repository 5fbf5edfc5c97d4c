//! The cells of a sweep: the product of its axes, each worked out as an experiment of its own.

use std::rc::Rc;

use super::super::draft::Section;
use super::super::eval::{Eval, Params};
use super::super::experiment::{Memo, plain};
use super::super::reserved::ambiguous;
use super::super::scope::{self, Meaning};
use super::super::{self as resolve, Cell, Design, Experiment, Options};
use super::body::Parts;
use super::{Axis, Change, Level, Reader};
use crate::diag::{Diagnostic, Span, Spanned, closest, codes, has_errors};
use crate::resolve::analysis::Analyses;
use crate::syntax::{Expr, Field, Name, Path};

/// What the cell that came furthest has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Passed {
    Nowhere,
    /// Every `where`, but not `--only`.
    Where,
    All,
}

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
        let layout = self.layout(&parts.axes, parts.scheme.as_ref(), seeds.node.len(), &name)?;
        let set = self.unswept(&options.set, &parts.axes);
        let picked = self.pick(&parts.axes, &options.levels, &name);
        let before = self.out.len();
        let mut cells = Vec::new();
        let mut memo = Memo::default();
        let mut last = Passed::Nowhere;
        for (number, levels) in layout.into_iter().enumerate() {
            if !self.passes(&parts.axes, &levels, &parts.filters) {
                continue;
            }
            if !picked.keeps(&levels) {
                last = last.max(Passed::Where);
                continue;
            }
            last = Passed::All;
            let experiment = self.cell(draft.clone(), &parts, &levels, &set, &mut memo);
            cells.extend(experiment.map(|experiment| Cell { levels, experiment }));
            if number >= ENOUGH && has_errors(&self.out[before..]) {
                break;
            }
        }
        let (what, filter) = match last {
            Passed::Nowhere => ("`where`", parts.filters.first().map(|filter| filter.span)),
            Passed::Where => ("`--only`", options.levels.first().map(|kept| kept.level.span)),
            Passed::All => ("", None),
        };
        if last != Passed::All {
            self.out.push(nothing_left(what, filter.unwrap_or(span), &name));
        }
        self.match_control(&draft, &parts, &mut cells, (&set, &mut memo));
        let axes = parts.axes.iter().map(Axis::outline).collect();
        let analyses = self.analyses_of(&parts.axes, &parts, &cells, options);
        let control = parts.control;
        Some(Design { name, axes, seeds, cells, is_union: false, control, analyses })
    }

    /// What is asked of the results; nothing of a part of them.
    pub(super) fn analyses_of(
        &mut self,
        axes: &[Axis],
        parts: &Parts,
        cells: &[Cell],
        options: &Options,
    ) -> Analyses {
        if options.levels.is_empty() && options.seeds.is_none() {
            return self.analyses(axes, &parts.analyses, cells);
        }
        Analyses::default()
    }

    /// The experiment of the cell with these levels; `set` comes last.
    pub(in crate::resolve) fn cell(
        &mut self,
        draft: Section,
        parts: &Parts,
        levels: &[usize],
        set: &[&Field],
        memo: &mut Memo,
    ) -> Option<Experiment> {
        let before = self.out.len();
        let (draft, params) = self.layered(draft, parts, levels, set);
        let is_set = !has_errors(&self.out[before..]);
        let mut eval = Eval::new(self.program, self.catalog, &params, self.out);
        // Without overrides they are checked where they are declared; what follows from a value
        // that cannot be was not written by anyone.
        if !params.is_empty() && !eval.are_sound(&params) {
            return None;
        }
        eval.experiment(&Rc::new(draft), memo).filter(|_| is_set)
    }

    /// The draft of one cell, and the parameters it overrides.
    pub(super) fn layered(
        &mut self,
        mut draft: Section,
        parts: &Parts,
        levels: &[usize],
        set: &[&Field],
    ) -> (Section, Params) {
        let mut params = Params::new();
        let own = parts.axes.iter().zip(levels).flat_map(|(axis, at)| &axis.levels[*at].changes);
        for change in parts.common.iter().chain(own) {
            match change {
                Change::Set(field) => self.set(&mut draft, &mut params, field),
                Change::Lay(over) => draft.lay(over, self.out),
            }
        }
        for field in set {
            self.set(&mut draft, &mut params, field);
        }
        (draft, params)
    }

    /// The overrides of the command line that leave the design alone; the others are reported.
    pub(in crate::resolve) fn unswept<'f>(
        &mut self,
        set: &'f [Field],
        axes: &[Axis],
    ) -> Vec<&'f Field> {
        self.unvaried(set, axes, is_swept)
    }

    /// The same, with what `clash` says of an override, an axis and what of it is varied.
    pub(in crate::resolve) fn unvaried<'f>(
        &mut self,
        set: &'f [Field],
        axes: &[Axis],
        clash: fn(&Field, &Axis, &Path) -> Diagnostic,
    ) -> Vec<&'f Field> {
        let mut sound = Vec::new();
        for field in set {
            let clashing = |axis| Some(clash(field, axis, &self.swept(field, axis)?));
            let clashes: Vec<Diagnostic> = axes.iter().filter_map(clashing).collect();
            sound.extend(clashes.is_empty().then_some(field));
            self.out.extend(clashes);
        }
        sound
    }

    /// What `axis` varies of what an override sets.
    fn swept(&self, field: &Field, axis: &Axis) -> Option<Path> {
        let target = self.target(&field.path);
        let changes = axis.levels.iter().flat_map(|level| &level.changes);
        let mut swept = changes.flat_map(Change::paths);
        swept.find(|swept| is_within(&self.target(swept), &target))
    }

    /// What a field sets: a parameter, whatever it is called here, or a path.
    fn target(&self, path: &Path) -> (Option<u16>, String) {
        match scope::lookup(self.program, path.span.file, &path.parts) {
            Some((file, Meaning::Param(param))) => (Some(file), param.name.node.clone()),
            _ => (None, path.text()),
        }
    }

    fn set(&mut self, draft: &mut Section, params: &mut Params, field: &Field) {
        let path = &field.path;
        let found = scope::lookup(self.program, path.span.file, &path.parts);
        if let Some((file, Meaning::Param(param))) = found {
            self.out.extend(ambiguous(draft, &path.parts, &param.name));
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

/// What to say when what `filter` stands for keeps no cell of the sweep `name`.
pub(super) fn nothing_left(what: &str, filter: Span, name: &Name) -> Diagnostic {
    Diagnostic::new(&codes::EMPTY, format!("{what} leaves no cell of this sweep"))
        .at(filter, "nothing passes")
        .at(name.span, "nothing to run")
}

/// Whether setting `outer` replaces what `inner` names.
fn is_within(inner: &(Option<u16>, String), outer: &(Option<u16>, String)) -> bool {
    let rest = inner.1.strip_prefix(&outer.1);
    inner.0 == outer.0 && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn is_swept(field: &Field, axis: &Axis, swept: &Path) -> Diagnostic {
    let (path, value) = (field.path.text(), plain(&field.value));
    let name = axis.paths.iter().position(|it| it.as_deref() == Some(&swept.text()));
    let (at, message) = match name {
        Some(at) => (at, format!("`{path}` is an axis here")),
        None => (0, format!("the axis `{}` sets `{path}`", axis.names[0].node)),
    };
    let mut labels = axis.levels.iter().map(|level| &level.labels[at]);
    let level = labels.clone().find(|label| **label == value).or(labels.next());
    let only = format!("{}={}", axis.names[at].node, level.map_or("…", String::as_str));
    let quoted = if only.contains(' ') { format!("'{only}'") } else { only };
    Diagnostic::new(&codes::AXIS_CLASH, message)
        .at(field.path.span, format!("use `--only {quoted}`"))
        .at(swept.span, "varied here")
        .help("without the sweep, as `FILE:EXPERIMENT`, `--set` may change it")
}

fn fixed(path: &Path, value: &Expr) -> Diagnostic {
    Diagnostic::new(&codes::BAD_PATH, format!("`{}` is fixed in its file", path.text()))
        .at(path.span, "only a `param`, or a path of the experiment, can be set")
        .at(value.span, "fixed here")
}

impl Axis {
    /// An axis of which only names and labels are known.
    pub(super) fn bare(axis: &resolve::Axis) -> Self {
        let name = |node: &String| Spanned { node: node.clone(), span: axis.span };
        let level = |labels: &Vec<String>| Level {
            labels: labels.clone(),
            values: vec![None; labels.len()],
            changes: Vec::new(),
        };
        Self {
            names: axis.names.iter().map(name).collect(),
            paths: axis.paths.clone(),
            levels: axis.levels.iter().map(level).collect(),
            is_toggle: false,
            span: axis.span,
        }
    }

    fn outline(&self) -> resolve::Axis {
        resolve::Axis {
            names: self.names.iter().map(|name| name.node.clone()).collect(),
            paths: self.paths.clone(),
            levels: self.levels.iter().map(|level: &Level| level.labels.clone()).collect(),
            span: self.span,
        }
    }

    /// Its names, for people.
    pub(super) fn label(&self) -> String {
        self.names.iter().map(|name| name.node.as_str()).collect::<Vec<_>>().join("+")
    }
}
