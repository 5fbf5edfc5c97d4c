//! Evaluations that draw some images of each class: that each class has as many.

use super::Division;
use super::batches::sizes;
use super::compile::labels_of;
use crate::catalog::{DatasetFacts, Value};
use crate::diag::{Diagnostic, codes, plural};
use crate::resolve::Called;

/// A class with fewer training images than an evaluation draws, as far as that can be known: a
/// subsample, and shares that do not come out even, show when it is evaluated.
pub(super) fn too_few(
    call: &Called,
    data: &Called,
    (known, division): (&DatasetFacts, &Division),
) -> Option<Diagnostic> {
    let (Some(Value::Int(k)), Some(_)) = (call.bound.value("k"), call.bound.value("draws")) else {
        return None;
    };
    let is_whole = matches!(data.bound.value("subsample"), None | Some(Value::None));
    if !is_whole || known.counts.len() != known.fine.len() {
        return None;
    }
    let map = known.class_map(&labels_of(&call.bound), &labels_of(&data.bound)).ok()?;
    let sizes = sizes(&map, known, division.train);
    let rarest = (0..sizes.len()).min_by_key(|at| sizes[*at])?;
    let (size, name) = (sizes[rarest], &map.names[rarest]);
    (size + 1 < *k as usize).then(|| {
        let message = format!("the class `{name}` has fewer images than are drawn of it");
        let diagnostic = Diagnostic::new(&codes::OUT_OF_RANGE, message)
            .at(call.place("k"), format!("{} of each class", plural(*k as usize, "image")))
            .at(data.span, format!("about {} of it to train on", plural(size, "image")));
        match size {
            0 => diagnostic.help("join it with another: `labels=group({\"name\" = [class, …]})`"),
            size => diagnostic.help(format!("the most is `k={size}`")),
        }
    })
}
