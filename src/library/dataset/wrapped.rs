//! Datasets that are made of others.

use std::path::Path;

use super::{DATASETS, Dataset};
use crate::catalog::{DataFault, DatasetCall, DatasetFacts};
use crate::library::build;

/// The dataset that a call asks for.
pub(super) fn inner(call: &DatasetCall) -> Box<dyn Dataset> {
    build(DATASETS, &call.0)
}

/// What is known of it.
pub(super) fn facts_of_inner(call: &DatasetCall, root: &Path) -> DatasetFacts {
    inner(call).facts(root)
}

/// Facts of a dataset that cannot be made of `known`.
pub(super) fn misfit(
    known: DatasetFacts,
    param: &'static str,
    message: &str,
    label: &str,
) -> DatasetFacts {
    if known.fine.is_empty() {
        return known;
    }
    let (message, label) = (message.to_owned(), label.to_owned());
    let fault = DataFault { param, message, label, help: Vec::new() };
    DatasetFacts { faults: vec![fault], ..DatasetFacts::default() }
}
