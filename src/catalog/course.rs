//! Numbers that change over training.

use std::f64::consts::PI;
use std::fmt;

use serde::{Serialize, Serializer};

use super::value::Shortest;
use super::{Duration, ParamType, Positive, Type, Value};

/// How long a training lasts, and what turns lengths of another unit into steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// Optimiser steps in all.
    pub steps: usize,
    pub steps_per_epoch: usize,
    /// Items in a batch.
    pub batch: usize,
}

impl Horizon {
    /// The steps that `duration` lasts.
    pub fn steps_in(&self, duration: Duration) -> usize {
        duration.steps(self.steps_per_epoch, self.batch)
    }
}

/// A number at every step of a training. Its `Display` is an expression that reads back as it.
#[derive(Debug, Clone, PartialEq)]
pub enum Course {
    /// The same at every step.
    Constant(f64),
    /// From one number to another, and that one from then on.
    Ramp {
        shape: Shape,
        from: f64,
        to: f64,
        /// How long it takes; all of the training without it.
        over: Option<Duration>,
    },
    /// One number after another, the next at each of some times.
    Step {
        /// One more than there are times.
        values: Vec<f64>,
        at: Vec<Duration>,
    },
    /// Two courses joined step by step.
    Joined(Join, Box<[Course; 2]>),
}

/// How a ramp gets from one number to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// At one speed.
    Linear,
    /// Along a half-cosine: slow, fast, slow.
    Cosine,
}

/// What joins two courses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    Plus,
    Minus,
    Times,
    Over,
}

impl Join {
    fn of(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Plus => a + b,
            Self::Minus => a - b,
            Self::Times => a * b,
            Self::Over => a / b,
        }
    }
}

impl Course {
    /// `a` and `b` joined; a constant where both are.
    pub fn joined(join: Join, a: Self, b: Self) -> Self {
        match (&a, &b) {
            (Self::Constant(a), Self::Constant(b)) => Self::Constant(join.of(*a, *b)),
            _ => Self::Joined(join, Box::new([a, b])),
        }
    }

    /// The number, if it never changes.
    pub fn constant(&self) -> Option<f64> {
        match self {
            Self::Constant(value) => Some(*value),
            _ => None,
        }
    }

    /// The number at `step` of the horizon.
    pub fn at(&self, step: usize, horizon: &Horizon) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Ramp { shape, from, to, over } => {
                let over = over.map_or(horizon.steps, |over| horizon.steps_in(over));
                if step >= over {
                    return *to;
                }
                let share = step as f64 / over as f64;
                let share = match shape {
                    Shape::Linear => share,
                    Shape::Cosine => (1.0 - (PI * share).cos()) / 2.0,
                };
                from + (to - from) * share
            }
            Self::Step { values, at } => {
                let passed = at.iter().filter(|at| horizon.steps_in(**at) <= step).count();
                values[passed]
            }
            Self::Joined(join, parts) => {
                join.of(parts[0].at(step, horizon), parts[1].at(step, horizon))
            }
        }
    }

    /// The number at the last step.
    pub fn last(&self, horizon: &Horizon) -> f64 {
        self.at(horizon.steps.saturating_sub(1), horizon)
    }

    /// Numbers that it lies between, whatever the horizon: the least and the greatest of a ramp or
    /// of steps, and what those of two courses allow where they are joined.
    pub fn bounds(&self) -> (f64, f64) {
        match self {
            Self::Constant(value) => (*value, *value),
            Self::Ramp { from, to, .. } => (from.min(*to), from.max(*to)),
            Self::Step { values, .. } => span(values),
            Self::Joined(join, parts) => {
                let ([a, b], [c, d]) = (ends(&parts[0]), ends(&parts[1]));
                if *join == Join::Over && c <= 0.0 && d >= 0.0 {
                    return (f64::NEG_INFINITY, f64::INFINITY);
                }
                span(&[join.of(a, c), join.of(a, d), join.of(b, c), join.of(b, d)])
            }
        }
    }

    /// Whether it is 0 at every step.
    pub fn is_zero(&self) -> bool {
        self.bounds() == (0.0, 0.0)
    }

    /// The times that it is told by.
    pub fn durations(&self) -> Vec<Duration> {
        match self {
            Self::Constant(_) => Vec::new(),
            Self::Ramp { over, .. } => over.iter().copied().collect(),
            Self::Step { at, .. } => at.clone(),
            Self::Joined(_, parts) => parts.iter().flat_map(Self::durations).collect(),
        }
    }
}

fn ends(course: &Course) -> [f64; 2] {
    let (low, high) = course.bounds();
    [low, high]
}

/// The least and the greatest.
fn span(values: &[f64]) -> (f64, f64) {
    let fold = |join: fn(f64, f64) -> f64, from| values.iter().copied().fold(from, join);
    (fold(f64::min, f64::INFINITY), fold(f64::max, f64::NEG_INFINITY))
}

impl From<f64> for Course {
    fn from(value: f64) -> Self {
        Self::Constant(value)
    }
}

impl fmt::Display for Course {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Constant(value) => write!(f, "{value}"),
            Self::Ramp { shape, from, to, over } => {
                let name = match shape {
                    Shape::Linear => "linear",
                    Shape::Cosine => "cosine",
                };
                write!(f, "{name}({}, {}", Shortest(*from), Shortest(*to))?;
                over.map_or(Ok(()), |over| write!(f, ", over={over}"))?;
                f.write_str(")")
            }
            Self::Step { values, at } => {
                let values: Vec<_> = values.iter().map(|it| Shortest(*it).to_string()).collect();
                let at: Vec<_> = at.iter().map(Duration::to_string).collect();
                write!(f, "step({}, at=[{}])", values.join(", "), at.join(", "))
            }
            Self::Joined(join, parts) => {
                let sign = match join {
                    Join::Plus => "+",
                    Join::Minus => "-",
                    Join::Times => "*",
                    Join::Over => "/",
                };
                write!(f, "({} {sign} {})", parts[0], parts[1])
            }
        }
    }
}

impl Serialize for Course {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Constant(value) => serializer.serialize_f64(*value),
            course => serializer.collect_str(course),
        }
    }
}

impl schemars::JsonSchema for Course {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Course".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A number, or how it changes over training as the language has it.",
            "type": ["number", "string"]
        })
    }
}

/// A real number above zero that may change over training.
#[derive(Debug, Clone, PartialEq)]
pub struct Varying(pub Course);

impl Varying {
    /// The number a training begins with, as far as that is known without its length.
    pub fn first(&self) -> f64 {
        self.0.at(0, &Horizon { steps: 1, steps_per_epoch: 1, batch: 1 })
    }
}

impl fmt::Display for Varying {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<f64> for Varying {
    fn from(value: f64) -> Self {
        Self(Course::Constant(value))
    }
}

impl ParamType for Varying {
    const TYPE: Type = Type::Varying(&Positive::TYPE);

    fn to_value(&self) -> Value {
        match &self.0 {
            Course::Constant(value) => Value::Real(*value),
            course => Value::Course(course.clone()),
        }
    }

    fn from_value(value: &Value) -> Self {
        match value {
            Value::Real(value) => Self::from(*value),
            Value::Course(course) => Self(course.clone()),
            other => unreachable!("the checker promised `{other}` to be {}", Self::TYPE),
        }
    }
}
