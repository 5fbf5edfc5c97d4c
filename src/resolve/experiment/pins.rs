//! `seed.init = 0`: streams of random numbers that do not follow the seed.

use super::super::Pins;
use super::super::draft::Section;
use super::super::eval::{Eval, Want};
use crate::catalog::{Type, Value};

const ROOT: Type = Type::Int { name: "natural", min: 0, max: 1 << 50 };

impl Eval<'_> {
    /// The streams that `seed` pins.
    pub(super) fn pins(&mut self, draft: &Section) -> Pins {
        let slots = draft.section("seed").map_or(&[][..], |seed| &seed.fields);
        let mut pins = Pins::new();
        for slot in slots {
            let name = &slot.name.node;
            if let Some(Value::Int(root)) = self.value(&slot.expr, &[], Want::new(name, &ROOT)) {
                pins.insert(name.clone(), root as u64);
            }
        }
        pins
    }
}
