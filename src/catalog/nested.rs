//! Components given as arguments of others.

use super::types::unchecked;
use super::{Bound, Kind, ParamType, Type, Value};

macro_rules! nested {
    ($( $(#[doc = $doc:literal])+ $type:ident = $kind:ident ),+ $(,)?) => { $(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $type(pub Bound);

        impl From<Bound> for $type {
            fn from(bound: Bound) -> Self {
                Self(bound)
            }
        }

        impl ParamType for $type {
            const TYPE: Type = Type::Component(Kind::$kind);

            fn to_value(&self) -> Value {
                Value::Component(Box::new(self.0.clone()))
            }

            fn from_value(value: &Value) -> Self {
                match value {
                    Value::Component(bound) => Self((**bound).clone()),
                    other => unchecked(other, &Self::TYPE),
                }
            }
        }
    )+ };
}

nested! {
    /// A dataset given as an argument.
    DatasetCall = Dataset,
    /// An encoder given as an argument.
    EncoderCall = Encoder,
    /// A decoder given as an argument.
    DecoderCall = Decoder,
    /// An optimizer given as an argument.
    OptimizerCall = Optimizer,
    /// A schedule given as an argument.
    ScheduleCall = Schedule,
}
