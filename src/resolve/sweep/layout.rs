//! Which combinations of levels a sweep runs: all of them, or those of a smaller design.

use super::super::eval::Want;
use super::fraction::Fraction;
use super::{Axis, MOST_RUNS, Reader};
use crate::catalog::{Type, Value};
use crate::diag::{Diagnostic, Span, Spanned, codes, plural};
use crate::syntax::{Call, Expr, ExprKind, Field, Name};

const SCHEMES: &[&str] = &["factorial", "leave_one_out", "add_one", "fraction"];
const RESOLUTION: Type = Type::Int { name: "resolution", min: 3, max: 5 };

/// How the axes of two levels are combined; all others are crossed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::resolve) enum Scheme {
    /// All on, and each single toggle off.
    LeaveOneOut,
    /// All off, and each single toggle on.
    AddOne,
    /// A regular fraction of this resolution.
    Fraction(usize),
}

impl Scheme {
    /// Whether `axis` is one of those it combines.
    fn takes(self, axis: &Axis) -> bool {
        match self {
            Self::LeaveOneOut | Self::AddOne => axis.is_toggle,
            Self::Fraction(_) => axis.levels.len() == 2,
        }
    }

    /// The fewest factors it makes sense of.
    fn fewest(self) -> usize {
        match self {
            Self::LeaveOneOut | Self::AddOne => 1,
            Self::Fraction(resolution) => resolution,
        }
    }
}

/// Axes that are combined with each other in some rows only.
struct Group {
    axes: Vec<usize>,
    rows: Vec<Vec<usize>>,
}

impl Reader<'_> {
    /// `design = …`; nothing for the factorial one.
    pub(super) fn scheme(&mut self, field: &Field) -> Option<Spanned<Scheme>> {
        let span = field.value.span;
        let node = match &field.value.kind {
            ExprKind::Path(path) => match path.single() {
                Some("factorial") => return None,
                Some("leave_one_out") => Scheme::LeaveOneOut,
                Some("add_one") => Scheme::AddOne,
                Some("fraction") => Scheme::Fraction(3),
                _ => return self.no_scheme(&field.value, &path.text()),
            },
            ExprKind::Call(call) if call.path.single() == Some("fraction") => {
                Scheme::Fraction(self.resolution(call)?)
            }
            ExprKind::Call(call) => return self.no_scheme(&field.value, &call.path.text()),
            _ => return self.no_scheme(&field.value, ""),
        };
        Some(Spanned { node, span })
    }

    fn no_scheme<T>(&mut self, value: &Expr, written: &str) -> Option<T> {
        let takes_none = SCHEMES.contains(&written);
        let message = match written {
            "" => "`design` names one".to_owned(),
            name if takes_none => format!("`{name}` takes no arguments"),
            name => format!("no design is called `{name}`"),
        };
        let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
        self.out.push(match takes_none {
            true => diagnostic.at(value.span, format!("write `design = {written}`")),
            false => diagnostic.expected(value.span, written, SCHEMES.iter().copied()),
        });
        None
    }

    fn resolution(&mut self, call: &Call) -> Option<usize> {
        let mut resolution = Some(3);
        for arg in &call.args {
            let name = arg.name.as_ref().map_or("", |name| &name.node);
            if name != "resolution" {
                let message = format!("`fraction` has no argument `{name}`");
                let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
                let span = arg.name.as_ref().map_or(arg.value.span, |name| name.span);
                self.out.push(diagnostic.expected(span, name, ["resolution"]));
                return None;
            }
            let want = Want::new("resolution", &RESOLUTION);
            resolution = match self.eval().value(&arg.value, &[], want)? {
                Value::Int(value) => usize::try_from(value).ok(),
                _ => None,
            };
        }
        resolution
    }

    /// The levels of every cell, before any is filtered; the last axis moves fastest.
    pub(super) fn layout(
        &mut self,
        axes: &[Axis],
        scheme: Option<&Spanned<Scheme>>,
        seeds: usize,
        name: &Name,
    ) -> Option<Vec<Vec<usize>>> {
        let groups = match scheme {
            Some(scheme) => self.partial(axes, scheme)?,
            None => (0..axes.len()).map(|at| crossed(axes, at)).collect(),
        };
        self.count(axes, &groups, seeds, name)?;
        Some(product(&groups, axes.len()))
    }

    /// The axes a scheme combines as one group, in the place of the first of them.
    fn partial(&mut self, axes: &[Axis], scheme: &Spanned<Scheme>) -> Option<Vec<Group>> {
        let taken: Vec<usize> =
            (0..axes.len()).filter(|at| scheme.node.takes(&axes[*at])).collect();
        if taken.len() < scheme.node.fewest() {
            self.out.push(too_few(axes, &taken, scheme));
            return None;
        }
        let rows = match scheme.node {
            Scheme::LeaveOneOut => one_differs(taken.len(), 0, 1),
            Scheme::AddOne => one_differs(taken.len(), 1, 0),
            Scheme::Fraction(resolution) => {
                let fraction = Fraction::of(taken.len(), resolution);
                let names: Vec<String> = taken.iter().map(|at| axes[*at].label()).collect();
                self.out.push(fraction.note(&names, scheme.span));
                fraction.rows()
            }
        };
        let mut groups = Vec::new();
        let mut combined = Some(Group { axes: taken.clone(), rows });
        for at in 0..axes.len() {
            match taken.contains(&at) {
                true => groups.extend(combined.take()),
                false => groups.push(crossed(axes, at)),
            }
        }
        Some(groups)
    }

    /// Makes sure that there are not more runs than can be meant.
    fn count(&mut self, axes: &[Axis], groups: &[Group], seeds: usize, name: &Name) -> Option<()> {
        let mut lengths = groups.iter().map(|it| it.rows.len());
        let runs = lengths.try_fold(seeds, |all, length| all.checked_mul(length));
        if runs.is_some_and(|runs| runs <= MOST_RUNS) {
            return Some(());
        }
        let factor = |group: &Group| {
            let names: Vec<String> = group.axes.iter().map(|at| axes[*at].label()).collect();
            format!("{} {}", group.rows.len(), names.join("+"))
        };
        let factors: Vec<String> =
            groups.iter().map(factor).chain([plural(seeds, "seed")]).collect();
        self.out.push(too_many(name.span, &factors));
        None
    }
}

