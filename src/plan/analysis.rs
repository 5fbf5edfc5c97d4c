//! The analyses of a plan, and what can be known of them before any training: whether a comparison
//! can succeed, what it can see, and whether it compares like with like.

use std::rc::Rc;

use std::fmt::{self, Display, Formatter};

use schemars::JsonSchema;
use serde::Serialize;

use super::amount::flop;
use super::compile::{facts_of, read_by};
use super::grouped;
use super::{Division, Plan};
use crate::catalog::{Bound, Facts};
use crate::diag::{Diagnostic, Span, codes, plural};
use crate::resolve::analysis::Places;
pub use crate::resolve::analysis::{
    Assertion, At, Band, Claim, Comparison, Correct, Direction, Expectation, Figure, FigureKind,
    Mark, Metric, Over, Relation, Show, Table, Test, TestKind,
};
use crate::resolve::{Called, Design, Experiment, Stage};
use crate::statistics::{
    POWER, chance_of_false, detectable_paired, detectable_unpaired, least_sign_flip_p,
    seeds_to_reach, seeds_to_see,
};

/// A detectable difference above this many standard deviations is worth a word.
const LARGE: f64 = 2.0;

/// What is asked of the results of a plan.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct Analysis {
    pub tables: Vec<Table>,
    pub figures: Vec<Figure>,
    pub comparisons: Vec<Comparison>,
    pub expectations: Vec<Expectation>,
    pub claims: Vec<Claim>,
    /// What the comparisons can see, or, where none is declared, what one could.
    pub power: Vec<Power>,
}

/// The smallest difference that a comparison finds with a power of 80%.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Power {
    /// Which comparison; none where none is declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<usize>,
    pub seeds: usize,
    /// The level of the first test, after the correction.
    pub level: f64,
    /// In standard deviations: of the paired differences, or of the runs where none are paired.
    pub difference: f64,
    pub paired: bool,
}

impl Display for Power {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let Self { seeds, level, difference, .. } = self;
        let (design, of) = match self.paired {
            true => ("paired design", "sd"),
            false => ("unpaired comparison", "sd of the runs"),
        };
        let power = shown(POWER);
        write!(f, "{design} sees differences of {difference:.1} {of} or more ")?;
        write!(f, "({}, {power} power", plural(*seeds, "seed"))?;
        if *level == 0.05 { f.write_str(")") } else { write!(f, ", level {})", shown(*level)) }
    }
}

/// A share in percent, to two digits that count.
fn shown(share: f64) -> String {
    let percent = 100.0 * share;
    let text = if percent >= 1.0 { format!("{percent:.1}") } else { format!("{percent:.2}") };
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

impl Analysis {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        let Self { tables, figures, comparisons, expectations, claims, .. } = self;
        [tables.len(), figures.len(), comparisons.len(), expectations.len(), claims.len()]
            .iter()
            .all(|count| *count == 0)
    }
}

impl Display for Analysis {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        self.tables.iter().try_for_each(|it| writeln!(f, "  {it}"))?;
        self.figures.iter().try_for_each(|it| writeln!(f, "  {it}"))?;
        self.comparisons.iter().try_for_each(|it| writeln!(f, "  {it}"))?;
        self.expectations.iter().try_for_each(|it| writeln!(f, "  expect {it}"))?;
        self.claims.iter().try_for_each(|it| writeln!(f, "  {it}"))
    }
}

/// Checks what `design` asks of its results; `plan` is its own, where nothing else is wrong.
pub(super) fn analyse(
    design: &Design,
    facts: &Facts,
    plan: Option<&Plan>,
    out: &mut Vec<Diagnostic>,
) -> Analysis {
    let analyses = &design.analyses;
    for (metric, span) in &analyses.metrics {
        out.extend(unmeasured(design, facts, metric, *span));
    }
    out.extend(design.cells.iter().filter_map(|it| unselectable(&it.experiment, facts)));
    let mut power = Vec::new();
    for (at, (comparison, places)) in analyses.comparisons.iter().enumerate() {
        out.extend(split_differs(design, comparison, places));
        let seen = power_of(comparison, design.seeds.node.len());
        let more = |seeds| more_runs(design, plan, seeds);
        let hopeless =
            comparison.test.and_then(|test| hopeless(design, comparison, &test, (places, &more)));
        if hopeless.is_none() {
            power.extend(seen.map(|seen| Power { comparison: Some(at), ..seen }));
            out.extend(
                seen.filter(|it| it.difference > LARGE).map(|it| weak(design, &it, places, &more)),
            );
        }
        out.extend(hopeless);
    }
    out.extend(uncorrected(design));
    if analyses.comparisons.is_empty() && design.cells.len() > 1 {
        power.extend(paired(design.seeds.node.len(), 0.05));
    }
    Analysis {
        tables: analyses.tables.clone(),
        figures: analyses.figures.clone(),
        comparisons: analyses.comparisons.iter().map(|(it, _)| it.clone()).collect(),
        expectations: analyses.expectations.clone(),
        claims: analyses.claims.clone(),
        power,
    }
}

