//! What a parameter accepts of a number.

use super::Want;
use super::quantity::{Quantity, unit_name};
use crate::catalog::{Amount, Duration, DurationUnit, Type, Value};
use crate::diag::{Diagnostic, Span, codes};
use crate::syntax::Unit;

/// More samples than any dataset has.
const MOST_SAMPLES: f64 = 1e12;
/// Longer than any training.
const LONGEST: f64 = 1e12;

const NATURAL: Type = Type::Int { name: "natural", min: 0, max: 1 << 50 };
const PIXELS: Type = Type::Int { name: "count", min: 1, max: 1 << 16 };

/// The value of `want.ty` that a number is.
pub(super) fn accept(number: Quantity, span: Span, want: Want) -> Result<Value, Box<Diagnostic>> {
    match want.ty {
        Type::Duration => duration(number, span, want),
        Type::Amount => amount(number, span, want),
        Type::Seed => accept(number, span, Want { ty: &NATURAL, ..want }),
        Type::Side => accept(number, span, Want { ty: &PIXELS, ..want }),
        Type::Int { min, max, .. } => {
            let plain = no_unit(number, span, want)?;
            if plain.fract() != 0.0 || number.percent {
                let message = format!("`{}` is a whole number", want.name);
                let shown = if number.percent { "a percentage" } else { &plain.to_string() };
                return Err(Box::new(
                    Diagnostic::new(&codes::WRONG_TYPE, message)
                        .at(span, format!("this is {shown}")),
                ));
            }
            match (plain < *min as f64, plain > *max as f64) {
                (false, false) => Ok(Value::Int(plain as i64)),
                (true, _) => Err(out_of_range(number, span, want, format!("{min} or more"))),
                (_, true) => Err(out_of_range(number, span, want, format!("at most {max}"))),
            }
        }
        Type::Real { min, max, open, .. } => {
            let plain = no_unit(number, span, want)?;
            let fits = plain <= *max && if *open { plain > *min } else { plain >= *min };
            if !fits || !plain.is_finite() {
                let bounds = real_bounds((*min, *max), *open, number);
                return Err(out_of_range(number, span, want, bounds));
            }
            Ok(Value::Real(plain))
        }
        _ => Err(Box::new(
            want.explain(
                Diagnostic::new(&codes::WRONG_TYPE, format!("`{}` takes {}", want.name, want.ty))
                    .at(span, "this is a number"),
            ),
        )),
    }
}

/// Whether a real number is of a type.
pub(super) fn fits(ty: &Type, value: f64) -> bool {
    match ty {
        Type::Varying(inner) => fits(inner, value),
        Type::Real { min, max, open, .. } => {
            value.is_finite() && value <= *max && if *open { value > *min } else { value >= *min }
        }
        _ => false,
    }
}

fn real_bounds((min, max): (f64, f64), open: bool, number: Quantity) -> String {
    if (min, max) == (0.0, 1.0) && !open {
        let percent = number.value;
        let meant = if percent > 1.0 && percent <= 100.0 && !number.percent {
            format!("; did you mean `{percent}%`?")
        } else {
            String::new()
        };
        return format!("0% to 100%{meant}");
    }
    let low = if open { format!("above {min}") } else { format!("{min} or more") };
    if max.is_finite() { format!("{low}, at most {max}") } else { low }
}

fn duration(number: Quantity, span: Span, want: Want) -> Result<Value, Box<Diagnostic>> {
    let unit = match number.unit {
        Some(Unit::Epochs) => DurationUnit::Epochs,
        Some(Unit::Steps) => DurationUnit::Steps,
        Some(Unit::Samples) => DurationUnit::Samples,
        None => {
            let amount = number.value;
            return Err(Box::new(
                Diagnostic::new(&codes::UNIT, "a duration needs a unit")
                    .at(span, format!("{amount} what?"))
                    .help(epochs_or_steps(amount, want.whole)),
            ));
        }
        Some(_) => return Err(wrong_unit(number, span, want, "epochs, steps or samples")),
    };
    if !(number.value >= 0.0 && number.value <= LONGEST) {
        return Err(out_of_range(number, span, want, format!("0 to {LONGEST}")));
    }
    if want.name == "for" && number.value == 0.0 {
        return Err(out_of_range(number, span, want, "more than 0".to_owned()));
    }
    if unit != DurationUnit::Epochs && number.value.fract() != 0.0 {
        let bounds = format!("a whole number of {}", unit_name(number.unit));
        return Err(out_of_range(number, span, want, bounds));
    }
    Ok(Value::Duration(Duration { amount: number.value, unit }))
}

