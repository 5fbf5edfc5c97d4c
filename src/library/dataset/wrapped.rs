//! Datasets that are made of others.

use std::path::Path;

use super::{DATASETS, Dataset};
use crate::arguments;
use crate::catalog::{Amount, DataFault, DatasetCall, DatasetFacts, Fraction};
use crate::library::build;

arguments! {
    /// How they are divided, where the division is not that of a dataset they are made of.
    Cut {
        /// What is kept for the test split where none was published.
        test: Amount = Amount::Fraction(0.25),
        /// How much of the remaining images to train on.
        train: Option<Amount> = None,
        /// The share of training images whose label is replaced by another; evaluations see the
        /// true ones.
        label_noise: Fraction = 0.0,
    }
}

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