/// What a comparison sees; nothing where it tests nothing.
fn power_of(comparison: &Comparison, seeds: usize) -> Option<Power> {
    let test = comparison.test?;
    let level = first_level(&test, comparison.pairs.len());
    match test.kind {
        TestKind::Welch => {
            let difference = detectable_unpaired(seeds, level)?;
            Some(Power { comparison: None, seeds, level, difference, paired: false })
        }
        _ => paired(seeds, level),
    }
}

fn paired(seeds: usize, level: f64) -> Option<Power> {
    let difference = detectable_paired(seeds, level)?;
    Some(Power { comparison: None, seeds, level, difference, paired: true })
}

/// The level of the smallest p of `count`.
fn first_level(test: &Test, count: usize) -> f64 {
    match test.correct {
        Correct::None => test.level,
        _ => test.level / count.max(1) as f64,
    }
}

/// The level that at least one p must reach for anything to be significant: the step-up of Hochberg
/// accepts all at once when every p is below the level.
fn level_to_reach(test: &Test, count: usize) -> f64 {
    match test.correct {
        Correct::Hochberg => test.level,
        _ => first_level(test, count),
    }
}

/// A test that no result can pass.
fn hopeless(
    design: &Design,
    comparison: &Comparison,
    test: &Test,
    (places, more): (&Places, More),
) -> Option<Diagnostic> {
    let (seeds, count) = (design.seeds.node.len(), comparison.pairs.len());
    let wanted = level_to_reach(test, count);
    let is_exact = matches!(test.kind, TestKind::SignFlip | TestKind::Guarded);
    let least = least_sign_flip_p(seeds);
    let (label, enough) = match is_exact {
        true if least > wanted => {
            let p = number(least);
            let label =
                format!("{}: smallest two-sided p is 2/2^{seeds} = {p}", plural(seeds, "seed"));
            (label, seeds_to_reach(wanted))
        }
        false if seeds < 2 => ("one seed has no spread to test against".to_owned(), 2),
        _ => return None,
    };
    let needs = match (is_exact, test.correct) {
        (false, _) => "compares a difference with its spread".to_owned(),
        (_, Correct::None) => format!("each needs p <= {}", number(wanted)),
        (_, Correct::Hochberg) => format!("at best all pass at p <= {}", number(wanted)),
        _ if count == 1 => format!("needs p <= {}", number(wanted)),
        _ => format!("{count} comparisons: the first needs p <= {}", number(wanted)),
    };
    let reach = match is_exact {
        true => format!("{enough} seeds reach {}", number(least_sign_flip_p(enough))),
        false => format!("{enough} seeds have one"),
    };
    let runs = more(enough);
    Some(
        Diagnostic::new(&codes::HOPELESS, "this comparison can never be significant")
            .at(design.seeds.span, label)
            .at(places.test, needs)
            .help(format!("{reach}: `seeds = 0..{enough}` ({runs})"))
            .help("or report an interval and no test: `test = none`, and `show = mean_ci(95%)`"),
    )
}

/// Says what a number of seeds takes besides those there are.
type More<'a> = &'a dyn Fn(usize) -> String;

/// `16 more runs, 4.2 PFLOP`: what `seeds` seeds take besides those of `design`.
fn more_runs(design: &Design, plan: Option<&Plan>, seeds: usize) -> String {
    let own = design.seeds.node.len();
    let runs = plural((seeds - own) * design.cells.len(), "more run");
    let Some(plan) = plan else { return runs };
    let costs = plan.stages.iter().map(|it| it.cost.flops);
    let costs = costs.chain(plan.evaluations.iter().map(|it| it.cost.flops));
    format!("{runs}, {}", flop(costs.sum::<f64>() / own as f64 * (seeds - own) as f64))
}

/// Three digits that count.
fn number(p: f64) -> String {
    let digits = (2.0 - p.log10().floor()).clamp(0.0, 12.0) as usize;
    let text = format!("{p:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A comparison that sees only large differences.
fn weak(design: &Design, power: &Power, places: &Places, more: More) -> Diagnostic {
    let of = if power.paired { "the paired differences" } else { "the runs" };
    let detectable = if power.paired { detectable_paired } else { detectable_unpaired };
    let enough = seeds_to_see(LARGE, power.level, detectable);
    let seen = detectable(enough, power.level).unwrap_or(LARGE);
    let runs = more(enough);
    Diagnostic::new(&codes::LOW_POWER, "this comparison sees only large differences")
        .at(design.seeds.span, plural(power.seeds, "seed"))
        .at(
            places.test,
            format!("finds {:.1} sd of {of} in {} of cases", power.difference, shown(POWER)),
        )
        .help(format!("{enough} seeds see {seen:.1} sd: `seeds = 0..{enough}` ({runs})"))
}

/// Several comparisons, each at the full level.
fn uncorrected(design: &Design) -> Option<Diagnostic> {
    let plain = design.analyses.comparisons.iter().filter_map(|(comparison, places)| {
        let test = comparison.test.filter(|test| test.correct == Correct::None)?;
        Some((comparison.pairs.len(), test.level, places.test))
    });
    let plain: Vec<(usize, f64, Span)> = plain.collect();
    let count: usize = plain.iter().map(|(count, ..)| count).sum();
    let (_, level, _) = *plain.first().filter(|_| count > 1)?;
    let message = "several comparisons are made without a correction";
    let mut diagnostic = Diagnostic::new(&codes::UNCORRECTED, message);
    for (count, level, span) in &plain {
        let label = format!("{} at {} each", plural(*count, "comparison"), shown(*level));
        diagnostic = diagnostic.at(*span, label);
    }
    let chance = shown(chance_of_false(count, level));
    Some(
        diagnostic
            .help(format!(
                "where nothing differs, {chance} of such studies find something all the same"
            ))
            .help(match plain.len() {
                1 => "write `correct=holm`".to_owned(),
                _ => format!("write `level={}` in each", shown(level / count as f64)),
            }),
    )
}

/// The data that the evaluation `entry` of an experiment measures.
fn data_of<'e>(experiment: &'e Experiment, entry: &str) -> Option<&'e Called> {
    let entry = experiment.evaluations.iter().find(|it| it.name.node == entry)?;
    let on = read_by(&entry.call.bound);
    let reads = |stage: &&Rc<Stage>| on.first().is_none_or(|name| *name == stage.name.node);
    experiment.stages.iter().find(reads).map(|stage| &stage.data)
}

