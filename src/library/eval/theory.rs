//! What theory says of a training, beside what was measured.

use super::rows::Rows;
use super::{EvalError, Evaluation, FeatureSource, Foretold, Score, Site, Split};
use crate::catalog::{self, Count, Labels, Misfit, Network, Place};
use crate::component;
use crate::measure::sphere::{UnitClass, mean};
use crate::theory::{Phase, Setting};

component! {
    /// What theory says of a contrastive training, beside what was measured.
    ///
    /// The closed forms of `docs/guide/theory.md` for the classes, the width, the temperature, the
    /// batch and the share `alpha` of `class_infonce` that the training has: `threshold` is the
    /// greatest `alpha` at which classes collapse, `phase` is 0 where they do, 1 where each is spread
    /// around its point and 2 where classes mix; `predicted_variance` and `predicted_loss` are the
    /// within-class variance and the weighted sum of the contrastive terms there. The same with
    /// `asymptotic_` in front of it is of large batches, where only negatives matter in the
    /// denominator.
    ///
    /// Beside them stand `within_variance`, measured as `geometry` does, and `loss`, the weighted sum
    /// of the contrastive terms over batches of training images in the views of the first epoch, as
    /// evaluation sees them. What is said of the training stands at every split that has images.
    ///
    /// Left out is what the closed forms do not reach: all but `within_variance` where the terms are
    /// not one loss (several temperatures or denominators, free lengths, a projector), and variance
    /// and loss where the embedding has fewer dimensions than classes. Under a clip below the largest
    /// similarity they are estimates.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment foretold {
    ///   data = digits(labels=coarse)
    ///   augment { turn = rotation(degrees=15) }
    ///   encoder = mlp(widths=[64], out=8)
    ///   views = 2
    ///   loss {
    ///     sup = 0.3 * supcon(temperature=0.5)
    ///     cnce = 0.7 * class_infonce(temperature=0.5)
    ///   }
    ///   train { optimizer = adamw(lr=1e-3); batch = 64; for = 5 epochs }
    ///   eval { foretold = theory() }
    /// }
    /// ```
    Evaluation as dyn Evaluation, version 1, needs [Embedding, Labels],
        metrics [
            within_variance, predicted_variance, asymptotic_variance, loss, predicted_loss,
            asymptotic_loss, alpha, threshold, asymptotic_threshold, phase, asymptotic_phase
        ],
        shown 3, network network;
    theory => Theory {
        /// The encoder to measure.
        on: catalog::Features = catalog::Features::Auto,
        /// Which labels say what a class is.
        labels: Labels = Labels::Declared,
        /// Batches that the loss is averaged over, or as many as there are.
        batches: Count = 8,
    }
}

fn network(_: &Theory, place: &Place) -> std::result::Result<Network, Misfit> {
    Ok(Network::new(&[place.dim]).compared_with(1))
}

impl Evaluation for Theory {
    fn evaluate(
        &self,
        source: &mut dyn FeatureSource,
        site: &mut Site,
    ) -> Result<Vec<Score>, EvalError> {
        let told = source.foretold().map(|told| said(&told)).unwrap_or_default();
        let mut scores = Vec::new();
        for (n, split) in Split::ALL.into_iter().enumerate() {
            let rows = Rows::of(source, split)?;
            let classes = UnitClass::gather(&rows.table(), &rows.labels, source.classes());
            if let Some(variance) = mean(classes.iter().map(UnitClass::variance)) {
                scores.push(Score { split, metric: "within_variance", value: variance });
                scores.extend(told.iter().map(|(metric, value)| Score {
                    split,
                    metric,
                    value: *value,
                }));
            }
            site.done((n + 1) as f64 / (Split::ALL.len() + 1) as f64)?;
        }
        let value = if told.is_empty() { None } else { self.loss(source, site)? };
        scores.extend(value.map(|value| Score { split: Split::Train, metric: "loss", value }));
        site.done(1.0)?;
        Ok(scores)
    }
}

impl Theory {
    /// The mean over batches of what theory speaks of; none where there is nothing.
    fn loss(&self, source: &mut dyn FeatureSource, site: &Site) -> Result<Option<f64>, EvalError> {
        let images = Rows::of(source, Split::Train)?.len();
        let order = site.stream.named("batches").permutation(images);
        let batch = source.batch();
        let own = |rows: &[u32]| vec![(0..rows.len() as u32).collect::<Vec<u32>>()];
        let mut sums = Vec::new();
        // A batch that is cut short has another least loss.
        for rows in order.chunks_exact(batch.max(1)).take(self.batches.get()) {
            for terms in source.losses(rows, &own(rows))? {
                let mut foretold = terms.iter().filter(|term| term.is_foretold).peekable();
                if foretold.peek().is_some() {
                    sums.push(foretold.map(|term| term.value).sum::<f64>());
                }
            }
        }
        Ok(mean(sums.into_iter()))
    }
}

/// What theory says, as far as it goes.
fn said(told: &Foretold) -> Vec<(&'static str, f64)> {
    let (here, large) = (told.setting, told.setting.in_large_batches());
    let [(phase, variance, loss), (large_phase, large_variance, large_loss)] =
        [here, large].map(least);
    let known = [
        ("alpha", Some(here.alpha)),
        ("threshold", Some(here.threshold())),
        ("asymptotic_threshold", Some(large.threshold())),
        ("phase", phase),
        ("predicted_variance", variance),
        ("predicted_loss", loss.map(|loss| told.weight * loss)),
        ("asymptotic_phase", large_phase),
        ("asymptotic_variance", large_variance),
        ("asymptotic_loss", large_loss.map(|loss| told.weight * loss)),
    ];
    let finite = |value: &f64| value.is_finite();
    known.into_iter().filter_map(|(name, value)| Some((name, value.filter(finite)?))).collect()
}

/// The phase as a number, the within-class variance and the loss of weight one.
fn least(setting: Setting) -> (Option<f64>, Option<f64>, Option<f64>) {
    match setting.phase() {
        Some(Phase::Collapse) => (Some(0.0), Some(0.0), Some(setting.loss(0.0))),
        Some(Phase::Spread(s)) => (Some(1.0), Some(s), Some(setting.loss(s))),
        Some(Phase::Mixed) => (Some(2.0), Some(1.0), Some(setting.mixed_loss())),
        None => (None, None, None),
    }
}
