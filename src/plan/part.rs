//! The parts of an encoder that is made of others.

use crate::catalog::Bound;

/// The parts of an encoder below `path`, those of parts included, each with its path.
pub(super) fn parts_below<'a>(encoder: &'a Bound, path: &str) -> Vec<(String, &'a Bound)> {
    let below =
        |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let mut all = Vec::new();
    for (name, inner) in encoder.inner() {
        all.push((below(name), inner));
        all.extend(parts_below(inner, &below(name)));
    }
    all
}
