//! What is asked of the results of a design: plain data, part of the plan and of no digest.

use schemars::JsonSchema;
use serde::Serialize;

/// A measured number of every cell, over its seeds.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Metric {
    pub over: Over,
    /// `train`, `val` or `test`.
    pub split: String,
    /// The evaluation's name.
    pub entry: String,
    pub metric: String,
    /// The condition on cells, as it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The cells that pass the condition, as ascending indices into the plan's; all without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cells: Option<Vec<usize>>,
}

impl Metric {
    /// Whether cell number `cell` is asked.
    pub fn asks(&self, cell: usize) -> bool {
        self.cells.as_ref().is_none_or(|cells| cells.binary_search(&cell).is_ok())
    }
}

/// What is taken of the seeds of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    Mean,
    Median,
    /// Each seed by itself.
    Every,
}

/// `table NAME { … }`
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Table {
    pub name: String,
    /// Axes, or `metric`, `effect`, `seed`.
    pub rows: Vec<String>,
    pub columns: Vec<String>,
    pub cell: Vec<Metric>,
    pub show: Show,
    pub mark: Vec<Mark>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// The axes that are averaged over, being neither in rows nor in columns.
    pub averaged: Vec<String>,
}

/// How a number and its spread over seeds are written.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Show {
    Mean,
    MeanSd,
    MeanSe,
    /// With an interval of this confidence.
    MeanCi(f64),
    MedianIqr,
}

/// What is marked in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    Best,
    /// What a comparison of the sweep finds significant.
    Significant,
}

/// `figure NAME { … }`
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Figure {
    pub name: String,
    pub kind: FigureKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<Metric>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub band: Option<Band>,
    /// A metric whose value by theory is drawn as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlay: Option<String>,
    /// The levels that are drawn; all without any.
    pub at: Vec<At>,
    /// The labels that colour a point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// The axes that are averaged over.
    pub averaged: Vec<String>,
}

/// What a figure draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FigureKind {
    Line,
    Bar,
    /// The embeddings themselves.
    Sphere,
}

/// The spread around a curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Band {
    Sd,
    Se,
    /// An interval of this confidence.
    Ci(f64),
    Iqr,
}

/// Levels of one axis.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct At {
    pub axis: String,
    pub levels: Vec<String>,
}

/// `compare { … }`
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Comparison {
    pub metric: Metric,
    pub baseline: Vec<At>,
    /// Each compared cell with its baseline, as indices into the plan's cells.
    pub pairs: Vec<[usize; 2]>,
    /// None when intervals are all that is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,
    /// Smaller differences do not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
}

/// A test of each difference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Test {
    pub kind: TestKind,
    /// The share of false discoveries that is accepted where nothing differs.
    pub level: f64,
    pub correct: Correct,
}

/// How a difference is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TestKind {
    /// Exact, by turning the signs of the paired differences.
    SignFlip,
    PairedT,
    /// Unpaired, with two variances.
    Welch,
    /// Sign-flip and a bootstrap interval, which must agree.
    Guarded,
}

/// How several tests share a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Correct {
    None,
    Bonferroni,
    Holm,
    Hochberg,
}

/// `expect …`
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Expectation {
    pub metric: Metric,
    pub relation: Relation,
}

/// What is said of a metric.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// Both ends included.
    Within { low: f64, high: f64 },
    /// `op` is written as in the language.
    Number { op: &'static str, value: f64 },
    /// Compared with another metric.
    Metric { op: &'static str, than: Metric },
}

/// `claim "text" …`
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Claim {
    pub text: String,
    pub says: Assertion,
}

/// What a claim says.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Assertion {
    /// A metric goes one way along an axis.
    Monotone {
        metric: Metric,
        over: String,
        direction: Direction,
    },
    Holds(Expectation),
}

/// Which way a metric goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Up,
    Down,
}
