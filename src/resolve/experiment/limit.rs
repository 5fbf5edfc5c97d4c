//! A length of time.

use super::super::draft::Slot;
use super::super::eval::Eval;
use crate::diag::{Diagnostic, Spanned, codes};
use crate::syntax::{ExprKind, Unit};

impl Eval<'_> {
    /// A time in seconds; none for `none`.
    pub(super) fn time(&mut self, slot: &Slot) -> Option<Spanned<f64>> {
        if slot.expr.kind == ExprKind::None {
            return None;
        }
        let (name, span) = (&slot.name.node, slot.expr.span);
        let quantity = self.quantity(&slot.expr)?;
        let second = match quantity.unit {
            Some(Unit::Seconds) => 1.0,
            Some(Unit::Minutes) => 60.0,
            Some(Unit::Hours) => 3600.0,
            Some(Unit::Days) => 86_400.0,
            None => return self.no_time(quantity.value, slot),
            Some(other) => {
                let message = format!("`{name}` is a time");
                let label = format!("`{}` is no unit of time", other.text());
                let diagnostic = Diagnostic::new(&codes::WRONG_UNIT, message).at(span, label);
                self.out.push(diagnostic.help("expected s, min, h or d"));
                return None;
            }
        };
        if quantity.value > 0.0 {
            return Some(Spanned { node: quantity.value * second, span });
        }
        let message = format!("`{name}` is out of range");
        let diagnostic = Diagnostic::new(&codes::OUT_OF_RANGE, message);
        self.out.push(diagnostic.at(span, "expected more than 0"));
        None
    }

    fn no_time(&mut self, value: f64, slot: &Slot) -> Option<Spanned<f64>> {
        self.out.push(
            Diagnostic::new(&codes::UNIT, "a time needs a unit")
                .at(slot.expr.span, format!("{value} what?"))
                .help(format!("write `{value} h` or `{value} min`")),
        );
        None
    }
}