/// A metric on a split that some cell does not have.
fn unmeasured(design: &Design, facts: &Facts, metric: &Metric, span: Span) -> Option<Diagnostic> {
    let cells = design.cells.iter().enumerate().filter(|(at, _)| metric.asks(*at));
    for (_, cell) in cells {
        let Some(data) = data_of(&cell.experiment, &metric.entry) else { continue };
        let Some(known) = facts_of(&data.bound, facts) else { continue };
        let Ok(division) = Division::of(&data.bound, known) else { continue };
        let mut entries = cell.experiment.evaluations.iter();
        let area = entries
            .find(|it| it.name.node == metric.entry)
            .and_then(|entry| grouped::area((&metric.metric, span), &entry.call, data, known));
        if area.is_some() {
            return area;
        }
        let (split, param, size) = match metric.split.as_str() {
            "val" => ("validation", "val", division.val),
            "test" => ("test", "test", division.test),
            _ => continue,
        };
        if size == 0 {
            let message = format!("there is nothing to measure `{metric}` on");
            return Some(
                Diagnostic::new(&codes::OUT_OF_RANGE, message)
                    .at(span, format!("of the {split} split"))
                    .at(data.place(param), format!("which is empty: write `{param}=10%`")),
            );
        }
    }
    None
}

/// A selection on a validation split that is empty.
fn unselectable(experiment: &Experiment, facts: &Facts) -> Option<Diagnostic> {
    let selection = experiment.selection.as_ref().filter(|it| !it.is_oracle)?;
    let data = data_of(experiment, &selection.entry)?;
    let division = Division::of(&data.bound, facts_of(&data.bound, facts)?).ok()?;
    let metric = &selection.metric;
    (division.val == 0).then(|| {
        Diagnostic::new(&codes::OUT_OF_RANGE, "the model cannot be selected")
            .at(metric.span, "chosen on the validation split")
            .at(data.place("val"), "which is empty: write `val=10%`")
    })
}

/// Two compared cells that are not measured on the same images.
fn split_differs(design: &Design, comparison: &Comparison, places: &Places) -> Option<Diagnostic> {
    let entry = &comparison.metric.entry;
    for [cell, baseline] in &comparison.pairs {
        let of = |at: &usize| data_of(&design.cells[*at].experiment, entry);
        let (Some(own), Some(other)) = (of(cell), of(baseline)) else { continue };
        let Some(what) = difference(&own.bound, &other.bound) else { continue };
        let place = |data: &Called| data.place(what.unwrap_or(""));
        let label = |at: &usize, of: &str| format!("{of} `{}`", cell_label(design, *at));
        let message = match what {
            Some(param) => format!("compared cells are split by another `{param}`"),
            None => "compared cells are measured on other data".to_owned(),
        };
        return Some(
            Diagnostic::new(&codes::SPLIT_DIFFERS, message)
                .at(place(own), label(cell, "what is measured of"))
                .at(place(other), label(baseline, "and of its baseline"))
                .at(places.baseline, "compared with this baseline")
                .help("compare along an axis that leaves the images of each split as they are"),
        );
    }
    None
}

/// In what two datasets do not hold the same images in each split: an argument, or all.
pub(super) fn difference(a: &Bound, b: &Bound) -> Option<Option<&'static str>> {
    if a.spec != b.spec {
        return Some(None);
    }
    let differs = |name: &&&str| a.value(name) != b.value(name);
    ["test", "val", "split_seed"].iter().find(differs).map(|name| Some(*name))
}

fn cell_label(design: &Design, cell: usize) -> String {
    let levels = design.cells[cell].levels.iter().zip(&design.axes);
    levels.flat_map(|(level, axis)| axis.levels[*level].clone()).collect::<Vec<_>>().join(", ")
}
