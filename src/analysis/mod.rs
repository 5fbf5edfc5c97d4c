//! Outcomes to tables: one row a cell, one column a measure, mean and spread over seeds.

use serde::Serialize;

use crate::plan::{Plan, Stamp, is_share};
use crate::run::{Outcome, TrialOutcome};

/// A table of a design's results.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// The design's name.
    pub title: String,
    /// The names of the axes; the row labels stand under them.
    pub axes: Vec<String>,
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
    /// The seeds each cell was run with.
    pub seeds: Vec<u64>,
    /// The group labels behind the numbers, where the data name groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group_labels: Vec<Stamp>,
    /// The loss terms by themselves, where an evaluation measures them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub terms: Vec<TermRow>,
}

impl Table {
    /// The label of a row: of its level on every axis.
    pub fn label(&self, row: usize) -> String {
        match &self.rows[row].labels[..] {
            [] => self.title.clone(),
            labels => labels.join(", "),
        }
    }
}

/// One measure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    pub evaluation: String,
    pub metric: String,
    /// The split it is measured on.
    pub split: String,
}

impl Column {
    /// Whether its values are shares, shown in percent.
    pub fn is_share(&self) -> bool {
        is_share(&self.metric)
    }

    /// `fine.accuracy`
    pub fn name(&self) -> String {
        format!("{}.{}", self.evaluation, self.metric)
    }
}

/// A loss term before and after embeddings trade places, as means over seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TermRow {
    pub evaluation: String,
    /// An index into [`Table::rows`].
    pub row: usize,
    pub term: String,
    /// What of an image it sees: `class`, `label` or `image`.
    pub sees: &'static str,
    pub before: f64,
    pub after: f64,
}

/// One cell of the sweep.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// One for each axis.
    pub labels: Vec<String>,
    /// One for each column.
    pub summaries: Vec<Option<Summary>>,
    /// Whether the evaluation of each column is there, with any number or none.
    #[serde(skip)]
    pub is_there: Vec<bool>,
}

/// A measure over seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    pub mean: f64,
    /// Sample standard deviation; none of a single value.
    pub sd: Option<f64>,
    pub values: Vec<SeedValue>,
}

/// What one trial measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SeedValue {
    pub seed: u64,
    pub value: f64,
}

impl Summary {
    /// Of at least one value.
    pub fn of(values: Vec<SeedValue>) -> Option<Self> {
        let n = values.len() as f64;
        if values.is_empty() {
            return None;
        }
        let mean = values.iter().map(|it| it.value).sum::<f64>() / n;
        let squares: f64 = values.iter().map(|it| (it.value - mean).powi(2)).sum();
        let sd = (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt());
        Some(Self { mean, sd, values })
    }

    /// Standard error of the mean.
    pub fn standard_error(&self) -> Option<f64> {
        self.sd.map(|sd| sd / (self.values.len() as f64).sqrt())
    }
}

/// The table of `outcome`: the metrics of every evaluation that tables show, on the test split
/// where it is measured on that.
pub fn tabulate(plan: &Plan, outcome: &Outcome) -> Table {
    let columns = columns(plan);
    let rows = (0..plan.cells.len())
        .map(|cell| Row {
            labels: labels(plan, cell),
            summaries: columns.iter().map(|column| summary(plan, outcome, cell, column)).collect(),
            is_there: columns.iter().map(|column| is_there(outcome, cell, column)).collect(),
        })
        .collect();
    Table {
        title: plan.design.clone(),
        axes: plan.axis_names().into_iter().map(str::to_owned).collect(),
        columns,
        rows,
        seeds: plan.seeds.clone(),
        group_labels: plan.stamps("test"),
        terms: (0..plan.cells.len()).flat_map(|cell| terms(outcome, cell)).collect(),
    }
}

