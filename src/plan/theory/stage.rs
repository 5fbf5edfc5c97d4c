//! A stage as the closed forms see it.

use std::fmt::{self, Display};

use super::geometry::{Denominator, Phase, Setting};
use super::reference::{Contrast, Reference};
use crate::catalog::{Bound, Port, Value};
use crate::plan::constant::is_word;
use crate::plan::{Plan, Stage, Term};

/// Temperatures below this are beyond what the closed forms are good for.
const COLDEST: f64 = 1e-3;

/// What theory says of a stage's contrastive terms before any training.
#[derive(Debug, Clone, PartialEq)]
pub struct Theory {
    pub setting: Setting,
    /// The summed weights of the supervised and of the class-conditional terms.
    pub weights: (f64, f64),
    /// Where the least loss is in batches like these; none where the closed form does not reach.
    pub phase: Option<Phase>,
    /// The same in large batches.
    pub in_large_batches: Option<Phase>,
    /// Whether other terms of the stage act within classes, or on other classes than these.
    pub is_alone: bool,
    /// By the name of the term.
    pub references: Vec<(String, Reference)>,
}

impl Theory {
    /// None for a stage without contrastive terms on classes, or whose terms differ in what the
    /// closed forms need to be one.
    pub fn of(stage: &Stage) -> Option<Self> {
        let terms: Vec<&Term> = stage.terms.iter().filter(|it| is_contrast(&it.call)).collect();
        let first = &terms.first()?.call;
        let is_alike = |term: &&Term| {
            let same = |name| term.call.value(name) == first.value(name);
            same("temperature") && same("pairs") && real(&term.call, "temperature") >= Some(COLDEST)
        };
        let is_unit = |term: &&Term| term.call.value("normalize") == Some(&Value::Bool(true));
        if !terms.iter().all(|term| is_alike(term) && is_unit(term)) {
            return None;
        }
        let contrast = contrast(stage, first)?;
        let denominators: Vec<Denominator> =
            terms.iter().filter(|it| is_supervised(&it.call)).map(|it| of_call(&it.call)).collect();
        let denominator = denominators.first().copied().unwrap_or(Denominator::Own);
        if denominators.iter().any(|it| *it != denominator) {
            return None;
        }
        let weights = weights(&terms);
        let setting = Setting {
            classes: contrast.classes,
            dim: stage.dim,
            temperature: contrast.temperature,
            alpha: weights.1 / (weights.0 + weights.1),
            members: contrast.members,
            denominator,
        };
        Some(Self {
            setting,
            weights,
            phase: setting.phase(),
            in_large_batches: setting.in_large_batches().phase(),
            is_alone: stage.terms.iter().all(|term| is_of_classes(term, stage)),
            references: references(&terms, contrast),
        })
    }
}

fn is_contrast(call: &Bound) -> bool {
    is_supervised(call) || is_within_class(call)
}

pub(super) fn is_supervised(call: &Bound) -> bool {
    call.spec.name == "supcon"
}

pub(super) fn is_within_class(call: &Bound) -> bool {
    call.spec.name == "class_infonce"
}

/// Whether a term sees nothing but the classes that the contrastive terms see: it does not change
/// when members of a class trade places.
pub(super) fn is_of_classes(term: &Term, stage: &Stage) -> bool {
    let needs = |port| term.call.needs(port);
    needs(Port::Labels) && !needs(Port::Input) && term.classes.of_fine == stage.data.classes.of_fine
}

/// What an anchor meets in a batch, on average.
fn contrast(stage: &Stage, call: &Bound) -> Option<Contrast> {
    let classes = stage.data.classes.names.len();
    if stage.method.is_partial(stage.batch, classes) {
        return None;
    }
    let together = stage.batch / stage.method.accumulate.unwrap_or(1);
    let of_view = together as f64 / classes as f64;
    let (positives, members) = match is_word(call, "pairs", "cross") {
        true => (of_view, of_view),
        false => (stage.views as f64 * of_view - 1.0, stage.views as f64 * of_view),
    };
    let temperature = real(call, "temperature")?;
    (classes >= 2).then_some(Contrast { classes, positives, members, temperature })
}

