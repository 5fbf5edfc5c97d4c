//! The last layer alone, trained again on images of every group in equal number.

use super::grouped::{Groups, Guessed, labelling};
use super::rows::Rows;
use super::scale::Scale;
use super::{EvalError, Evaluation, FeatureSource, Score, Site, Split};
use crate::catalog::{self, Count, Labels, Misfit, Network, Place, Positive};
use crate::measure::logistic::{Examples, Logistic, Penalty as Norm};
use crate::{choice, component};

choice! {
    /// What keeps weights small.
    Penalty {
        /// `Σ |w|`, which leaves few features in use.
        Lasso = "lasso",
        /// `½ Σ w²`
        Ridge = "ridge",
    }
}

choice! {
    /// Where the balanced images come from.
    From {
        /// The validation images.
        Val = "val",
        /// The training images.
        Train = "train",
    }
}

component! {
    /// Accuracy of a last layer that is trained again on as many images of each group (DFR).
    ///
    /// Deep feature reweighting, Kirichenko et al. (2022, arXiv:2204.02937): the encoder stays as it is; logistic regression
    /// on its embeddings, standardised over the training images, is fitted to as many images of
    /// each group as the smallest has, and averaged over several such draws. A group without
    /// images there is left out of the draws. Each fit is the minimum of `c Σ −ln p + penalty(w)`,
    /// scikit-learn's form; the paper chooses `c` by the worst group of a half of the validation
    /// images, here it is what is written.
    ///
    /// Fitting reads the groups of the validation images, which then are images of training: the
    /// line under the table says so, and what is reported is of the test split alone. The metrics
    /// are those of `classify`.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment retrained {
    ///   data = waterbirds(labels=bird, groups=[bird, background], size=32)
    ///   encoder = resnet(depth=8, width=16)
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { erm = classify(); dfr = dfr() }
    /// }
    /// ```
    Evaluation as dyn Evaluation, version 1, needs [Embedding, Labels, Groups],
        metrics [worst_group_accuracy, accuracy, adjusted_accuracy, auroc, robust_auroc],
        splits [test], shown 3, network network;
    dfr => Dfr {
        /// The encoder to measure, or several joined: `concat(a.encoder, b.encoder)`.
        on: catalog::Features = catalog::Features::Auto,
        /// The labels to guess; those of the data without it.
        labels: Labels = Labels::Declared,
        /// Where the balanced images come from.
        from: From = From::Val,
        /// What keeps weights small.
        penalty: Penalty = Penalty::Lasso,
        /// How much a fit follows the images rather than keep its weights small.
        c: Positive = 1.0,
        /// Balanced draws whose classifiers are averaged.
        draws: Count = 10,
    }
}

fn network(_: &Dfr, place: &Place) -> std::result::Result<Network, Misfit> {
    Ok(Network::new(&[place.dim]).linear(place.classes, true).cross_entropy())
}

impl Evaluation for Dfr {
    fn evaluate(
        &self,
        source: &mut dyn FeatureSource,
        site: &mut Site,
    ) -> Result<Vec<Score>, EvalError> {
        let groups = Groups::of(source)?;
        let train = Rows::of(source, Split::Train)?;
        if train.len() == 0 {
            let message = "there are no training images to standardise by";
            return Err(EvalError::Failed(message.to_owned()));
        }
        let scale = Scale::of(&train);
        let model = self.retrained(source, &scale, site)?;
        let mut rows = Rows::of(source, Split::Test)?;
        if rows.len() == 0 {
            return Ok(Vec::new());
        }
        scale.apply(&mut rows);
        groups.scores(source, &Guessed::by(Split::Test, &model, &rows))
    }
}

impl Dfr {
    /// The last layer, on balanced images.
    fn retrained(
        &self,
        source: &mut dyn FeatureSource,
        scale: &Scale,
        site: &mut Site,
    ) -> Result<Logistic, EvalError> {
        let (split, name) = match self.from {
            From::Val => (Split::Val, "validation"),
            From::Train => (Split::Train, "training"),
        };
        let mut rows = Rows::of(source, split)?;
        if rows.len() == 0 {
            return Err(EvalError::Failed(format!("there are no {name} images to balance")));
        }
        scale.apply(&mut rows);
        let groups = labelling(source, split)?.labels;
        self.fit(&rows, &groups, source.classes(), site)
    }

    /// The mean of the classifiers of all draws.
    fn fit(
        &self,
        rows: &Rows,
        groups: &[u32],
        classes: usize,
        site: &mut Site,
    ) -> Result<Logistic, EvalError> {
        let penalty = match self.penalty {
            Penalty::Lasso => Norm::L1,
            Penalty::Ridge => Norm::L2,
        };
        let members = members(groups);
        let most = members.iter().map(Vec::len).min().unwrap_or_default();
        let mut all = Vec::new();
        for draw in 0..self.draws.get() {
            let stream = site.stream.named("draw").at(draw as u64);
            let mut drawn = Vec::new();
            for (group, members) in members.iter().enumerate() {
                let order = stream.at(group as u64).permutation(members.len());
                drawn.extend(order.iter().take(most).map(|at| members[*at as usize]));
            }
            let picked = rows.pick(&drawn);
            let (dim, labels) = (picked.dim, &picked.labels[..]);
            let examples = Examples { rows: &picked.values, dim, labels, classes };
            all.push(Logistic::fit(&examples, penalty, self.c.get()));
            site.done((draw + 1) as f64 / self.draws.get() as f64)?;
        }
        Ok(Logistic::mean(&all).expect("there is a draw"))
    }
}

/// The rows of each group that has any.
fn members(groups: &[u32]) -> Vec<Vec<usize>> {
    let count = groups.iter().max().map_or(0, |most| *most as usize + 1);
    let mut members = vec![Vec::new(); count];
    groups.iter().enumerate().for_each(|(row, group)| members[*group as usize].push(row));
    members.retain(|rows| !rows.is_empty());
    members
}
