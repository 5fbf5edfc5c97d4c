//! What clusters inside classes tell of their subclasses.

use std::collections::BTreeSet;

use super::super::rows::Rows;
use super::super::{Labelling, Score, Split};
use crate::measure::Points;
use crate::measure::agreement::{Contingency, f1};
use crate::measure::assignment::assign;
use crate::measure::subclasses::Tree;

/// The images of a split, with the class that each is looked for inside.
pub(super) struct Parts {
    pub(super) rows: Rows,
    pub(super) within: Labelling,
    /// Whether embeddings are brought to length one.
    pub(super) is_unit: bool,
}

impl Parts {
    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() == 0
    }

    /// The subclasses that occur in a class.
    pub(super) fn subclasses(&self, class: u32) -> BTreeSet<u32> {
        let pairs = self.rows.labels.iter().zip(&self.within.labels);
        pairs.filter(|(_, within)| **within == class).map(|(label, _)| *label).collect()
    }

    /// The images of a class.
    pub(super) fn of_class(&self, class: u32) -> Rows {
        self.rows.select(|at| self.within.labels[at] == class).scaled(self.is_unit)
    }
}

/// What was found inside one class in one split.
struct Inside {
    split: Split,
    images: usize,
    right: usize,
    agreement: [f64; 3],
    /// Of each subclass with images in the split: how many it has in training, and its F1 score.
    f1: Vec<(usize, f64)>,
}

/// What was found so far.
#[derive(Default)]
pub(super) struct Recovery(Vec<Inside>);

/// The name of a cluster that no subclass was left for.
const NOBODY: u32 = u32::MAX;

impl Recovery {
    /// Names the clusters of a class by its training images, and looks at every split.
    pub(super) fn add(&mut self, splits: &[Parts], class: u32, found: &Tree) {
        let train = splits[0].of_class(class);
        let names = names(&found.predict(Points::new(&train.values, train.dim)), &train.labels);
        for (split, parts) in Split::ALL.into_iter().zip(splits) {
            let part = parts.of_class(class);
            if part.len() > 0 {
                let clusters = found.predict(Points::new(&part.values, part.dim));
                self.0.push(Inside::of(split, &clusters, &names, &part.labels, &train.labels));
            }
        }
    }

    /// What it comes to in each split.
    pub(super) fn scores(&self) -> Vec<Score> {
        Split::ALL.into_iter().flat_map(|split| self.of_split(split)).collect()
    }

    fn of_split(&self, split: Split) -> Vec<Score> {
        let inside: Vec<&Inside> = self.0.iter().filter(|it| it.split == split).collect();
        let images: usize = inside.iter().map(|it| it.images).sum();
        if images == 0 {
            return Vec::new();
        }
        let right: usize = inside.iter().map(|it| it.right).sum();
        let score = |metric, value| Score { split, metric, value };
        let mut scores = vec![score("accuracy", right as f64 / images as f64)];
        for (at, metric) in ["nmi", "ami", "ari"].into_iter().enumerate() {
            let sum: f64 = inside.iter().map(|it| it.agreement[at]).sum();
            scores.push(score(metric, sum / inside.len() as f64));
        }
        scores.extend(self.rarest_f1(&inside).map(|value| score("rarest_f1", value)));
        scores
    }

    /// The mean F1 score of the subclasses with the fewest training images.
    fn rarest_f1(&self, inside: &[&Inside]) -> Option<f64> {
        let all = self.0.iter().filter(|it| it.split == Split::Train).flat_map(|it| &it.f1);
        let fewest = all.map(|(size, _)| *size).min()?;
        let rarest = inside.iter().flat_map(|it| &it.f1).filter(|(size, _)| *size == fewest);
        let values: Vec<f64> = rarest.map(|(_, value)| *value).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }
}

impl Inside {
    fn of(split: Split, clusters: &[u32], names: &[u32], labels: &[u32], train: &[u32]) -> Self {
        let named = |cluster: &u32| names.get(*cluster as usize).copied().unwrap_or(NOBODY);
        let guesses: Vec<u32> = clusters.iter().map(named).collect();
        let agreement = Contingency::of(clusters, labels);
        let of_subclass = |label: &u32| {
            let size = train.iter().filter(|it| *it == label).count();
            (size, f1(&guesses, labels, *label))
        };
        let occurring: BTreeSet<u32> = labels.iter().copied().collect();
        // One without training images could not be named.
        let f1 = occurring.iter().map(of_subclass).filter(|(size, _)| *size > 0).collect();
        Self {
            split,
            images: labels.len(),
            right: guesses.iter().zip(labels).filter(|(guess, label)| guess == label).count(),
            agreement: [agreement.nmi(), agreement.ami(), agreement.ari()],
            f1,
        }
    }
}

/// The subclass that each cluster is named after.
fn names(clusters: &[u32], labels: &[u32]) -> Vec<u32> {
    let counts = Contingency::of(clusters, labels).counts;
    let columns = counts.first().map_or(0, Vec::len);
    let worth: Vec<f64> = counts.iter().flatten().map(|count| *count as f64).collect();
    let given = assign(&worth, counts.len(), columns);
    given.into_iter().map(|it| it.map_or(NOBODY, |label| label as u32)).collect()
}
