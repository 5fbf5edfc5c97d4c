//! Files to designs: imports, values, inheritance, overrides and sweeps are worked out; what is left
//! is, for each cell of each sweep, a complete experiment whose every value has a place.

mod allow;
pub mod analysis;
mod declared;
mod draft;
mod eval;
mod experiment;
mod files;
mod foreign;
mod import;
mod inherit;
mod machine;
mod order;
mod param;
mod reserved;
mod scope;
mod search;
mod sweep;
mod trace;
mod values;

pub use allow::allow;
pub use files::check_edition;
pub use import::{Bounds, MOST_BYTES, Program, Reader, decode, load, load_within, too_large};
pub use machine::{Hardware, Machine};
pub use search::{Search, searches};
pub use sweep::{Kept, seeds_as_field};
pub use trace::{Link, Origins, Role};
pub use values::{Owner, Valued};

use std::rc::Rc;

use self::analysis::Analyses;
use crate::catalog::{Bound, Catalog, Course, Duration};
use crate::diag::{Diagnostic, Span, Spanned, codes, distinct, has_errors};
use crate::syntax::Field;

/// What `run` is asked for on the command line.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only the sweep or experiment of this name.
    pub only: Option<String>,
    /// `--set path=value`, applied last.
    pub set: Vec<Field>,
    /// `--only axis=level`: the cells that are kept; all without one.
    pub levels: Vec<Kept>,
    /// `--seeds`, in place of the design's own.
    pub seeds: Option<Field>,
    /// What theory expects is looked for too.
    pub theory: bool,
}

impl Options {
    /// Whether the file is asked for as it stands, and all of it.
    fn is_whole(&self) -> bool {
        self.only.is_none() && self.set.is_empty() && self.levels.is_empty() && self.seeds.is_none()
    }
}

/// A sweep, or an experiment run by itself, with all its cells.
#[derive(Debug, Clone, PartialEq)]
pub struct Design {
    pub name: Spanned<String>,
    pub axes: Vec<Axis>,
    pub seeds: Spanned<Vec<u64>>,
    pub cells: Vec<Cell>,
    /// Whether its cells are those of several sweeps.
    pub is_union: bool,
    /// The level that was derived as a control, where one was asked for.
    pub control: Option<Control>,
    /// What is asked of the results.
    pub analyses: Analyses,
}

/// A level of an axis that was derived and not written, and where it was asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Control {
    pub axis: usize,
    pub level: usize,
    pub span: Span,
}

/// One dimension of a sweep; a `zip` has several names.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    pub names: Vec<String>,
    /// What each name sets, where it is a path.
    pub paths: Vec<Option<String>>,
    /// One label for each name, for each level.
    pub levels: Vec<Vec<String>>,
    pub span: Span,
}

/// One combination of levels.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// The level's number on each axis.
    pub levels: Vec<usize>,
    pub experiment: Experiment,
}

/// A complete experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    pub name: Spanned<String>,
    /// Those that cells have in common are shared.
    pub stages: Vec<Rc<Stage>>,
    pub evaluations: Vec<Entry>,
    /// What is asked of the machine.
    pub machine: Machine,
    pub selection: Option<Selection>,
    pub pins: Pins,
}

/// The number that chooses which model is evaluated.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// As it is written, with its split.
    pub metric: Spanned<String>,
    /// The evaluation that measures it.
    pub entry: String,
    /// Chosen on the test split, and declared to be.
    pub is_oracle: bool,
}

impl Experiment {
    /// The stage called `name`.
    pub fn stage(&self, name: &str) -> Option<&Rc<Stage>> {
        self.stages.iter().find(|it| it.name.node == name)
    }

    /// Whether it computes what `other` does, wherever both are written.
    fn is_same(&self, other: &Self) -> bool {
        let entries = |a: &[Entry], b: &[Entry]| {
            let same = |(a, b): (&Entry, &Entry)| {
                a.name.node == b.name.node && a.call.bound == b.call.bound
            };
            a.len() == b.len() && a.iter().zip(b).all(same)
        };
        let stages =
            |(a, b): (&Rc<Stage>, &Rc<Stage>)| a.is_same(b) && entries(&a.augment, &b.augment);
        self.pins == other.pins
            && entries(&self.evaluations, &other.evaluations)
            && self.stages.len() == other.stages.len()
            && self.stages.iter().zip(&other.stages).all(stages)
    }
}

