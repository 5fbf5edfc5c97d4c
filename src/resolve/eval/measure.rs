//! Numbers that mean nothing without their unit: times, sizes in pixels, amounts of memory.

use super::Eval;
use crate::diag::{Diagnostic, Span, Spanned, codes, or_list};
use crate::syntax::{Expr, Unit};

/// What is measured, in the words a user reads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measure {
    /// As a parameter's type is written.
    pub name: &'static str,
    /// `a time`
    what: &'static str,
    /// `unit of time`
    unit: &'static str,
    /// The units, and how many of the smallest each is.
    units: &'static [(Unit, f64)],
    /// The units to offer where there is none.
    usual: &'static [&'static str],
}

/// `2 h`, in seconds; `5 epochs` is no such time.
pub const WALLTIME: Measure = Measure {
    name: "walltime",
    what: "a time",
    unit: "unit of time",
    units: &[
        (Unit::Seconds, 1.0),
        (Unit::Minutes, 60.0),
        (Unit::Hours, 3600.0),
        (Unit::Days, 86_400.0),
    ],
    usual: &["h", "min"],
};

/// `224 px`
const SIZE: Measure = Measure {
    name: "size",
    what: "a size",
    unit: "unit of size",
    units: &[(Unit::Pixels, 1.0)],
    usual: &["px"],
};

/// `16 GiB`, in bytes.
const BYTES: Measure = Measure {
    name: "bytes",
    what: "an amount of memory",
    unit: "unit of memory",
    units: &[
        (Unit::Kibibytes, 1024.0),
        (Unit::Mebibytes, 1_048_576.0),
        (Unit::Gibibytes, 1_073_741_824.0),
    ],
    usual: &["GiB", "MiB"],
};

/// All that can be measured.
pub const MEASURES: &[Measure] = &[WALLTIME, SIZE, BYTES];

impl Eval<'_> {
    /// What is given to `name`, in the smallest unit.
    pub fn measure(
        &mut self,
        (name, expr): (&str, &Expr),
        measure: &Measure,
    ) -> Option<Spanned<f64>> {
        let span = expr.span;
        let quantity = self.quantity(expr)?;
        let Some(unit) = quantity.unit else {
            self.out.push(bare(quantity.value, span, measure));
            return None;
        };
        let Some((_, factor)) = measure.units.iter().find(|(it, _)| *it == unit) else {
            self.out.push(strange(name, unit, span, measure));
            return None;
        };
        if quantity.value > 0.0 {
            return Some(Spanned { node: quantity.value * factor, span });
        }
        let message = format!("`{name}` is out of range");
        let diagnostic = Diagnostic::new(&codes::OUT_OF_RANGE, message);
        self.out.push(diagnostic.at(span, "expected more than 0"));
        None
    }
}

fn bare(value: f64, span: Span, measure: &Measure) -> Diagnostic {
    let forms: Vec<_> = measure.usual.iter().map(|unit| format!("`{value} {unit}`")).collect();
    Diagnostic::new(&codes::UNIT, format!("{} needs a unit", measure.what))
        .at(span, format!("{value} what?"))
        .help(format!("write {}", forms.join(" or ")))
}

fn strange(name: &str, unit: Unit, span: Span, measure: &Measure) -> Diagnostic {
    let words: Vec<_> = measure.units.iter().map(|(unit, _)| unit.text()).collect();
    Diagnostic::new(&codes::WRONG_UNIT, format!("`{name}` is {}", measure.what))
        .at(span, format!("`{}` is no {}", unit.text(), measure.unit))
        .help(format!("expected {}", or_list(&words)))
}
