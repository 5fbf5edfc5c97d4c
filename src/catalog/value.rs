//! The values an experiment can write, as checked plain data that prints as it is written.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;

use super::{Bound, Course};

/// A checked argument. Its `Display` is canonical: equal text means equal value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    None,
    Bool(bool),
    Int(i64),
    Real(f64),
    /// A real number that changes over training.
    Course(Course),
    Text(String),
    Path(DataPath),
    /// A word of a closed choice.
    Word(String),
    Duration(Duration),
    Amount(Amount),
    Interval(Interval),
    Labels(Labels),
    Features(Features),
    Weights(WeightsFile),
    List(Vec<Value>),
    Component(Box<Bound>),
}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Int(value) => value.hash(state),
            // Zero equals its negative.
            Self::Real(value) => (value + 0.0).to_bits().hash(state),
            Self::Text(text) | Self::Word(text) => text.hash(state),
            Self::Path(path) => path.hash(state),
            Self::List(values) => values.hash(state),
            Self::Component(call) => call.hash(state),
            other => std::mem::discriminant(other).hash(state),
        }
    }
}

/// A file or folder of data, as it is written in an experiment file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct DataPath {
    /// As it is written.
    pub written: String,
    /// The folder of the file it is written in.
    pub folder: PathBuf,
}

impl DataPath {
    /// Where it leads.
    pub fn place(&self) -> PathBuf {
        self.folder.join(&self.written)
    }
}

/// A length of training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Duration {
    pub amount: f64,
    pub unit: DurationUnit,
}

/// What a [`Duration`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DurationUnit {
    Epochs,
    Steps,
    Samples,
}

impl Duration {
    /// `amount` passes over the training data.
    pub fn epochs(amount: f64) -> Self {
        Self { amount, unit: DurationUnit::Epochs }
    }

    /// The number of optimiser steps this lasts, at least one unless it is zero.
    pub fn steps(&self, steps_per_epoch: usize, batch: usize) -> usize {
        let steps = match self.unit {
            DurationUnit::Epochs => self.amount * steps_per_epoch as f64,
            DurationUnit::Steps => self.amount,
            DurationUnit::Samples => self.amount / batch as f64,
        };
        steps.ceil() as usize
    }
}

/// A share of something or a number of its samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    Fraction(f64),
    Samples(usize),
}

impl Amount {
    /// How many of `n` this is.
    pub fn of(self, n: usize) -> usize {
        match self {
            Self::Fraction(share) => (share * n as f64).round() as usize,
            Self::Samples(samples) => samples,
        }
    }
}

/// A closed range of reals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// Which labels are meant.
#[derive(Debug, Clone, PartialEq)]
pub enum Labels {
    /// The labels the stage's dataset declares.
    Declared,
    /// A label column of the dataset: `fine`, `coarse`, or another it declares.
    Column(String),
    /// Groups of fine classes, named by their names or ids: `group({"animal" = [bird, cat]})`.
    Group(Vec<(String, Vec<String>)>),
}

/// Which embedding is meant.
#[derive(Debug, Clone, PartialEq)]
pub enum Features {
    /// The only stage's encoder.
    Auto,
    /// `stage.encoder`
    Encoder(String),
    /// `stage.projector`: what its projector makes of the embedding.
    Projector(String),
    /// `concat(a.encoder, b.encoder)`
    Concat(Vec<String>),
    /// `last(stage.encoder)`: as the last step of its training left it, whatever state was kept.
    Last(String),
}

impl Features {
    /// The same of stages with other names.
    pub fn renamed(&self, name: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Auto => Self::Auto,
            Self::Encoder(stage) => Self::Encoder(name(stage)),
            Self::Projector(stage) => Self::Projector(name(stage)),
            Self::Last(stage) => Self::Last(name(stage)),
            Self::Concat(stages) => Self::Concat(stages.iter().map(|it| name(it)).collect()),
        }
    }

    /// The stages whose encoders are read, in order.
    pub fn stages(&self) -> Vec<&str> {
        match self {
            Self::Auto => Vec::new(),
            Self::Encoder(stage) | Self::Projector(stage) | Self::Last(stage) => vec![stage],
            Self::Concat(stages) => stages.iter().map(String::as_str).collect(),
        }
    }
}

/// A file of weights that an encoder begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightsFile {
    /// The path as it is written, seen from the folder of the file that says it.
    pub written: String,
    /// The same from where the program runs.
    pub path: String,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Real(value) => Shortest(*value).fmt(f),
            Self::Course(value) => value.fmt(f),
            Self::Text(value) => write!(f, "{value:?}"),
            Self::Path(value) => write!(f, "{:?}", value.written),
            Self::Word(value) => f.write_str(value),
            Self::Duration(value) => value.fmt(f),
            Self::Amount(value) => value.fmt(f),
            Self::Interval(value) => {
                write!(f, "{}..={}", Shortest(value.low), Shortest(value.high))
            }
            Self::Labels(value) => value.fmt(f),
            Self::Features(value) => value.fmt(f),
            Self::Weights(file) => write!(f, "weights({:?})", file.written),
            Self::List(values) => write!(f, "[{}]", join(values)),
            Self::Component(bound) => bound.fmt(f),
        }
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let unit = match self.unit {
            DurationUnit::Epochs => "epochs",
            DurationUnit::Steps => "steps",
            DurationUnit::Samples => "samples",
        };
        write!(f, "{} {unit}", self.amount)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Fraction(share) => write!(f, "{}", Percent(*share)),
            Self::Samples(samples) => write!(f, "{samples} samples"),
        }
    }
}

/// A number as few digits as tell it from every other: `0.5`, `1e-8`.
pub(super) struct Shortest(pub f64);

impl fmt::Display for Shortest {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let size = self.0.abs();
        let is_plain = size == 0.0 || (1e-4..1e15).contains(&size);
        if is_plain { self.0.fmt(f) } else { fmt::LowerExp::fmt(&self.0, f) }
    }
}

/// A fraction as it prints: `0.05` is `5%`.
pub struct Percent(pub f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let percent = self.0 * 100.0;
        let rounded = (percent * 1e9).round() / 1e9;
        // Rounding hides binary noise (0.07 × 100), but must not merge two different values.
        if rounded / 100.0 == self.0 { write!(f, "{rounded}%") } else { write!(f, "{}", self.0) }
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Declared => f.write_str("declared"),
            Self::Column(name) => f.write_str(name),
            Self::Group(groups) => {
                let groups = groups.iter().map(|(name, members)| {
                    let members: Vec<_> = members.iter().map(|it| format!("{it:?}")).collect();
                    format!("{name:?} = [{}]", members.join(", "))
                });
                write!(f, "group({{{}}})", groups.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Encoder(stage) => write!(f, "{stage}.encoder"),
            Self::Projector(stage) => write!(f, "{stage}.projector"),
            Self::Concat(stages) => {
                let stages: Vec<_> = stages.iter().map(|it| format!("{it}.encoder")).collect();
                write!(f, "concat({})", stages.join(", "))
            }
            Self::Last(stage) => write!(f, "last({stage}.encoder)"),
        }
    }
}

fn join(values: &[Value]) -> String {
    values.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")
}
