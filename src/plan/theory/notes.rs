//! The notes T01 to T06: what the losses of a design lead to, each with its source.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::Phase;
use super::part::{is_supervised, is_within_class};
use super::stage::{Theory, digits, is_of_classes};
use crate::catalog::{Facts, Port, Value};
use crate::diag::{ALL, Code, Diagnostic, codes};
use crate::plan::Stage as Planned;
use crate::plan::compile::{Asked, needed, stage};
use crate::plan::recent::Networks;
use crate::plan::schedule::short;
use crate::resolve::{Called, Design, Experiment, Pins, Stage};

/// Every note on a sound design. What only some cells of a sweep do is what the sweep varies, and
/// no note; of values that differ between cells the first is told.
pub fn theory_notes(design: &Design, facts: &Facts) -> Vec<Diagnostic> {
    let mut known = Known { design, facts, networks: Networks::default(), of: BTreeMap::new() };
    let cells: Vec<Vec<Diagnostic>> =
        design.cells.iter().map(|cell| known.of_cell(&cell.experiment)).collect();
    let told: Vec<&Diagnostic> = cells.iter().flatten().collect();
    let mut notes: Vec<Diagnostic> = Vec::new();
    for code in ALL.iter().filter(|code| cells.iter().all(|cell| has(cell, code))) {
        let of_code: Vec<&Diagnostic> =
            told.iter().copied().filter(|note| note.code == *code).collect();
        notes.extend(distinct_places(&of_code));
    }
    notes
}

fn has(cell: &[Diagnostic], code: &Code) -> bool {
    cell.iter().any(|note| note.code == code)
}

/// The first of the notes on each place.
fn distinct_places(notes: &[&Diagnostic]) -> Vec<Diagnostic> {
    let mut firsts: Vec<Diagnostic> = Vec::new();
    let mut differ: Vec<bool> = Vec::new();
    for note in notes {
        let place = |note: &Diagnostic| note.labels.first().map(|(span, _)| *span);
        match firsts.iter().position(|first| place(first) == place(note)) {
            Some(at) => differ[at] |= firsts[at].message != note.message,
            None => {
                firsts.push((*note).clone());
                differ.push(false);
            }
        }
    }
    let told = |(note, differs): (Diagnostic, bool)| {
        if differs { note.help("other cells differ: see `show`") } else { note }
    };
    firsts.into_iter().zip(differ).map(told).collect()
}

/// The notes on each stage, which cells share.
struct Known<'a> {
    design: &'a Design,
    facts: &'a Facts,
    networks: Networks,
    of: BTreeMap<*const Stage, Vec<Diagnostic>>,
}

impl Known<'_> {
    fn of_cell(&mut self, experiment: &Experiment) -> Vec<Diagnostic> {
        let stages = needed(experiment);
        stages.iter().flat_map(|declared| self.of_stage(declared, &experiment.pins)).collect()
    }

    fn of_stage(&mut self, declared: &Rc<Stage>, pins: &Pins) -> Vec<Diagnostic> {
        if let Some(notes) = self.of.get(&Rc::as_ptr(declared)) {
            return notes.clone();
        }
        let seed = self.design.seeds.node.first().copied().unwrap_or_default();
        let asked = Asked::alone(self.facts, seed, pins);
        let notes = of_stage(declared, &stage(declared, &asked, &mut self.networks));
        self.of.insert(Rc::as_ptr(declared), notes.clone());
        notes
    }
}

fn of_stage(stage: &Stage, planned: &Planned) -> Vec<Diagnostic> {
    let theory = Theory::of(planned);
    let noter = Noter { stage, planned };
    let mut notes = Vec::new();
    if let Some(theory) = &theory {
        notes.extend(noter.collapse(theory));
        notes.extend(noter.references(theory));
    }
    notes.extend(noter.symmetry());
    notes.extend(noter.imbalance());
    notes.extend(noter.separation());
    notes.extend(noter.temperatures());
    notes.sort_by_key(|it| it.code.number);
    notes
}

/// A stage with what was planned for it.
struct Noter<'a> {
    stage: &'a Stage,
    planned: &'a Planned,
}

