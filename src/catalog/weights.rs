//! How much each class counts.

use super::{ParamType, Type, Value};

/// How much an item counts in a mean, by its class.
#[derive(Debug, Clone, PartialEq)]
pub enum ClassWeights {
    /// All alike.
    Alike,
    /// Inversely to the number of training images of its class, so that classes count alike.
    Balanced,
    /// These, in the order of the classes.
    Given(Vec<f64>),
}

impl ClassWeights {
    /// The weight of each class in `counts` images of each: `n / (K n_c)` of `n` images of `K`
    /// classes that occur; none where all are alike.
    pub fn by_class(&self, counts: &[usize]) -> Option<Vec<f64>> {
        let occur = counts.iter().filter(|count| **count > 0).count();
        let images: usize = counts.iter().sum();
        let balanced = |count: &usize| match count {
            0 => 0.0,
            count => images as f64 / (occur * count) as f64,
        };
        match self {
            Self::Alike => None,
            Self::Balanced => Some(counts.iter().map(balanced).collect()),
            Self::Given(weights) => Some(weights.clone()),
        }
    }
}

impl ParamType for ClassWeights {
    const TYPE: Type = Type::ClassWeights;

    fn to_value(&self) -> Value {
        match self {
            Self::Alike => Value::None,
            Self::Balanced => Value::Word(BALANCED.to_owned()),
            Self::Given(weights) => {
                Value::List(weights.iter().map(|weight| Value::Real(*weight)).collect())
            }
        }
    }

    fn from_value(value: &Value) -> Self {
        match value {
            Value::Word(_) => Self::Balanced,
            Value::List(weights) => {
                let real = |it: &Value| if let Value::Real(it) = it { Some(*it) } else { None };
                Self::Given(weights.iter().filter_map(real).collect())
            }
            _ => Self::Alike,
        }
    }
}

/// The word for weights that make classes count alike.
pub const BALANCED: &str = "balanced";
