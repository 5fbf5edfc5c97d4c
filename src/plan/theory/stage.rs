//! A stage as the closed forms see it.

use std::fmt::{self, Display};

use super::part::{Part, PartKind, parts};
use super::{Contrast, Denominator, Phase, Reference, Setting};
use crate::catalog::Port;
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
    /// At the weights that training ends with. None for a stage with a projector, or without
    /// contrastive terms on classes, or whose terms differ in what the closed forms need to be one.
    pub fn of(stage: &Stage) -> Option<Self> {
        Self::reach(stage).ok()
    }

    /// The same, or why the closed forms do not reach the stage.
    pub fn reach(stage: &Stage) -> Result<Self, &'static str> {
        // What is compared is then not what is evaluated, and the closed forms are of the first.
        if stage.projector.is_some() {
            return Err("its terms see the embedding through a projector");
        }
        let last = |term: &Term| term.weight.last(&stage.horizon());
        let of_terms = stage.terms.iter().filter(|term| last(term) > 0.0);
        let of_terms = of_terms
            .map(|term| Some(Weighed { term, weight: last(term), parts: parts(term).ok()? }));
        let terms: Vec<Weighed> = of_terms
            .collect::<Option<_>>()
            .ok_or("a term has free lengths, class weights, a changing temperature or `sum=in`")?;
        let all: Vec<&Part> = terms.iter().flat_map(|it| &it.parts).collect();
        let first = *all.first().ok_or("it has no `supcon` or `class_infonce`")?;
        let is_alike = |part: &&&Part| {
            (part.temperature, part.is_across) == (first.temperature, first.is_across)
        };
        if !all.iter().all(|part| is_alike(&part)) || first.temperature < COLDEST {
            return Err("its terms differ in their temperature or pairs, or are too cold");
        }
        let contrast = contrast(stage, first)
            .ok_or("it has one class, or a batch does not hold all of them evenly")?;
        let supervised: Vec<PartKind> =
            all.iter().map(|part| part.kind).filter(|kind| kind.is_supervised()).collect();
        let kind = supervised.first().copied().unwrap_or(PartKind::WithinClass);
        if supervised.iter().any(|it| *it != kind) {
            return Err("its terms differ in their denominator or clip");
        }
        let (denominator, clip) = match kind {
            PartKind::Supervised { denominator, clip } => (denominator, clip),
            PartKind::WithinClass => (Denominator::Own, None),
        };
        let weights = weights(&terms);
        let setting = Setting {
            classes: contrast.classes,
            dim: stage.dim,
            temperature: contrast.temperature,
            alpha: weights.1 / (weights.0 + weights.1),
            members: contrast.members,
            denominator,
            clip,
        };
        Ok(Self {
            setting,
            weights,
            phase: setting.phase(),
            in_large_batches: setting.in_large_batches().phase(),
            is_alone: stage.terms.iter().all(|term| is_of_classes(term, stage)),
            references: references(&terms, contrast),
        })
    }
}

/// Whether the closed forms speak of a term.
pub fn is_foretold(term: &Term) -> bool {
    parts(term).is_ok_and(|parts| !parts.is_empty())
}

/// Whether a term sees nothing but the classes that the contrastive terms see: it does not change
/// when members of a class trade places.
pub(super) fn is_of_classes(term: &Term, stage: &Stage) -> bool {
    let needs = |port| term.call.needs(port);
    needs(Port::Labels) && !needs(Port::Input) && term.classes.of_fine == stage.data.classes.of_fine
}

/// What an anchor meets in a batch, on average.
fn contrast(stage: &Stage, part: &Part) -> Option<Contrast> {
    let classes = stage.data.classes.names.len();
    if stage.method.is_partial(stage.batch, classes) {
        return None;
    }
    let together = stage.batch / stage.method.accumulate.unwrap_or(1);
    let of_view = together as f64 / classes as f64;
    let (positives, members) = match part.is_across {
        true => (of_view, of_view),
        false => (stage.views as f64 * of_view - 1.0, stage.views as f64 * of_view),
    };
    let temperature = part.temperature;
    (classes >= 2).then_some(Contrast { classes, positives, members, temperature })
}

/// A term with its weight and its parts.
struct Weighed<'a> {
    term: &'a Term,
    weight: f64,
    parts: Vec<Part>,
}

fn weights(terms: &[Weighed]) -> (f64, f64) {
    let sum = |is_supervised: bool| {
        let parts = terms.iter().flat_map(|it| it.parts.iter().map(|part| (it.weight, part)));
        let chosen = parts.filter(|(_, part)| part.kind.is_supervised() == is_supervised);
        // An empty sum of floats is negative zero, which prints.
        chosen.fold(0.0, |sum, (weight, part)| sum + weight * part.share)
    };
    (sum(true), sum(false))
}

/// Values that an anchor without a positive has no part in.
fn references(terms: &[Weighed], contrast: Contrast) -> Vec<(String, Reference)> {
    let of_part = |part: &Part| match part.kind {
        PartKind::Supervised { denominator, clip } => {
            (part.share, contrast.supervised(denominator).plus(contrast.excess(clip)))
        }
        PartKind::WithinClass => (part.share, contrast.within_class()),
    };
    let is_met = contrast.positives >= 1.0;
    let is_contrast = |it: &&Weighed| is_met && !it.parts.is_empty();
    let named = |it: &Weighed| {
        let parts: Vec<_> = it.parts.iter().map(of_part).collect();
        (it.term.name.clone(), Reference::sum(&parts))
    };
    terms.iter().filter(is_contrast).map(named).collect()
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
        let threshold = up_to(theory.setting);
        let (alpha, phase) = (theory.setting.alpha, said(theory.phase, &theory.setting));
        let references: Vec<String> = theory
            .references
            .iter()
            .map(|(name, it)| range(name, digits(it.collapsed), digits(it.equal)))
            .collect();
        let line = format!(
            "{}: alpha {}, collapse {threshold}: {phase}; {}",
            stage.name,
            digits(alpha),
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
        let (here, large) = (said_up_to(self.setting), said_up_to(self.setting.in_large_batches()));
        writeln!(f, "  theory alpha {}, {classes} classes in {dim} dimensions", digits(alpha))?;
        writeln!(f, "    in these batches {}, collapse {here}", said(self.phase, &self.setting))?;
        let phase = said(self.in_large_batches, &self.setting);
        writeln!(f, "    in large batches {phase}, collapse {large}")?;
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

/// `up to 0.519`
fn up_to(setting: Setting) -> String {
    match setting.threshold() {
        threshold if threshold < 0.0 => "nowhere".to_owned(),
        threshold => format!("up to {}", digits(threshold)),
    }
}

/// `up to alpha 0.519`
fn said_up_to(setting: Setting) -> String {
    up_to(setting).replace("up to", "up to alpha")
}

/// A within-class variance.
pub(super) fn spread(variance: f64, setting: &Setting) -> String {
    if setting.is_estimate() { format!("about {variance:.2}") } else { format!("{variance:.4}") }
}

fn said(phase: Option<Phase>, setting: &Setting) -> String {
    match phase {
        Some(Phase::Collapse) => "each class is a point".to_owned(),
        Some(Phase::Spread(variance)) => {
            format!("within-class variance {}", spread(variance, setting))
        }
        Some(Phase::Mixed) => "classes mix".to_owned(),
        None => "too few dimensions to say".to_owned(),
    }
}
