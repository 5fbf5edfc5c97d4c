//! Parts of encoders that are made of others.

use super::types::unchecked;
use super::{Bound, ParamType, Type, Value};

/// The part of an encoder that a term sees: `a`, or `b.a` in a part of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part(pub String);

impl ParamType for Part {
    const TYPE: Type = Type::Part;

    fn to_value(&self) -> Value {
        Value::Word(self.0.clone())
    }

    fn from_value(value: &Value) -> Self {
        match value {
            Value::Word(path) => Self(path.clone()),
            other => unchecked(other, &Self::TYPE),
        }
    }
}

impl Bound {
    /// The part of the encoder that a loss term sees, where it does not see all.
    pub fn part(&self) -> Option<&str> {
        match self.value("on") {
            Some(Value::Word(part)) => Some(part),
            _ => None,
        }
    }

    /// The encoders that an encoder is made of, with the names of their arguments.
    pub fn inner(&self) -> impl Iterator<Item = (&'static str, &Self)> {
        let arguments = self.spec.params.iter().zip(self.args.iter());
        arguments.filter_map(|(param, value)| match value {
            Value::Component(inner) if inner.spec.kind == self.spec.kind => {
                Some((param.name, &**inner))
            }
            _ => None,
        })
    }
}