impl Stage {
    /// The same but for its augmentation.
    fn is_same(&self, other: &Self) -> bool {
        let term =
            |it: &Term| (it.name.node.clone(), it.weight.node.clone(), it.call.bound.clone());
        let terms = |it: &Self| it.terms.iter().map(term).collect::<Vec<_>>();
        let projector = |it: &Self| it.projector.as_ref().map(|projector| projector.bound.clone());
        let groups = |it: &Self| it.groups.as_ref().map(|groups| groups.bound.clone());
        let keep = |it: &Train| match &it.keep {
            Keep::Last => None,
            Keep::Best { term, metric } => Some((term.node.clone(), *metric)),
        };
        let (a, b) = (&self.train, &other.train);
        (&self.name.node, &self.data.bound, &self.encoder.bound, self.views.node)
            == (&other.name.node, &other.data.bound, &other.encoder.bound, other.views.node)
            && self.upstream() == other.upstream()
            && projector(self) == projector(other)
            && groups(self) == groups(other)
            && terms(self) == terms(other)
            && (&a.optimizer.bound, &a.schedule.bound, a.batch.node, a.length.node)
                == (&b.optimizer.bound, &b.schedule.bound, b.batch.node, b.length.node)
            && (a.drop_last, keep(a)) == (b.drop_last, keep(b))
            && a.method.is_same(&b.method)
    }
}

/// The streams of random numbers that are pinned, each with its root.
pub type Pins = std::collections::BTreeMap<String, u64>;

/// One training.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    pub name: Spanned<String>,
    pub data: Called,
    pub encoder: Called,
    /// The stage that has trained this encoder before.
    pub begins_with: Option<Spanned<String>>,
    /// What terms that compare embeddings see them through.
    pub projector: Option<Called>,
    /// What finds the groups of its images, in the place of those of the data.
    pub groups: Option<Called>,
    pub augment: Vec<Entry>,
    pub views: Spanned<usize>,
    pub terms: Vec<Term>,
    pub train: Train,
    /// Where its loss is declared.
    pub loss: Span,
}

/// A component as an experiment calls it.
#[derive(Debug, Clone, PartialEq)]
pub struct Called {
    pub bound: Bound,
    /// The call.
    pub span: Span,
    /// Where each argument stands that is written out.
    pub args: Vec<(&'static str, Span)>,
}

impl Called {
    /// Where the argument `name` stands, or else the call.
    pub fn place(&self, name: &str) -> Span {
        let found = self.args.iter().find(|(arg, _)| *arg == name);
        found.map_or(self.span, |(_, span)| *span)
    }
}

/// A component under a name: a transform, an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub name: Spanned<String>,
    pub call: Called,
}

/// A weighted loss term.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    pub name: Spanned<String>,
    pub weight: Spanned<Course>,
    /// The weight as it is written.
    pub formula: String,
    pub call: Called,
}

impl Term {
    /// Whether it trains a classifier, which guesses the classes of its labels.
    pub fn has_classifier(&self) -> bool {
        ["cross_entropy", "group_dro"].contains(&self.call.bound.spec.name)
    }
}

/// How a stage is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Train {
    pub optimizer: Called,
    pub schedule: Called,
    /// Items per step.
    pub batch: Spanned<usize>,
    pub length: Spanned<Duration>,
    /// Whether the last, smaller batch of an epoch is left out.
    pub drop_last: bool,
    pub keep: Keep,
    pub method: Method,
}

/// What a training does beside the plain step.
#[derive(Debug, Clone, PartialEq)]
pub struct Method {
    /// Which images a batch is made of.
    pub sampler: Called,
    /// The largest norm of a gradient.
    pub clip: Option<Spanned<f64>>,
    /// In how many pieces a batch is passed through, whose gradients are added up.
    pub accumulate: Option<Spanned<usize>>,
    /// Items of a piece whose embeddings are kept until all of the batch is compared.
    pub chunk: Option<Spanned<usize>>,
    pub average: Option<Spanned<Average>>,
    /// Paths of networks in the stage that are not trained.
    pub freeze: Vec<Spanned<String>>,
    /// Whether products of layers are computed in bf16.
    pub is_half: bool,
}

/// Which average of a training's weights is evaluated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Average {
    /// A moving one, of which each step keeps this share.
    Ema(f64),
    /// The mean of those at the ends of the epochs after this.
    Swa(Duration),
}

