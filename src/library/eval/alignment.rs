//! How near two views of an image lie, and how evenly all images.

use super::rows::Rows;
use super::{EvalError, Evaluation, FeatureSource, Score, Site, Split, View};
use crate::catalog::{self, Count, Misfit, Network, Place};
use crate::component;
use crate::measure::uniformity;

component! {
    /// How near two views of an image lie on the sphere, and how evenly all images.
    ///
    /// The two measures of Wang & Isola (2020), on embeddings scaled to length one. `alignment` is
    /// the mean squared distance of two augmented views of a training image: 0 where the encoder
    /// does not see the transforms, or there are none. `uniformity` is the logarithm of the mean of
    /// `exp(-2 |x - y|²)` over all pairs of different images: 0 where all are one point, and at least
    /// -4; it is left out of a split with fewer than two images.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment even {
    ///   data = digits(labels=coarse)
    ///   augment { turn = rotation(degrees=15) }
    ///   encoder = mlp()
    ///   views = 2
    ///   loss { nce = infonce(temperature=0.5) }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { sphere = alignment() }
    /// }
    /// ```
    Evaluation as dyn Evaluation, version 1, needs [Embedding], metrics [uniformity, alignment],
        network network;
    alignment => Alignment {
        /// The encoder to measure.
        on: catalog::Features = catalog::Features::Auto,
        /// The most images of a split that are compared by pairs, taken at even steps.
        most: Count = 20_000,
    }
}

fn network(alignment: &Alignment, place: &Place) -> std::result::Result<Network, Misfit> {
    let others = alignment.most.get().min(place.train) / 2;
    Ok(Network::new(&[place.dim]).compared_with(others))
}

impl Evaluation for Alignment {
    fn evaluate(
        &self,
        source: &mut dyn FeatureSource,
        site: &mut Site,
    ) -> Result<Vec<Score>, EvalError> {
        let mut scores = Vec::new();
        let mut seen = |epoch| Rows::augmented(source, View { epoch, drops: false });
        let views = [seen(0)?, seen(1)?];
        let [one, other] = views.map(|view| view.scaled(true));
        if let Some(value) = uniformity::alignment(&one.table(), &other.table()) {
            scores.push(Score { split: Split::Train, metric: "alignment", value });
        }
        let splits = Split::ALL.len() as f64;
        for (n, split) in Split::ALL.into_iter().enumerate() {
            let rows = Rows::of(source, split)?.scaled(true).at_even_steps(self.most.get());
            // The last share of a split is told when its score is there.
            let told = |share: f64| site.done((n as f64 + 0.99 * share) / splits);
            if let Some(value) = uniformity::uniformity(&rows.table(), told)? {
                scores.push(Score { split, metric: "uniformity", value });
            }
            site.done((n + 1) as f64 / splits)?;
        }
        Ok(scores)
    }
}
