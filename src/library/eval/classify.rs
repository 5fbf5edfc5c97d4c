//! How well a classifier does, on average and in the group where it does worst.

use super::grouped::{Groups, Guessed};
use super::rows::{Rows, trained_scores};
use super::scale::Scale;
use super::{EvalError, Evaluation, FeatureSource, Score, Site, Split};
use crate::catalog::{self, Labels, Misfit, Network, Place, Positive};
use crate::measure::logistic::{Examples, Logistic, Penalty};
use crate::{choice, component};

choice! {
    /// What classifies.
    Head {
        /// The classifier that was trained with the encoder, by `cross_entropy` or `group_dro`.
        Trained = "trained",
        /// Logistic regression on the frozen embedding of the training images.
        Logistic = "logistic",
    }
}

component! {
    /// Accuracy of a classifier, on average and in the group of the data where it is lowest.
    ///
    /// *Average accuracy* has two meanings in the literature, and both are here: `accuracy` is the
    /// share of a split's images that are right, and `adjusted_accuracy` the mean of the groups'
    /// accuracies weighted by their shares of the training images, as Sagawa et al. (2020) report
    /// it. `worst_group_accuracy` is the least accuracy of a group; a group without images in a
    /// split is left out, and the accuracy of every group stands in `result.json`.
    ///
    /// Where there are two classes, `auroc` is the area under the ROC curve of the second one, ties
    /// counting half, and `robust_auroc` the least of the areas between the images of the first
    /// class in one group and all images of the second, as George reports ISIC (Sohoni et al.,
    /// 2020). With other numbers of classes they are left out.
    ///
    /// That regression is the minimum of `c Σ −ln p + ½ Σ w²` over standardised features, so that no seed
    /// changes it.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment worst {
    ///   data = waterbirds(labels=bird, groups=[bird, background], size=32)
    ///   encoder = resnet(depth=8, width=16)
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { birds = classify() }
    /// }
    /// ```
    Evaluation as dyn Evaluation, version 1, needs [Embedding, Labels, Groups],
        metrics [worst_group_accuracy, accuracy, adjusted_accuracy, auroc, robust_auroc],
        shown 3, network network;
    classify => Classify {
        /// The encoder to measure; with `head=logistic` several joined, `concat(a.encoder, b.encoder)`.
        on: catalog::Features = catalog::Features::Auto,
        /// The labels to guess; those of the data without it.
        labels: Labels = Labels::Declared,
        /// What classifies.
        head: Head = Head::Trained,
        /// How much logistic regression fits the training images rather than keep its weights small.
        c: Positive = 1.0,
    }
}

fn network(_: &Classify, place: &Place) -> std::result::Result<Network, Misfit> {
    Ok(Network::new(&[place.dim]).linear(place.classes, true).cross_entropy())
}

impl Evaluation for Classify {
    fn evaluate(
        &self,
        source: &mut dyn FeatureSource,
        site: &mut Site,
    ) -> Result<Vec<Score>, EvalError> {
        let groups = Groups::of(source)?;
        let probe = match self.head {
            Head::Trained => None,
            Head::Logistic => Some(Probe::fit(source, self.c.get())?),
        };
        let mut scores = Vec::new();
        for (at, split) in Split::ALL.into_iter().enumerate() {
            let mut rows = Rows::of(source, split)?;
            if rows.len() == 0 {
                continue;
            }
            let guessed = match &probe {
                None => trained(source, split, &rows)?,
                Some(Probe { scale, model }) => {
                    scale.apply(&mut rows);
                    Guessed::by(split, model, &rows)
                }
            };
            scores.extend(groups.scores(source, &guessed)?);
            site.done((at + 1) as f64 / Split::ALL.len() as f64)?;
        }
        Ok(scores)
    }
}

/// The guesses of the classifier that was trained with the encoder.
fn trained(
    source: &mut dyn FeatureSource,
    split: Split,
    rows: &Rows,
) -> Result<Guessed, EvalError> {
    let scores = trained_scores(source.class_scores(split)?)?;
    Ok(Guessed::of(split, rows.labels.clone(), &scores))
}

/// Logistic regression on standardised features.
struct Probe {
    scale: Scale,
    model: Logistic,
}

impl Probe {
    fn fit(source: &mut dyn FeatureSource, c: f64) -> Result<Self, EvalError> {
        let mut rows = Rows::of(source, Split::Train)?;
        if rows.len() == 0 {
            return Err(EvalError::Failed("there are no training images to learn from".into()));
        }
        let scale = Scale::of(&rows);
        scale.apply(&mut rows);
        let Rows { values, dim, labels } = &rows;
        let (dim, classes) = (*dim, source.classes());
        let examples = Examples { rows: values, dim, labels, classes };
        Ok(Self { scale, model: Logistic::fit(&examples, Penalty::L2, c) })
    }
}