impl Train {
    /// Items that terms see side by side: those of a batch, or of a piece of it.
    pub fn together(&self) -> usize {
        let pieces = self.method.accumulate.as_ref().map_or(1, |it| it.node);
        (self.batch.node / pieces).max(1)
    }
}

impl Method {
    /// What is frozen.
    fn frozen(&self) -> impl Iterator<Item = &str> {
        self.freeze.iter().map(|it| it.node.as_str())
    }

    /// Whether it does what `other` does, wherever both are written.
    fn is_same(&self, other: &Self) -> bool {
        fn plain<T: Copy>(value: &Option<Spanned<T>>) -> Option<T> {
            value.as_ref().map(|it| it.node)
        }
        self.sampler.bound == other.sampler.bound
            && plain(&self.clip) == plain(&other.clip)
            && plain(&self.accumulate) == plain(&other.accumulate)
            && plain(&self.chunk) == plain(&other.chunk)
            && plain(&self.average) == plain(&other.average)
            && self.frozen().eq(other.frozen())
            && self.is_half == other.is_half
    }
}

/// Which state of a training is evaluated.
#[derive(Debug, Clone, PartialEq)]
pub enum Keep {
    /// The last one.
    Last,
    /// The one with the highest accuracy of a term's classifier on the validation split, or on the
    /// group of it where that is lowest.
    Best { term: Spanned<String>, metric: &'static str },
}

impl Keep {
    /// The term whose classifier decides.
    pub fn term(&self) -> Option<&Spanned<String>> {
        if let Self::Best { term, .. } = self { Some(term) } else { None }
    }
}

/// What the best state is the best by: metrics that training measures of a classifier.
pub const KEPT_BY: [&str; 3] = ["accuracy", WORST_GROUP, WORST_FOUND_GROUP];

/// The least accuracy of a group.
pub const WORST_GROUP: &str = "worst_group_accuracy";

/// The least accuracy of a group that an earlier stage has found.
pub const WORST_FOUND_GROUP: &str = "worst_found_group_accuracy";

/// The experiments of `program` that `run` would leave out, and the errors of them that `known`
/// does not hold yet: what is only doubtful in them, those that build on them may well mend.
pub fn unused(
    program: &Program,
    catalog: &Catalog,
    options: &Options,
    known: &[Diagnostic],
) -> (Vec<Design>, Vec<Diagnostic>) {
    let (mut designs, mut found) = (Vec::new(), Vec::new());
    for block in sweep::left_out(program, options) {
        let mut own = Vec::new();
        designs.extend(sweep::design(program, catalog, &Options::default(), block, &mut own));
        // What it lacks may stand in what could not be understood, or be left to those that build
        // on it.
        if has_errors(&own) && (has_errors(known) || sweep::is_built_on(program, block)) {
            own.retain(|it| it.code != &codes::MISSING && it.code != &codes::NO_LOSS);
        }
        found.append(&mut own);
    }
    (designs, unsaid(known, found))
}

/// The errors of `found` that `known` does not report at the same place.
pub fn unsaid(known: &[Diagnostic], found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let place = |it: &Diagnostic| {
        let start = it.labels.first().map(|(span, _)| (span.file, span.start));
        (it.code.number, start)
    };
    let said: std::collections::BTreeSet<_> = known.iter().map(place).collect();
    let is_new = |it: &Diagnostic| it.is_error() && !said.contains(&place(it));
    distinct(found).into_iter().filter(is_new).collect()
}

/// Works out every design of `program`, and everything wrong with it.
pub fn resolve(
    program: &Program,
    catalog: &Catalog,
    options: &Options,
) -> (Vec<Design>, Vec<Diagnostic>) {
    let mut diagnostics = files::check_files(program, catalog);
    let mut designs = Vec::new();
    let chosen = sweep::chosen(program, options, &mut diagnostics);
    for block in &chosen {
        designs.extend(sweep::design(program, catalog, options, block, &mut diagnostics));
    }
    diagnostics.extend(searches(program, catalog, options).1);
    declared::check_declarations(program, catalog, &mut diagnostics);
    if chosen.is_empty() && !has_errors(&diagnostics) {
        diagnostics.extend(sweep::nothing_to_run(program));
    }
    let mut diagnostics = distinct(diagnostics);
    diagnostics.sort_by_key(|it| it.labels.first().map(|(span, _)| (span.file, span.start)));
    (designs, diagnostics)
}