/// Every loss term that an evaluation of a cell measured by itself.
fn terms(outcome: &Outcome, cell: usize) -> Vec<TermRow> {
    let trials = outcome.trials.iter().filter(|trial| trial.cell == cell);
    let all = trials.flat_map(|trial| trial.evaluations.iter().flatten());
    let mut found: Vec<(TermRow, f64)> = Vec::new();
    for (evaluated, of) in all.flat_map(|it| it.terms.iter().map(move |of| (it, of))) {
        let (evaluation, term) = (&evaluated.evaluation, &of.term);
        let known =
            found.iter_mut().find(|(row, _)| (&row.evaluation, &row.term) == (evaluation, term));
        match known {
            Some((row, count)) => {
                (row.before, row.after) = (row.before + of.before, row.after + of.after);
                *count += 1.0;
            }
            None => {
                let (evaluation, term) = (evaluation.clone(), term.clone());
                let (sees, before, after) = (of.sees.name(), of.before, of.after);
                found.push((TermRow { evaluation, row: cell, term, sees, before, after }, 1.0));
            }
        }
    }
    let mean = |(row, count): (TermRow, f64)| TermRow {
        before: row.before / count,
        after: row.after / count,
        ..row
    };
    found.into_iter().map(mean).collect()
}

/// Every evaluation once, in the order of the file.
fn columns(plan: &Plan) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for at in plan.trials.iter().flat_map(|trial| &trial.evaluations) {
        let evaluation = &plan.evaluations[*at];
        let spec = evaluation.call.spec;
        for metric in spec.metrics.iter().take(spec.shown) {
            let column = Column {
                evaluation: evaluation.name.clone(),
                metric: (*metric).to_owned(),
                split: spec.usual_split().to_owned(),
            };
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
    }
    columns
}

fn labels(plan: &Plan, cell: usize) -> Vec<String> {
    let levels = plan.cells[cell].levels.iter().zip(&plan.axes);
    levels.flat_map(|(level, axis)| axis.levels[*level].clone()).collect()
}

fn summary(plan: &Plan, outcome: &Outcome, cell: usize, column: &Column) -> Option<Summary> {
    let trials = outcome.trials.iter().filter(|trial| trial.cell == cell);
    let values: Vec<SeedValue> = trials
        .filter_map(|trial| Some(SeedValue { seed: trial.seed, value: value(trial, column)? }))
        .collect();
    debug_assert!(values.len() <= plan.seeds.len());
    Summary::of(values)
}

fn is_there(outcome: &Outcome, cell: usize, column: &Column) -> bool {
    let trials = outcome.trials.iter().filter(|trial| trial.cell == cell);
    let mut evaluated = trials.flat_map(|trial| trial.evaluations.iter().flatten());
    evaluated.any(|it| it.evaluation == column.evaluation)
}

fn value(trial: &TrialOutcome, column: &Column) -> Option<f64> {
    let mut evaluated = trial.evaluations.iter().flatten();
    let evaluated = evaluated.find(|it| it.evaluation == column.evaluation)?;
    let mut scores = evaluated.scores.iter();
    let score = scores.find(|it| it.split == column.split && it.metric == column.metric)?;
    Some(score.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over_seeds(values: &[f64]) -> Vec<SeedValue> {
        values
            .iter()
            .enumerate()
            .map(|(at, value)| SeedValue { seed: at as u64, value: *value })
            .collect()
    }

    #[test]
    fn a_summary_is_mean_and_sample_deviation() {
        let summary = Summary::of(over_seeds(&[1.0, 2.0, 4.0])).expect("three values");
        assert!((summary.mean - 7.0 / 3.0).abs() < 1e-12);
        // numpy.std([1, 2, 4], ddof=1)
        assert!((summary.sd.expect("of three") - 1.527_525_231_651_946_8).abs() < 1e-12);
        assert_eq!(Summary::of(over_seeds(&[3.0])).expect("one value").sd, None);
        assert_eq!(Summary::of(Vec::new()), None);
    }
}
