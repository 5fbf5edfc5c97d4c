//! Analyses as text, a line each.

use std::fmt::{self, Display, Formatter};

use super::{
    Assertion, At, Band, Claim, Comparison, Correct, Direction, Expectation, Figure, FigureKind,
    Mark, Metric, Over, Relation, Show, Table, Test, TestKind,
};
use crate::catalog::is_share;
use crate::diag::plural;

impl Display for Metric {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let Self { split, entry, metric, .. } = self;
        let condition = self.condition.as_ref().map_or(String::new(), |it| format!("[{it}]"));
        let name = format!("{split}.{entry}.{metric}{condition}");
        match self.over {
            Over::Mean => f.write_str(&name),
            Over::Median => write!(f, "median({name})"),
            Over::Every => write!(f, "every({name})"),
        }
    }
}

impl Metric {
    /// A value of it, as it is written in the language.
    fn value(&self, value: f64) -> String {
        if is_share(&self.metric) { percent(value) } else { value.to_string() }
    }
}

/// Rounding hides binary noise such as 28.999999999999996.
fn percent(share: f64) -> String {
    format!("{}%", (share * 1e11).round() / 1e9)
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        write!(f, "table {}: rows {}", self.name, self.rows.join(", "))?;
        if !self.columns.is_empty() {
            write!(f, ", columns {}", self.columns.join(", "))?;
        }
        let cell: Vec<String> = self.cell.iter().map(ToString::to_string).collect();
        write!(f, ", cell {}, show {}", cell.join(", "), self.show)?;
        for mark in &self.mark {
            f.write_str(match mark {
                Mark::Best => ", mark best",
                Mark::Significant => ", mark significant",
            })?;
        }
        averaged(f, &self.averaged)
    }
}

fn averaged(f: &mut Formatter, axes: &[String]) -> fmt::Result {
    if axes.is_empty() { Ok(()) } else { write!(f, ", averaged over {}", axes.join(", ")) }
}

impl Display for Show {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        match self {
            Self::Mean => f.write_str("mean"),
            Self::MeanSd => f.write_str("mean_sd"),
            Self::MeanSe => f.write_str("mean_se"),
            Self::MeanCi(share) => write!(f, "mean_ci({})", percent(*share)),
            Self::MedianIqr => f.write_str("median_iqr"),
        }
    }
}

impl Display for Figure {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let kind = match self.kind {
            FigureKind::Line => "line",
            FigureKind::Bar => "bar",
            FigureKind::Sphere => "sphere",
        };
        write!(f, "figure {}: {kind}", self.name)?;
        let y = self.y.as_ref().map(ToString::to_string);
        let band = self.band.map(|band| band.to_string());
        let overlay = self.overlay.as_ref().map(|metric| format!("theory.{metric}"));
        let parts = [
            ("x", &self.x),
            ("y", &y),
            ("series", &self.series),
            ("band", &band),
            ("overlay", &overlay),
            ("color", &self.color),
        ];
        for (name, value) in parts {
            if let Some(value) = value {
                write!(f, ", {name} {value}")?;
            }
        }
        for at in &self.at {
            write!(f, ", at {at}")?;
        }
        averaged(f, &self.averaged)
    }
}

impl Display for At {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        write!(f, "{} = {}", self.axis, self.levels.join(" | "))
    }
}

impl Display for Band {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        match self {
            Self::Sd => f.write_str("sd"),
            Self::Se => f.write_str("se"),
            Self::Ci(share) => write!(f, "ci({})", percent(*share)),
            Self::Iqr => f.write_str("iqr"),
        }
    }
}

impl Display for Comparison {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let baseline: Vec<String> = self.baseline.iter().map(ToString::to_string).collect();
        let count = plural(self.pairs.len(), "comparison");
        write!(f, "compare {} with {}: {count}, ", self.metric, baseline.join(", "))?;
        match &self.test {
            Some(test) => write!(f, "{test}")?,
            None => f.write_str("no test")?,
        }
        match self.margin {
            Some(margin) if is_share(&self.metric.metric) => {
                write!(f, ", margin {} pp", percent(margin).trim_end_matches('%'))
            }
            Some(margin) => write!(f, ", margin {margin}"),
            None => Ok(()),
        }
    }
}

impl Display for Test {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let Self { kind, level, correct } = self;
        write!(f, "{}(level={}, correct={})", kind.name(), percent(*level), correct.name())
    }
}

impl TestKind {
    /// The word in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::SignFlip => "sign_flip",
            Self::PairedT => "paired_t",
            Self::Welch => "welch",
            Self::Guarded => "guarded",
        }
    }
}

impl Correct {
    /// The word in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Bonferroni => "bonferroni",
            Self::Holm => "holm",
            Self::Hochberg => "hochberg",
        }
    }
}

impl Display for Expectation {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let metric = &self.metric;
        match &self.relation {
            Relation::Within { low, high } => {
                write!(f, "{metric} in {}..={}", metric.value(*low), metric.value(*high))
            }
            Relation::Number { op, value } => write!(f, "{metric} {op} {}", metric.value(*value)),
            Relation::Metric { op, than } => write!(f, "{metric} {op} {than}"),
        }
    }
}

impl Display for Claim {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        write!(f, "claim {:?} ", self.text)?;
        match &self.says {
            Assertion::Holds(expectation) => write!(f, "{expectation}"),
            Assertion::Monotone { metric, over, direction } => {
                let way = match direction {
                    Direction::Up => "up",
                    Direction::Down => "down",
                };
                write!(f, "monotone({metric}, over={over}, direction={way})")
            }
        }
    }
}
