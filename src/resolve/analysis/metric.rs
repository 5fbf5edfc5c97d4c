//! Metrics: `[split.]entry.metric`, of some cells, over seeds.

use super::{Analyst, Measure, Metric, Over};
use crate::diag::{Diagnostic, Span, codes, or_list};
use crate::resolve::eval::kind_of;
use crate::resolve::experiment::plain;
use crate::syntax::{Arg, Call, Expr, ExprKind, Name, Path};

/// Words that begin the name of a metric, and so cannot name an evaluation.
pub(in crate::resolve) const SPLITS: &[&str] = &["train", "val", "test"];

/// What a metric may be taken over.
const OVER: &[(&str, Over)] =
    &[("mean", Over::Mean), ("median", Over::Median), ("every", Over::Every)];

/// The parts of a metric's name.
struct Parts<'p> {
    split: Option<&'p Name>,
    entry: &'p Name,
    metric: Option<&'p Name>,
}

impl Analyst<'_> {
    /// The metric that `expr` names; an evaluation alone means its first.
    pub fn metric(&mut self, expr: &Expr) -> Option<Metric> {
        self.metrics(expr, false)?.pop()
    }

    /// The metrics of a list, or one; with `all`, an evaluation alone means all of its metrics.
    pub fn metrics(&mut self, expr: &Expr, all: bool) -> Option<Vec<Metric>> {
        let mut found = self.metrics_here(expr, all)?;
        let places = found.iter().map(|metric| (metric.clone(), expr.span));
        self.found.metrics.extend(places);
        found.truncate(if all { found.len() } else { 1 });
        Some(found)
    }

    fn metrics_here(&mut self, expr: &Expr, all: bool) -> Option<Vec<Metric>> {
        match &expr.kind {
            ExprKind::Paren(inner) => self.metrics_here(inner, all),
            ExprKind::Path(path) => self.measured(path, all),
            ExprKind::Cells { path, test } => {
                let metrics = self.measured(path, all);
                let cells = self.cells(test)?;
                let condition = Some(plain(test));
                let of =
                    |it| Metric { condition: condition.clone(), cells: Some(cells.clone()), ..it };
                Some(metrics?.into_iter().map(of).collect())
            }
            ExprKind::Call(call) => self.taken(call, expr.span, all),
            _ => {
                let label = format!("this is {}", kind_of(expr));
                let diagnostic = Diagnostic::new(&codes::WRONG_TYPE, "a metric is needed here");
                let advice = format!("for example `{}`", self.example());
                self.out.push(diagnostic.at(expr.span, label).help(advice));
                None
            }
        }
    }

    /// A metric as this sweep could write it.
    pub fn example(&self) -> String {
        let first = self.measures.iter().find_map(|it| Some((it.entry, it.spec.metrics.first()?)));
        first.map_or("fine.accuracy".to_owned(), |(entry, metric)| format!("{entry}.{metric}"))
    }

    /// `median(METRIC)`
    fn taken(&mut self, call: &Call, span: Span, all: bool) -> Option<Vec<Metric>> {
        let name = call.path.text();
        let Some((_, over)) = OVER.iter().find(|(word, _)| *word == name) else {
            let message = format!("a metric is not taken over seeds by `{name}`");
            let words = OVER.iter().map(|(word, _)| *word);
            let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
            self.out.push(diagnostic.expected(call.path.span, &name, words));
            return None;
        };
        let [Arg { name: None, value }] = &call.args[..] else {
            let message = format!("`{name}` takes one metric");
            let label = format!("for example `{name}({})`", self.example());
            self.out.push(Diagnostic::new(&codes::MISSING, message).at(span, label));
            return None;
        };
        let metrics = self.metrics_here(value, all)?;
        Some(metrics.into_iter().map(|metric| Metric { over: *over, ..metric }).collect())
    }

    /// What `path` names; nothing is said where no cell could be worked out.
    fn measured(&mut self, path: &Path, all: bool) -> Option<Vec<Metric>> {
        if self.ground.cells.is_empty() {
            return None;
        }
        let parts = self.parts(path)?;
        let entry = parts.entry.node.as_str();
        let specs = || self.measures.iter().filter(|it| it.entry == entry).map(|it| it.spec);
        if specs().next().is_none() {
            return self.no_entry(parts.entry);
        }
        let usual = specs().next().map_or("test", |spec| spec.usual_split());
        let split = parts.split.map_or(usual, |split| split.node.as_str());
        let known: Vec<&str> = specs().flat_map(|spec| spec.metrics).copied().collect();
        if let Some(name) = parts.metric.filter(|name| !known.contains(&name.node.as_str())) {
            return self.no_metric(entry, name, known);
        }
        let wanted = match parts.metric {
            Some(metric) => vec![metric.node.as_str()],
            None if all => known,
            None => known.into_iter().take(1).collect(),
        };
        if let (Some(name), false) = (parts.split, specs().any(|it| it.splits.contains(&split))) {
            let splits = specs().flat_map(|spec| spec.splits).copied().collect();
            return self.no_split(entry, name, splits);
        }
        let metric = |metric: &str| Metric {
            over: Over::Mean,
            split: split.to_owned(),
            entry: entry.to_owned(),
            metric: metric.to_owned(),
            condition: None,
            cells: None,
        };
        Some(wanted.into_iter().map(metric).collect())
    }

    fn parts<'p>(&mut self, path: &'p Path) -> Option<Parts<'p>> {
        let (split, rest) = match &path.parts[..] {
            [split, rest @ ..] if SPLITS.contains(&split.node.as_str()) => (Some(split), rest),
            rest => (None, rest),
        };
        match rest {
            [entry] => Some(Parts { split, entry, metric: None }),
            [entry, metric] => Some(Parts { split, entry, metric: Some(metric) }),
            [first, _, _] if self.measures.iter().all(|it| it.entry != first.node) => {
                let message = format!("no split is called `{}`", first.node);
                let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
                self.out.push(diagnostic.expected(first.span, &first.node, SPLITS.iter().copied()));
                None
            }
            _ => {
                let message = format!("`{}` is no metric", path.text());
                let help = format!("write `{}`, or `val.{0}`", self.example());
                self.out.push(
                    Diagnostic::new(&codes::WRONG_TYPE, message)
                        .at(path.span, "expected `[split.]entry.metric`")
                        .help(help),
                );
                None
            }
        }
    }

    fn no_entry<T>(&mut self, name: &Name) -> Option<T> {
        let mut names: Vec<&str> = Vec::new();
        for Measure { entry, .. } in &self.measures {
            if !names.contains(entry) {
                names.push(entry);
            }
        }
        let message = format!("no evaluation is called `{}`", name.node);
        let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
        self.out.push(diagnostic.expected(name.span, &name.node, names));
        None
    }

    fn no_metric<T>(&mut self, entry: &str, name: &Name, known: Vec<&str>) -> Option<T> {
        let message = format!("`{entry}` does not measure `{}`", name.node);
        let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
        self.out.push(diagnostic.expected(name.span, &name.node, known));
        None
    }

    fn no_split<T>(&mut self, entry: &str, name: &Name, splits: Vec<&str>) -> Option<T> {
        let message = format!("`{entry}` is not measured on `{}`", name.node);
        let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
        self.out.push(diagnostic.at(name.span, format!("it gives {}", or_list(&splits))));
        None
    }

    /// The cells that pass a condition.
    fn cells(&mut self, test: &Expr) -> Option<Vec<usize>> {
        let mut passing = Vec::new();
        for (at, cell) in self.ground.cells.iter().enumerate() {
            if (self.ground.passes)(&cell.levels, test, self.out)? {
                passing.push(at);
            }
        }
        if passing.is_empty() && !self.ground.cells.is_empty() {
            self.out.push(
                Diagnostic::new(&codes::EMPTY, "no cell of this sweep passes this condition")
                    .at(test.span, "nothing is left to measure"),
            );
            return None;
        }
        Some(passing)
    }
}