/// A sweep of as many runs as these factors come to.
pub(super) fn too_many(span: Span, factors: &[String]) -> Diagnostic {
    Diagnostic::new(&codes::TOO_MANY_CELLS, "this sweep has more runs than can be meant")
        .at(span, factors.join(" × "))
        .help(format!("at most {MOST_RUNS} runs, also where some are filtered out"))
}

fn crossed(axes: &[Axis], at: usize) -> Group {
    Group { axes: vec![at], rows: (0..axes[at].levels.len()).map(|level| vec![level]).collect() }
}

/// One row all of level `base`, and one for each factor in which it alone is `other`.
fn one_differs(factors: usize, base: usize, other: usize) -> Vec<Vec<usize>> {
    let row = |at: Option<usize>| {
        (0..factors).map(|it| if Some(it) == at { other } else { base }).collect()
    };
    std::iter::once(None).chain((0..factors).map(Some)).map(row).collect()
}

fn product(groups: &[Group], axes: usize) -> Vec<Vec<usize>> {
    let mut cells = vec![vec![0; axes]];
    for group in groups {
        let mut grown = Vec::with_capacity(cells.len() * group.rows.len());
        for cell in &cells {
            for row in &group.rows {
                let mut cell = cell.clone();
                group.axes.iter().zip(row).for_each(|(axis, level)| cell[*axis] = *level);
                grown.push(cell);
            }
        }
        cells = grown;
    }
    cells
}

fn too_few(axes: &[Axis], taken: &[usize], scheme: &Spanned<Scheme>) -> Diagnostic {
    let names: Vec<String> = taken.iter().map(|at| format!("`{}`", axes[*at].label())).collect();
    let found = match names.len() {
        0 => "there is none".to_owned(),
        _ => format!("only {}", names.join(" and ")),
    };
    match scheme.node {
        Scheme::Fraction(resolution) => {
            let message =
                format!("a fraction of resolution {resolution} needs {resolution} two-level axes");
            Diagnostic::new(&codes::MISSING, message)
                .at(scheme.span, found)
                .help("with fewer, all combinations are few: leave `design` out")
        }
        _ => Diagnostic::new(&codes::MISSING, "this design switches toggles, one at a time")
            .at(scheme.span, found)
            .help("write `toggle NAME { path = value }` for each thing to leave out or to add"),
    }
}