impl Noter<'_> {
    /// The calls of positive weight of components that `is` names.
    fn calls(&self, is: impl Fn(&Called) -> bool) -> Vec<&Called> {
        let terms = self.stage.terms.iter().filter(|it| !it.weight.node.is_zero());
        terms.map(|it| &it.call).filter(|call| is(call)).collect()
    }

    fn supervised(&self) -> Vec<&Called> {
        self.calls(|call| is_supervised(&call.bound))
    }

    fn within_class(&self) -> Vec<&Called> {
        self.calls(|call| is_within_class(&call.bound))
    }

    /// T01: the share of the class-conditional term is at most the threshold.
    fn collapse(&self, theory: &Theory) -> Option<Diagnostic> {
        let is_expected = theory.phase == Some(Phase::Collapse) && theory.is_alone;
        let supcon = *self.supervised().first().filter(|_| is_expected)?;
        let threshold = digits(theory.setting.threshold());
        let large = digits(theory.setting.in_large_batches().threshold());
        let (pull, spread) = theory.weights;
        let mut note = new(&codes::COLLAPSE, "every class is expected to collapse to a point")
            .at(supcon.span, format!("draws each class together, weight {}", short(pull)));
        if let Some(cnce) = self.within_class().first() {
            let alpha = digits(theory.setting.alpha);
            let label = format!("spreads it, weight {}: alpha = {alpha}", short(spread));
            note = note.at(cnce.span, label);
        }
        let help = format!(
            "`class_infonce` with a share above alpha = {threshold} spreads classes ({large} in large batches)"
        );
        Some(note.help(help).help("docs/guide/theory.md, (1); Graf et al., 2021"))
    }

    /// T02: trading the embeddings of two members of a class changes no term, and nothing ties an
    /// image to its place but the encoder itself.
    fn symmetry(&self) -> Option<Diagnostic> {
        let is_augmented = self.stage.augment.iter().any(|it| !it.call.bound.spec.fixed);
        let is_symmetric = self.planned.terms.iter().all(|it| is_of_classes(it, self.planned));
        let call =
            *self.calls(|it| is_supervised(&it.bound) || is_within_class(&it.bound)).first()?;
        (is_symmetric && !is_augmented).then(|| {
            new(&codes::SYMMETRY, "nothing tells the members of a class apart")
                .at(call.span, "is the same when two members trade places")
                .at(self.stage.name.span, "no random transform, no autoencoder")
                .help("an `augment` block of random transforms breaks the symmetry, or a `class_autoencoder` term")
                .help("docs/guide/theory.md, Symmetry; Chen et al., 2022, class-fixing permutations")
        })
    }

    /// T03: the simplex is the least value for classes of one size.
    fn imbalance(&self) -> Option<Diagnostic> {
        if self.planned.method.balances_classes() {
            return None;
        }
        let call = *self.supervised().first()?;
        let classes = &self.planned.data.classes;
        let count =
            |class: usize| classes.of_fine.iter().filter(|it| **it as usize == class).count();
        let sizes: Vec<usize> = (0..classes.names.len()).map(count).collect();
        let largest = (0..sizes.len()).max_by_key(|at| sizes[*at])?;
        let smallest = (0..sizes.len()).min_by_key(|at| sizes[*at])?;
        (sizes[largest] != sizes[smallest]).then(|| {
            let of = |at: usize| format!("`{}` has {}", classes.names[at], sizes[at]);
            let parts = format!("{} fine classes, {}", of(largest), of(smallest));
            new(&codes::IMBALANCE, "classes of different size need not form a simplex")
                .at(call.span, "tends to the simplex for classes of one size")
                .at(self.stage.data.span, parts)
                .help("larger classes take more room: hold class means against measured ones, not against the simplex")
                .help("Graf et al., 2021, on balanced labels; Fang et al., 2021, on minority collapse")
        })
    }

    /// T04: the class-conditional term says nothing of other classes.
    fn separation(&self) -> Option<Diagnostic> {
        let cnce = *self.within_class().first()?;
        let separates = |call: &Called| {
            let needs = |port| call.bound.needs(port);
            // A decoder that is told the class need not find it in the embedding.
            let is_contrast = (needs(Port::Views) || needs(Port::Labels)) && !needs(Port::Input);
            is_contrast && (is_supervised(&call.bound) || !is_within_class(&call.bound))
        };
        self.calls(separates).is_empty().then(|| {
            new(&codes::SEPARATION, "nothing keeps the classes apart")
                .at(
                    cnce.span,
                    "spreads each class over the sphere, whatever the others do: alpha = 1",
                )
                .help("add `supcon()`, or `cross_entropy()`")
                .help("docs/guide/theory.md, (5): at alpha = 1 classes mix")
        })
    }

    /// T05: without unit length the scale of the embedding does what the temperature does.
    fn temperatures(&self) -> Vec<Diagnostic> {
        let is_free = |call: &Called| {
            call.bound.value("normalize") == Some(&Value::Bool(false))
                && call.bound.value("temperature").is_some()
        };
        let note = |call: &Called| {
            new(&codes::TEMPERATURE, "a temperature means little where lengths are free")
                .at(call.place("normalize"), "embeddings of any length")
                .at(call.place("temperature"), "twice the length does what a quarter of it does")
                .help("`normalize=true` makes it a choice; without, training sets the scale, and the loss has no least value at a finite length")
                .help("docs/guide/theory.md, Temperature")
        };
        self.calls(is_free).into_iter().map(note).collect()
    }

    /// T06: values to hold the loss of a training against.
    fn references(&self, theory: &Theory) -> Vec<Diagnostic> {
        let note = |(name, reference): &(String, super::Reference)| {
            let term = self.stage.terms.iter().find(|it| it.name.node == *name)?;
            let (collapsed, equal) = (digits(reference.collapsed), digits(reference.equal));
            let message = match collapsed == equal {
                true => format!("`{name}` is {equal} at collapse, and where nothing is learned"),
                false => {
                    format!(
                        "`{name}` is {collapsed} at collapse, and {equal} where nothing is learned"
                    )
                }
            };
            let setting = &theory.setting;
            let label = format!(
                "{} classes, {} of each compared, temperature {}",
                setting.classes,
                short(setting.members),
                setting.temperature
            );
            Some(
                new(&codes::REFERENCE, &message)
                    .at(term.call.span, label)
                    .help("docs/guide/theory.md, (6) and (7)"),
            )
        };
        theory.references.iter().filter_map(note).collect()
    }
}

fn new(code: &'static Code, message: &str) -> Diagnostic {
    Diagnostic::new(code, message)
}
