//! Lists that are not empty.

use std::ops::Deref;

use super::{ParamType, Type, Value};

/// Values of which there is one at least.
#[derive(Debug, Clone, PartialEq)]
pub struct Several<T>(Vec<T>);

impl<T, L: Into<Vec<T>>> From<L> for Several<T> {
    fn from(values: L) -> Self {
        Self(values.into())
    }
}

impl<T> Deref for Several<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: ParamType> ParamType for Several<T> {
    const TYPE: Type = Type::Several(&T::TYPE);

    fn to_value(&self) -> Value {
        self.0.to_value()
    }

    fn from_value(value: &Value) -> Self {
        Self(Vec::from_value(value))
    }
}
