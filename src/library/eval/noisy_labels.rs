//! Noisy-label recovery: whether neighbours tell which training labels are wrong.

use super::rows::{Rows, accuracy};
use super::{Column, EvalError, Evaluation, FeatureSource, Score, Site, Split};
use crate::catalog::{self, Count, Labels, Misfit, Network, Place};
use crate::component;
use crate::measure::nearest::nearest;
use crate::measure::roc::auroc;

/// Images that are looked at before a stop is looked for.
const ROUND: usize = 2048;

component! {
    /// Whether the embeddings tell which training labels were flipped, and what they were.
    ///
    /// For data that declare `label_noise`. Each training image looks at the labels that training
    /// saw of the `k` training images nearest to it by cosine, itself left out. `auroc` is the area
    /// under the ROC curve of finding the flipped labels by the share of neighbours that disagree,
    /// ties counting half: 1 where every flipped label has more of them against it than any other,
    /// 0.5 where neighbours tell nothing. `accuracy` is the share of labels that are true when each
    /// is replaced by that of most neighbours, of equal votes the own label if it is among them and
    /// otherwise the first class; `observed_accuracy` that of the labels as training saw them.
    ///
    /// A training that has learned its flipped labels by heart has put their images among those of
    /// the wrong class, and neighbours then agree with them: that is what this measures. Where by
    /// chance no label was flipped, or every one, `auroc` is left out.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment mislabelled {
    ///   data = digits(labels=coarse, label_noise=20%)
    ///   encoder = mlp()
    ///   loss { supcon = 0.5 * supcon(temperature=0.5) }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { found = noisy_labels(k=20) }
    /// }
    /// ```
    Evaluation as dyn Evaluation, version 1, needs [Embedding, Labels, Observed],
        metrics [auroc, accuracy, observed_accuracy], splits [train], shown 3, network network;
    noisy_labels => NoisyLabels {
        /// The encoder to measure; several are joined before the lengths are made one.
        on: catalog::Features = catalog::Features::Auto,
        /// The labels to find again; those of the data without it.
        labels: Labels = Labels::Declared,
        /// How many neighbours vote.
        k: Count = 20,
    }
}

fn network(_: &NoisyLabels, place: &Place) -> std::result::Result<Network, Misfit> {
    Ok(Network::new(&[place.dim]).compared_with(place.train))
}

impl Evaluation for NoisyLabels {
    fn evaluate(
        &self,
        source: &mut dyn FeatureSource,
        site: &mut Site,
    ) -> Result<Vec<Score>, EvalError> {
        let rows = Rows::of(source, Split::Train)?.scaled(true);
        if rows.len() == 0 {
            return Err(EvalError::Failed("there are no training images to look at".into()));
        }
        let observed = source.column(Split::Train, Column::Observed)?;
        let missing = "no training label was changed; `label_noise=20%` in the data changes some";
        let observed = observed.ok_or_else(|| EvalError::Failed(missing.to_owned()))?.labels;
        let votes = self.votes(&rows, &observed, source.classes(), site)?;
        let is_flipped: Vec<bool> =
            observed.iter().zip(&rows.labels).map(|(seen, label)| seen != label).collect();
        let against: Vec<f64> = votes.iter().map(|it| it.against).collect();
        let corrected: Vec<u32> = votes.iter().map(|it| it.label).collect();
        let score = |metric, value| Score { split: Split::Train, metric, value };
        site.done(1.0)?;
        let found = auroc(&against, &is_flipped).map(|value| score("auroc", value));
        let shares = [
            score("accuracy", accuracy(&corrected, &rows.labels)),
            score("observed_accuracy", accuracy(&observed, &rows.labels)),
        ];
        Ok(found.into_iter().chain(shares).collect())
    }
}

/// What the neighbours of an image say of its label.
struct Vote {
    /// The share that has another.
    against: f64,
    /// The label that most have.
    label: u32,
}

impl NoisyLabels {
    fn votes(
        &self,
        rows: &Rows,
        observed: &[u32],
        classes: usize,
        site: &mut Site,
    ) -> Result<Vec<Vote>, EvalError> {
        let mut votes: Vec<Vote> = Vec::new();
        for round in rows.values.chunks(ROUND * rows.dim.max(1)) {
            let first = votes.len();
            let found = nearest(round, &rows.values, rows.dim, self.k.get() + 1);
            for (at, near) in found.iter().enumerate() {
                let own = first + at;
                // The image itself is one of them, unless many are as near.
                let others = near.iter().map(|it| it.index).filter(|it| *it != own);
                let labels = others.take(self.k.get()).map(|it| observed[it]);
                votes.push(vote(observed[own], labels, classes));
            }
            site.done(0.9 * votes.len() as f64 / rows.len() as f64)?;
        }
        Ok(votes)
    }
}

/// The vote of neighbours with `labels` on an image with the label `own`.
fn vote(own: u32, labels: impl Iterator<Item = u32>, classes: usize) -> Vote {
    let mut counts = vec![0u32; classes];
    labels.for_each(|label| counts[label as usize] += 1);
    let (all, most) = (counts.iter().sum::<u32>(), counts.iter().max().copied().unwrap_or(0));
    let agreeing = counts[own as usize];
    let first = counts.iter().position(|count| *count == most).unwrap_or(0) as u32;
    Vote {
        against: if all == 0 { 0.0 } else { f64::from(all - agreeing) / f64::from(all) },
        label: if agreeing == most { own } else { first },
    }
}