fn of_call(call: &Bound) -> Denominator {
    match call.value("denominator") {
        _ if is_word(call, "denominator", "all") => Denominator::All,
        _ if is_word(call, "denominator", "negatives") => Denominator::Negatives,
        _ => Denominator::Own,
    }
}

fn weights(terms: &[&Term]) -> (f64, f64) {
    // An empty sum of floats is negative zero, which prints.
    let sum = |is: fn(&Bound) -> bool| {
        terms.iter().filter(|term| is(&term.call)).fold(0.0, |sum, term| sum + term.weight)
    };
    (sum(is_supervised), sum(is_within_class))
}

/// Values that an anchor without a positive has no part in.
fn references(terms: &[&Term], contrast: Contrast) -> Vec<(String, Reference)> {
    let reference = |term: &&&Term| match is_supervised(&term.call) {
        true => contrast.supervised(of_call(&term.call)),
        false => contrast.within_class(),
    };
    let is_met = contrast.positives >= 1.0;
    let named = |term: &&Term| (term.name.clone(), reference(&term));
    terms.iter().filter(|_| is_met).map(named).collect()
}

fn real(call: &Bound, name: &str) -> Option<f64> {
    match call.value(name) {
        Some(Value::Real(value)) => Some(*value),
        _ => None,
    }
}

/// Stages that differ in more ways are not summed up.
const MOST_LINES: usize = 8;

/// One line for each stage of a plan that theory tells something else of, for summaries; the first
/// few of many.
pub fn theory_lines(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    let first = plan.seeds.first();
    let stages = plan.stages.iter().filter(|stage| Some(&stage.seed) == first);
    for (stage, theory) in stages.filter_map(|it| Some((it, Theory::of(it)?))) {
        if lines.len() == MOST_LINES {
            lines.push("others differ: see `balance show`".to_owned());
            break;
        }
        let threshold = theory.setting.threshold();
        let (alpha, phase) = (theory.setting.alpha, said(theory.phase));
        let references: Vec<String> = theory
            .references
            .iter()
            .map(|(name, it)| range(name, digits(it.collapsed), digits(it.equal)))
            .collect();
        let line = format!(
            "{}: alpha {}, collapse up to {}: {phase}; {}",
            stage.name,
            digits(alpha),
            digits(threshold),
            references.join(", ")
        );
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// `supcon 1.207 to 4.860`
fn range(name: &str, low: String, high: String) -> String {
    if low == high { format!("{name} {low}") } else { format!("{name} {low} to {high}") }
}

impl Display for Theory {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Setting { classes, dim, alpha, .. } = self.setting;
        let threshold = |setting: Setting| digits(setting.threshold());
        let (here, large) = (threshold(self.setting), threshold(self.setting.in_large_batches()));
        writeln!(f, "  theory alpha {}, {classes} classes in {dim} dimensions", digits(alpha))?;
        writeln!(f, "    in these batches {}, collapse up to alpha {here}", said(self.phase))?;
        let phase = said(self.in_large_batches);
        writeln!(f, "    in large batches {phase}, collapse up to alpha {large}")?;
        for (name, Reference { collapsed, equal }) in &self.references {
            let collapsed = digits(*collapsed);
            match digits(*equal) {
                equal if equal == collapsed => {
                    writeln!(f, "    {name} {equal} at collapse and where nothing is learned")?;
                }
                equal => {
                    writeln!(
                        f,
                        "    {name} {collapsed} at collapse, {equal} where nothing is learned"
                    )?;
                }
            }
        }
        Ok(())
    }
}

/// Three decimals, or the size of what they do not show.
pub(super) fn digits(value: f64) -> String {
    let is_small = value != 0.0 && value.abs() < 5e-4;
    if is_small { format!("{value:.1e}") } else { format!("{value:.3}") }
}

fn said(phase: Option<Phase>) -> String {
    match phase {
        Some(Phase::Collapse) => "each class is a point".to_owned(),
        Some(Phase::Spread(variance)) => format!("within-class variance {variance:.4}"),
        Some(Phase::Mixed) => "classes mix".to_owned(),
        None => "too few dimensions to say".to_owned(),
    }
}
