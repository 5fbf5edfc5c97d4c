//! The types a parameter can have: each a Rust type at the border, so that nothing is checked twice.

use std::fmt;

use super::{Amount, DataPath, Duration, Features, Interval, Kind, Labels, Value, WeightsFile};

/// What a parameter accepts, in words a user reads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Type {
    Bool,
    Int {
        name: &'static str,
        min: i64,
        max: i64,
    },
    Real {
        name: &'static str,
        min: f64,
        max: f64,
        open: bool,
    },
    Text,
    /// A file or folder of data.
    Path,
    Choice(&'static [&'static str]),
    Duration,
    Amount,
    Interval {
        min: f64,
        max: f64,
    },
    Labels,
    Features,
    /// A part of an encoder.
    Part,
    /// A file of weights.
    Weights,
    /// A whole number, or `seed`: the trial's.
    Seed,
    /// Pixels of a side, or `input`: those there are.
    Side,
    List(&'static Type),
    /// A list that is not empty.
    Several(&'static Type),
    Component(Kind),
    /// `none`, `balanced`, or a number of 0 or more for each class.
    ClassWeights,
    /// The type, a real number, or how it changes over training.
    Varying(&'static Type),
    /// The type, or `none`.
    Optional(&'static Type),
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("true | false"),
            Self::Int { name, .. } | Self::Real { name, .. } => f.write_str(name),
            Self::Text => f.write_str("text"),
            Self::Path => f.write_str("path"),
            Self::Choice(words) => f.write_str(&words.join(" | ")),
            Self::Duration => f.write_str("duration"),
            Self::Amount => f.write_str("fraction or samples"),
            Self::Interval { .. } => f.write_str("interval"),
            Self::Labels => f.write_str("labels"),
            Self::Features => f.write_str("features"),
            Self::Part => f.write_str("part of the encoder"),
            Self::Weights => f.write_str("weights(text)"),
            Self::Seed => f.write_str("natural | seed"),
            Self::Side => f.write_str("count | input"),
            Self::List(item) => write!(f, "list of {item}"),
            Self::Several(item) => write!(f, "non-empty list of {item}"),
            Self::Component(kind) => write!(f, "{}", kind.name()),
            Self::ClassWeights => f.write_str("none | balanced | list of nonneg"),
            Self::Varying(inner) => write!(f, "{inner}"),
            Self::Optional(inner) => write!(f, "{inner} | none"),
        }
    }
}

/// A Rust type that can be a parameter.
pub trait ParamType: Sized {
    /// What the checker accepts for it.
    const TYPE: Type;
    /// The value as plain data.
    fn to_value(&self) -> Value;
    /// Back from plain data that was checked against [`Self::TYPE`].
    fn from_value(value: &Value) -> Self;
}

pub(super) fn unchecked(value: &Value, ty: &Type) -> ! {
    unreachable!("the checker promised `{value}` to be {ty}")
}

macro_rules! real {
    ($(#[doc = $doc:literal])+ $type:ident, $name:literal, $min:expr, $max:expr, open: $open:literal) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub struct $type(f64);

        impl $type {
            /// The number.
            pub fn get(self) -> f64 {
                self.0
            }
        }

        impl From<f64> for $type {
            fn from(value: f64) -> Self {
                Self(value)
            }
        }

        impl ParamType for $type {
            const TYPE: Type = Type::Real { name: $name, min: $min, max: $max, open: $open };

            fn to_value(&self) -> Value {
                Value::Real(self.0)
            }

            fn from_value(value: &Value) -> Self {
                match value {
                    Value::Real(value) => Self(*value),
                    other => unchecked(other, &Self::TYPE),
                }
            }
        }
    };
}

real! {
    /// A real number above zero.
    Positive, "positive", 0.0, f64::INFINITY, open: true
}
real! {
    /// A real number of zero or more.
    NonNegative, "nonneg", 0.0, f64::INFINITY, open: false
}
real! {
    /// A real number in [0, 1].
    Fraction, "fraction", 0.0, 1.0, open: false
}

macro_rules! int {
    ($(#[doc = $doc:literal])+ $type:ident, $name:literal, $min:literal) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $type(usize);

        impl $type {
            /// The number.
            pub fn get(self) -> usize {
                self.0
            }
        }

        impl From<usize> for $type {
            fn from(value: usize) -> Self {
                Self(value)
            }
        }

        impl ParamType for $type {
            const TYPE: Type = Type::Int { name: $name, min: $min, max: 1 << 40 };

            fn to_value(&self) -> Value {
                Value::Int(self.0 as i64)
            }

            fn from_value(value: &Value) -> Self {
                match value {
                    Value::Int(value) => Self(*value as usize),
                    other => unchecked(other, &Self::TYPE),
                }
            }
        }
    };
}

int! {
    /// A whole number of one or more.
    Count, "count", 1
}
int! {
    /// A whole number of zero or more.
    Natural, "natural", 0
}

/// The seed of something that may be fixed for all trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitSeed {
    /// The same in every trial.
    Fixed(u64),
    /// Each trial's own.
    Trial,
}

impl From<u64> for SplitSeed {
    fn from(seed: u64) -> Self {
        Self::Fixed(seed)
    }
}

impl ParamType for SplitSeed {
    const TYPE: Type = Type::Seed;

    fn to_value(&self) -> Value {
        match self {
            Self::Fixed(seed) => Value::Int(*seed as i64),
            Self::Trial => Value::Word("seed".to_owned()),
        }
    }

    fn from_value(value: &Value) -> Self {
        match value {
            Value::Int(seed) => Self::Fixed(*seed as u64),
            Value::Word(_) => Self::Trial,
            other => unchecked(other, &Self::TYPE),
        }
    }
}

/// How long a side becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// As long as it was.
    Input,
    /// So many pixels.
    Pixels(usize),
}

impl ParamType for Side {
    const TYPE: Type = Type::Side;

    fn to_value(&self) -> Value {
        match self {
            Self::Input => Value::Word("input".to_owned()),
            Self::Pixels(pixels) => Value::Int(*pixels as i64),
        }
    }

    fn from_value(value: &Value) -> Self {
        match value {
            Value::Int(pixels) => Self::Pixels(*pixels as usize),
            Value::Word(_) => Self::Input,
            other => unchecked(other, &Self::TYPE),
        }
    }
}

impl ParamType for bool {
    const TYPE: Type = Type::Bool;

    fn to_value(&self) -> Value {
        Value::Bool(*self)
    }

    fn from_value(value: &Value) -> Self {
        match value {
            Value::Bool(value) => *value,
            other => unchecked(other, &Self::TYPE),
        }
    }
}

impl ParamType for DataPath {
    const TYPE: Type = Type::Path;

    fn to_value(&self) -> Value {
        Value::Path(self.clone())
    }

    fn from_value(value: &Value) -> Self {
        match value {
            Value::Path(path) => path.clone(),
            other => unchecked(other, &Self::TYPE),
        }
    }
}

impl ParamType for String {
    const TYPE: Type = Type::Text;

    fn to_value(&self) -> Value {
        Value::Text(self.clone())
    }

    fn from_value(value: &Value) -> Self {
        match value {
            Value::Text(value) => value.clone(),
            other => unchecked(other, &Self::TYPE),
        }
    }
}

macro_rules! plain {
    ($type:ident, $variant:ident, $ty:expr) => {
        impl ParamType for $type {
            const TYPE: Type = $ty;

            fn to_value(&self) -> Value {
                Value::$variant(self.clone())
            }

            fn from_value(value: &Value) -> Self {
                match value {
                    Value::$variant(value) => value.clone(),
                    other => unchecked(other, &Self::TYPE),
                }
            }
        }
    };
}

plain!(Duration, Duration, Type::Duration);
plain!(Amount, Amount, Type::Amount);
plain!(Labels, Labels, Type::Labels);
plain!(Features, Features, Type::Features);
plain!(WeightsFile, Weights, Type::Weights);
plain!(Interval, Interval, Type::Interval { min: 0.0, max: f64::INFINITY });

impl<T: ParamType> ParamType for Vec<T> {
    const TYPE: Type = Type::List(&T::TYPE);

    fn to_value(&self) -> Value {
        Value::List(self.iter().map(T::to_value).collect())
    }

    fn from_value(value: &Value) -> Self {
        match value {
            Value::List(values) => values.iter().map(T::from_value).collect(),
            other => unchecked(other, &Self::TYPE),
        }
    }
}

impl<T: ParamType> ParamType for Option<T> {
    const TYPE: Type = Type::Optional(&T::TYPE);

    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::None, T::to_value)
    }

    fn from_value(value: &Value) -> Self {
        match value {
            Value::None => None,
            other => Some(T::from_value(other)),
        }
    }
}

/// Declares a closed choice of words as an enum that can be a parameter.
#[macro_export]
macro_rules! choice {
    ($(#[doc = $doc:literal])+ $name:ident { $( $(#[doc = $variant_doc:literal])+ $variant:ident = $word:literal ),+ $(,)? }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $( $(#[doc = $variant_doc])+ $variant ),+ }

        impl $crate::catalog::ParamType for $name {
            const TYPE: $crate::catalog::Type = $crate::catalog::Type::Choice(&[ $( $word ),+ ]);

            fn to_value(&self) -> $crate::catalog::Value {
                $crate::catalog::Value::Word(match self { $( Self::$variant => $word ),+ }.to_owned())
            }

            fn from_value(value: &$crate::catalog::Value) -> Self {
                match value {
                    $( $crate::catalog::Value::Word(word) if word == $word => Self::$variant, )+
                    other => unreachable!("the checker promised `{other}` to be {}", Self::TYPE),
                }
            }
        }
    };
}
