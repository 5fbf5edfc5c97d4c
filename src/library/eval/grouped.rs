//! What guesses are worth, group by group: the average in both its meanings, the worst, and areas.

use std::collections::BTreeMap;

use super::rows::{Rows, accuracy, first_best};
use super::{Column, EvalError, FeatureSource, Labelling, OfGroup, Score, Split};
use crate::measure::logistic::Logistic;
use crate::measure::roc::auroc;

/// The groups of each split, and how many training images each has.
pub(super) struct Groups {
    sizes: Vec<usize>,
}

/// What was guessed of a split.
pub(super) struct Guessed {
    pub(super) split: Split,
    pub(super) labels: Vec<u32>,
    pub(super) guesses: Vec<u32>,
    /// Of two classes, how much more the second one scored than the first.
    pub(super) margins: Option<Vec<f64>>,
}

impl Guessed {
    /// The guesses of a classifier's scores, one row for each image: the first of the largest, or
    /// the second class where its score over the first is positive.
    pub(super) fn of(split: Split, labels: Vec<u32>, scores: &[Vec<f64>]) -> Self {
        let margin = |row: &Vec<f64>| match row[..] {
            [margin] => Some(margin),
            [first, second] => Some(second - first),
            _ => None,
        };
        let guess = |row: &Vec<f64>| match margin(row) {
            Some(margin) => u32::from(margin > 0.0),
            None => first_best(row),
        };
        Self {
            split,
            labels,
            guesses: scores.iter().map(guess).collect(),
            margins: scores.iter().map(margin).collect(),
        }
    }

    /// The guesses of `model` for rows of `dim` numbers.
    pub(super) fn by(split: Split, model: &Logistic, rows: &Rows) -> Self {
        let scores: Vec<Vec<f64>> = rows.iter().map(|row| model.scores(row)).collect();
        Self::of(split, rows.labels.clone(), &scores)
    }
}

impl Groups {
    /// The groups of the data behind `source`.
    ///
    /// # Errors
    /// When the dataset names none.
    pub(super) fn of(source: &mut dyn FeatureSource) -> Result<Self, EvalError> {
        let train = labelling(source, Split::Train)?;
        let mut sizes = vec![0; train.names.len()];
        train.labels.iter().for_each(|group| sizes[*group as usize] += 1);
        Ok(Self { sizes })
    }

    /// The scores of what was guessed of a split that has images; the accuracy of each group is
    /// handed to `source`.
    pub(super) fn scores(
        &self,
        source: &mut dyn FeatureSource,
        guessed: &Guessed,
    ) -> Result<Vec<Score>, EvalError> {
        let Guessed { split, labels, guesses, margins } = guessed;
        let Labelling { labels: groups, names } = labelling(source, *split)?;
        let of_group = self.accuracies(&groups, guesses, labels);
        let worst = of_group.values().map(|(_, accuracy)| *accuracy).fold(f64::INFINITY, f64::min);
        let mut found = vec![
            ("worst_group_accuracy", Some(worst)),
            ("accuracy", Some(accuracy(guesses, labels))),
            ("adjusted_accuracy", self.adjusted(&of_group)),
        ];
        if let Some(margins) = margins {
            found.push(("auroc", auroc(margins, &positive(labels))));
            found.push(("robust_auroc", robust(margins, labels, &groups)));
        }
        source.keep_groups(
            of_group
                .into_iter()
                .map(|(group, (images, accuracy))| OfGroup {
                    split: split.name().to_owned(),
                    group: names[group].clone(),
                    images,
                    accuracy,
                })
                .collect(),
        );
        let score = |(metric, value): (_, Option<f64>)| {
            Some(Score { split: *split, metric, value: value? })
        };
        Ok(found.into_iter().filter_map(score).collect())
    }

    /// The images and the accuracy of each group that has images here.
    fn accuracies(
        &self,
        groups: &[u32],
        guesses: &[u32],
        labels: &[u32],
    ) -> BTreeMap<usize, (usize, f64)> {
        let mut counts = BTreeMap::new();
        for ((group, guess), label) in groups.iter().zip(guesses).zip(labels) {
            let (images, right) = counts.entry(*group as usize).or_insert((0, 0));
            *images += 1;
            *right += usize::from(guess == label);
        }
        let share = |(group, (images, right)): (usize, (usize, usize))| {
            (group, (images, right as f64 / images as f64))
        };
        counts.into_iter().map(share).collect()
    }

    /// The mean of the groups' accuracies by their shares of the training images; none where the
    /// groups that have images here have none there.
    fn adjusted(&self, of_group: &BTreeMap<usize, (usize, f64)>) -> Option<f64> {
        let weighted = of_group.iter().map(|(group, (_, accuracy))| {
            let size = self.sizes[*group] as f64;
            (size * accuracy, size)
        });
        let (sum, all) = weighted.fold((0.0, 0.0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        (all > 0.0).then(|| sum / all)
    }
}

/// The group of each image of a split.
pub(super) fn labelling(
    source: &mut dyn FeatureSource,
    split: Split,
) -> Result<Labelling, EvalError> {
    let none = || EvalError::Failed("the dataset names no groups".to_owned());
    source.column(split, Column::Groups)?.ok_or_else(none)
}

fn positive(labels: &[u32]) -> Vec<bool> {
    labels.iter().map(|label| *label == 1).collect()
}

/// The least area between the images of the first class in one group and all of the second class.
fn robust(margins: &[f64], labels: &[u32], groups: &[u32]) -> Option<f64> {
    let mut benign: Vec<u32> =
        groups.iter().zip(labels).filter(|(_, label)| **label == 0).map(|(it, _)| *it).collect();
    benign.sort_unstable();
    benign.dedup();
    let area = |group: u32| {
        let kept: Vec<usize> =
            (0..labels.len()).filter(|at| labels[*at] == 1 || groups[*at] == group).collect();
        let margins: Vec<f64> = kept.iter().map(|at| margins[*at]).collect();
        let labels: Vec<u32> = kept.iter().map(|at| labels[*at]).collect();
        auroc(&margins, &positive(&labels))
    };
    benign.into_iter().filter_map(area).reduce(f64::min)
}
