//! `compare { metric baseline test margin }`.

use std::collections::BTreeMap;

use super::fields::{is_points, word_of};
use super::{Analyst, At, Comparison, Correct, Dimension, Metric, Places, Test, TestKind};
use crate::catalog::is_share;
use crate::diag::{Diagnostic, Span, codes};
use crate::resolve::sweep::level_label;
use crate::syntax::{Arg, Block, Expr, ExprKind};

const FIELDS: &[&str] = &["metric", "baseline", "test", "margin"];
const TESTS: &[(&str, TestKind)] = &[
    ("sign_flip", TestKind::SignFlip),
    ("paired_t", TestKind::PairedT),
    ("welch", TestKind::Welch),
    ("guarded", TestKind::Guarded),
];
const CORRECTIONS: &[(&str, Correct)] = &[
    ("holm", Correct::Holm),
    ("hochberg", Correct::Hochberg),
    ("bonferroni", Correct::Bonferroni),
];
/// What is tested where nothing else is said.
const USUAL: Test = Test { kind: TestKind::SignFlip, level: 0.05, correct: Correct::Holm };

/// Levels by the numbers of their axes.
type Fixed = BTreeMap<usize, Vec<usize>>;

impl Analyst<'_> {
    /// A comparison of every other cell with a baseline.
    pub fn comparison(&mut self, block: &Block) -> Option<(Comparison, Places)> {
        if let Some(label) = &block.label {
            self.out.push(
                Diagnostic::new(&codes::HEADER, "`compare` takes no name")
                    .at(label.span, "write `compare { … }`"),
            );
        }
        let fields = self.fields(block, FIELDS);
        let metric = self.needed(&fields, "metric", &self.example());
        let metric = metric.map(|metric| self.metric(metric));
        let baseline = self.needed(&fields, "baseline", "LEVEL");
        let fixed = baseline.map(|baseline| self.baseline(baseline));
        let test = match fields.get("test") {
            Some(test) => self.test(test)?,
            None => Some(USUAL),
        };
        let metric = metric??;
        let margin = fields.get("margin").map(|margin| self.margin(margin, &metric));
        let (baseline, fixed) = fixed??;
        let pairs = self.pairs(&fixed, &metric, fields.place("baseline"))?;
        let margin = margin.map_or(Some(None), |margin| margin.map(Some))?;
        let places = Places { baseline: fields.place("baseline"), test: fields.place("test") };
        Some((Comparison { metric, baseline, pairs, test, margin }, places))
    }

    /// A level of one axis, or a record of levels.
    fn baseline(&mut self, expr: &Expr) -> Option<(Vec<At>, Fixed)> {
        let named = match &expr.kind {
            ExprKind::Record(_) => self.at(expr),
            _ => vec![self.only(expr)?],
        };
        let mut fixed = Fixed::new();
        for At { axis, levels } in &named {
            let dimension = self.ground.dimensions.iter().find(|it| it.name.node == *axis)?;
            if levels.is_empty() {
                return None;
            }
            let [label] = &levels[..] else {
                let message = format!("a baseline has one level of `{axis}`");
                self.out.push(
                    Diagnostic::new(&codes::WRONG_TYPE, message)
                        .at(expr.span, "not a list of them"),
                );
                return None;
            };
            let with = |at: &usize| dimension.levels[*at].label == label;
            let all = fixed.remove(&dimension.axis);
            let all = all.unwrap_or((0..dimension.levels.len()).collect());
            fixed.insert(dimension.axis, all.into_iter().filter(with).collect());
        }
        // What is wrong with a pair that is missing was said.
        let is_partly = matches!(&expr.kind, ExprKind::Record(pairs) if pairs.len() > named.len());
        (!is_partly).then_some((named, fixed))
    }

    /// The level of a single axis.
    fn only(&mut self, expr: &Expr) -> Option<At> {
        let dimensions = &self.ground.dimensions;
        let label = level_label(expr);
        let has = |it: &&Dimension| !it.named(expr).is_empty();
        let found: Vec<&Dimension> = dimensions.iter().filter(has).collect();
        if let [only] = found[..] {
            let level = &only.levels[only.named(expr)[0]];
            return Some(At { axis: only.name.node.clone(), levels: vec![level.label.to_owned()] });
        }
        let diagnostic = match &found[..] {
            [] => {
                let labels = dimensions.iter().flat_map(|it| it.levels.iter().map(|it| it.label));
                let labels: Vec<&str> = labels.collect();
                let message = format!("no level of this sweep is called `{label}`");
                let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
                match labels[..] {
                    [] => diagnostic.at(expr.span, "it has no axis to compare along"),
                    _ => diagnostic.expected(expr.span, &label, labels),
                }
            }
            several => {
                let pairs = several.iter().map(|it| format!("{} = {label}", it.name.node));
                let help =
                    format!("write `baseline = {{ {} }}`", pairs.collect::<Vec<_>>().join(", "));
                let message = format!("several axes have a level `{label}`");
                let first = Diagnostic::new(&codes::WRONG_TYPE, message)
                    .at(expr.span, "which of them is meant?");
                let at = |it: Diagnostic, axis: &&Dimension| it.at(axis.name.span, "");
                several.iter().fold(first, at).help(help)
            }
        };
        self.out.push(diagnostic);
        None
    }

    /// Each compared cell with the baseline that has its other levels.
    fn pairs(&mut self, fixed: &Fixed, metric: &Metric, span: Span) -> Option<Vec<[usize; 2]>> {
        let cells = self.ground.cells;
        let is_fixed =
            |levels: &[usize]| fixed.iter().all(|(axis, of)| of.contains(&levels[*axis]));
        let rest = |levels: &[usize]| -> Vec<usize> {
            let axes = levels.iter().enumerate().filter(|(axis, _)| !fixed.contains_key(axis));
            axes.map(|(_, level)| *level).collect()
        };
        let mut baselines: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        for (at, cell) in cells.iter().enumerate().filter(|(_, it)| is_fixed(&it.levels)) {
            if baselines.insert(rest(&cell.levels), at).is_some() {
                self.out.push(
                    Diagnostic::new(&codes::WRONG_TYPE, "several cells are this baseline")
                        .at(span, "name a level of the other lines of the `zip` as well"),
                );
                return None;
            }
        }
        let others = cells.iter().enumerate();
        let others = others.filter(|(at, it)| !is_fixed(&it.levels) && metric.asks(*at));
        let others: Vec<_> = others.collect();
        let pair =
            |(at, it): &(usize, &super::Cell)| Some([*at, *baselines.get(&rest(&it.levels))?]);
        let pairs: Vec<[usize; 2]> = others.iter().filter_map(pair).collect();
        if pairs.is_empty() && !cells.is_empty() {
            let (message, label) = nothing_to_compare(baselines.is_empty(), others.is_empty());
            self.out.push(Diagnostic::new(&codes::EMPTY, message).at(span, label));
            return None;
        }
        Some(pairs)
    }

    /// The test, none for `none`; nothing when it cannot be read.
    fn test(&mut self, expr: &Expr) -> Option<Option<Test>> {
        if expr.kind == ExprKind::None {
            return Some(None);
        }
        let word = word_of(expr);
        let kind = word.as_ref().and_then(|it| TESTS.iter().find(|(name, _)| *name == it.text));
        let (Some(word), Some((_, kind))) = (word, kind) else {
            let words = TESTS.iter().map(|(name, _)| *name).chain(["none"]);
            return self.no_word(expr, "`test`", words);
        };
        let mut test = Test { kind: *kind, ..USUAL };
        for Arg { name, value } in word.args {
            match name.as_ref().map(|name| (name.node.as_str(), name)) {
                Some(("level", _)) => {
                    test.level = self.share(value, "the level", (0.0, 0.5), "5%")?
                }
                Some(("correct", _)) => test.correct = self.correction(value)?,
                Some((other, name)) => {
                    let message = format!("`{}` has no argument `{other}`", word.text);
                    let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
                    self.out.push(diagnostic.expected(name.span, other, ["level", "correct"]));
                    return None;
                }
                None => {
                    let message = format!("`{}` takes named arguments", word.text);
                    self.out.push(
                        Diagnostic::new(&codes::WRONG_TYPE, message)
                            .at(value.span, "write `level=5%` or `correct=holm`"),
                    );
                    return None;
                }
            }
        }
        Some(Some(test))
    }

    fn correction(&mut self, expr: &Expr) -> Option<Correct> {
        match word_of(expr) {
            None if expr.kind == ExprKind::None => Some(Correct::None),
            Some(word) if CORRECTIONS.iter().any(|(it, _)| *it == word.text) => {
                self.word(expr, "`correct`", CORRECTIONS)
            }
            _ => self.no_word(
                expr,
                "`correct`",
                CORRECTIONS.iter().map(|(word, _)| *word).chain(["none"]),
            ),
        }
    }

    /// The smallest difference that matters.
    fn margin(&mut self, expr: &Expr, metric: &Metric) -> Option<f64> {
        let quantity = self.eval().quantity(expr)?;
        let name = &metric.metric;
        let fits =
            is_share(name) == is_points(quantity.unit) && (is_share(name) || !quantity.percent);
        if fits && quantity.value >= 0.0 {
            return Some(quantity.value);
        }
        let diagnostic = match (fits, is_share(name)) {
            (true, _) => Diagnostic::new(&codes::OUT_OF_RANGE, "a margin is not negative")
                .at(expr.span, "differences of this size do not matter"),
            (false, true) => {
                Diagnostic::new(&codes::WRONG_UNIT, "a difference of accuracies is in `pp`")
                    .at(expr.span, "for example `0.5 pp`")
            }
            (false, false) => Diagnostic::new(&codes::WRONG_UNIT, format!("`{name}` has no unit"))
                .at(expr.span, "write a plain number"),
        };
        self.out.push(diagnostic);
        None
    }
}

/// Why there is no pair: without a baseline, without anything else, or without what shares its
/// other levels.
fn nothing_to_compare(no_baseline: bool, no_other: bool) -> (&'static str, &'static str) {
    match (no_baseline, no_other) {
        (true, _) => {
            ("no cell of this sweep is the baseline", "`where` leaves none with these levels")
        }
        (false, true) => ("nothing is left to compare with the baseline", "every cell is one"),
        (false, false) => (
            "no cell differs from the baseline in these axes only",
            "every cell of the design that is left differs in others as well",
        ),
    }
}
