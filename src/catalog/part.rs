//! Parts of encoders that are made of others.

use super::{Bound, Value};

impl Bound {
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
