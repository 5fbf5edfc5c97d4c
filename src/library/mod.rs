//! The components, one file each, and the traits they implement, one folder a kind.

pub mod augment;
pub mod clustering;
pub mod dataset;
pub mod decoder;
pub mod encoder;
pub mod eval;
pub mod grouping;
pub mod loss;
pub mod optimizer;
pub mod projector;
pub mod sampler;
pub mod schedule;

use std::path::Path;

use crate::catalog::{Bound, Catalog, Entry, Facts, Spec};

/// Every component, with what builds it. Closed to `.exp` files, open to Rust: a program of one's
/// own adds its entries to [`Library::standard`] and hands it to [`crate::cli::main`].
#[derive(Clone)]
pub struct Library {
    pub datasets: Vec<&'static Entry<dyn dataset::Dataset>>,
    pub augments: Vec<&'static Entry<dyn augment::Augment>>,
    pub encoders: Vec<&'static Entry<dyn encoder::Encoder>>,
    pub projectors: Vec<&'static Entry<dyn projector::Projector>>,
    pub decoders: Vec<&'static Entry<dyn decoder::Decoder>>,
    pub losses: Vec<&'static Entry<dyn loss::Loss>>,
    pub optimizers: Vec<&'static Entry<dyn optimizer::Optimizer>>,
    pub schedules: Vec<&'static Entry<dyn schedule::Schedule>>,
    pub samplers: Vec<&'static Entry<dyn sampler::Sampler>>,
    pub groupings: Vec<&'static Entry<dyn grouping::Grouping>>,
    pub evaluations: Vec<&'static Entry<dyn eval::Evaluation>>,
}

impl Library {
    /// The components that come with balance.
    pub fn standard() -> Self {
        Self {
            datasets: dataset::DATASETS.to_vec(),
            augments: augment::AUGMENTS.to_vec(),
            encoders: encoder::ENCODERS.to_vec(),
            projectors: projector::PROJECTORS.to_vec(),
            decoders: decoder::DECODERS.to_vec(),
            losses: loss::LOSSES.to_vec(),
            optimizers: optimizer::OPTIMIZERS.to_vec(),
            schedules: schedule::SCHEDULES.to_vec(),
            samplers: sampler::SAMPLERS.to_vec(),
            groupings: grouping::GROUPINGS.to_vec(),
            evaluations: eval::EVALUATIONS.to_vec(),
        }
    }

    /// What is known of the datasets `is_asked` by name, given the folder that holds all data;
    /// nothing of those that only their arguments tell.
    pub fn facts(&self, root: &Path, is_asked: impl Fn(&str) -> bool) -> Facts {
        let mut facts = Facts::default();
        for entry in self.datasets.iter().filter(|entry| is_asked(entry.spec.name)) {
            if entry.spec.params.iter().all(|param| param.default.is_some()) {
                let dataset = build(&self.datasets, &Bound::defaults(&entry.spec));
                facts.datasets.insert(entry.spec.name.to_owned(), dataset.facts(root));
            }
        }
        facts
    }

    /// What is known of the data that `calls` ask for, by call.
    pub fn facts_of<'a>(&self, calls: impl Iterator<Item = &'a Bound>, root: &Path) -> Facts {
        let mut facts = Facts::default();
        let mut last = None;
        for call in calls.filter(|call| last.replace(*call) != Some(*call)) {
            let known = || build(&self.datasets, call).facts(root);
            facts.calls.entry(call.clone()).or_insert_with(known);
        }
        facts
    }

    /// The declarations, for the checker.
    pub fn catalog(&self) -> Catalog {
        let mut specs: Vec<&'static Spec> = Vec::new();
        specs.extend(self.datasets.iter().map(|entry| &entry.spec));
        specs.extend(self.augments.iter().map(|entry| &entry.spec));
        specs.extend(self.encoders.iter().map(|entry| &entry.spec));
        specs.extend(self.projectors.iter().map(|entry| &entry.spec));
        specs.extend(self.decoders.iter().map(|entry| &entry.spec));
        specs.extend(self.losses.iter().map(|entry| &entry.spec));
        specs.extend(self.optimizers.iter().map(|entry| &entry.spec));
        specs.extend(self.schedules.iter().map(|entry| &entry.spec));
        specs.extend(self.samplers.iter().map(|entry| &entry.spec));
        specs.extend(self.groupings.iter().map(|entry| &entry.spec));
        specs.extend(self.evaluations.iter().map(|entry| &entry.spec));
        Catalog::new(specs)
    }
}

/// The component `bound` declares, built from `entries`.
///
/// # Panics
/// When `bound` was checked against another catalog than the one of `entries`.
pub fn build<T: ?Sized>(entries: &[&'static Entry<T>], bound: &Bound) -> Box<T> {
    let entry = entries.iter().find(|entry| entry.spec == *bound.spec);
    let entry = entry.unwrap_or_else(|| panic!("the checker promised `{}`", bound.spec.name));
    (entry.build)(bound)
}