/// What a bare length could mean, where an epoch has `epoch` steps.
fn epochs_or_steps(amount: f64, epoch: Option<usize>) -> String {
    let Some(epoch) = epoch.filter(|_| amount > 0.0) else {
        return format!("write `{amount} epochs` or `{amount} steps`");
    };
    let steps = (amount * epoch as f64).round();
    let epochs = amount / epoch as f64;
    let digits = if epochs >= 10.0 { 1.0 } else { 10.0 };
    let epochs = (epochs * digits).round() / digits;
    let epochs = if epochs > 0.0 { epochs.to_string() } else { "less than 0.1".to_owned() };
    format!(
        "write `{amount} epochs` (about {steps} steps here) or `{amount} steps` (about {epochs} \
         epochs)"
    )
}

fn amount(number: Quantity, span: Span, want: Want) -> Result<Value, Box<Diagnostic>> {
    let n = number.value;
    match number.unit {
        Some(Unit::Samples) if (0.0..=MOST_SAMPLES).contains(&n) && n.fract() == 0.0 => {
            Ok(Value::Amount(Amount::Samples(n as usize)))
        }
        Some(Unit::Samples) => {
            Err(out_of_range(number, span, want, "a whole number of samples".into()))
        }
        Some(_) => Err(wrong_unit(number, span, want, "`%` or samples")),
        None if (0.0..=1.0).contains(&n) && (number.percent || n < 1.0) => {
            Ok(Value::Amount(Amount::Fraction(n)))
        }
        None if number.percent || n < 0.0 => {
            Err(out_of_range(number, span, want, "0% to 100%".to_owned()))
        }
        None => {
            let name = want.name;
            let message = format!("`{name}` is a fraction or a number of samples");
            let advice = match n <= 100.0 {
                true => format!("write `{name}={n}%` or `{name}={n} samples`"),
                false => format!("write `{name}={n} samples`"),
            };
            let label = match n <= 100.0 {
                true => {
                    let images = want.whole.map(|all| Amount::Fraction(n / 100.0).of(all));
                    let images = images.map_or(String::new(), |it| format!(" ({it} images)"));
                    format!("{n} could be {n}%{images} or {n} images")
                }
                false => format!("{n} what?"),
            };
            Err(Box::new(Diagnostic::new(&codes::AMBIGUOUS, message).at(span, label).help(advice)))
        }
    }
}

fn no_unit(number: Quantity, span: Span, want: Want) -> Result<f64, Box<Diagnostic>> {
    match number.unit {
        None | Some(Unit::Pixels) => Ok(number.value),
        Some(Unit::Points) => Err(wrong_unit(number, span, want, "`%`: `pp` is for differences")),
        Some(_) => Err(wrong_unit(number, span, want, "no unit")),
    }
}

fn wrong_unit(number: Quantity, span: Span, want: Want, takes: &str) -> Box<Diagnostic> {
    let message = format!("`{}` is not counted in {}", want.name, unit_name(number.unit));
    Box::new(Diagnostic::new(&codes::WRONG_UNIT, message).at(span, format!("expected {takes}")))
}

fn out_of_range(number: Quantity, span: Span, want: Want, bounds: String) -> Box<Diagnostic> {
    let shown = match number.percent {
        true => crate::catalog::Percent(number.value).to_string(),
        false => number.value.to_string(),
    };
    let message = format!("`{}` cannot be {shown}", want.name);
    let diagnostic =
        Diagnostic::new(&codes::OUT_OF_RANGE, message).at(span, format!("expected {bounds}"));
    Box::new(want.explain(diagnostic))
}
