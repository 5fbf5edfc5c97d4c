//! Whether the images nearest to an image are of its class.

use super::rows::Rows;
use super::{EvalError, Evaluation, FeatureSource, Score, Site, Split};
use crate::catalog::{self, Labels, Misfit, Network, Place};
use crate::measure::retrieval::{Found, Items, retrieve};
use crate::{choice, component};

/// Images that are looked for before a stop is looked for.
const ROUND: usize = 1024;

choice! {
    /// Among which images an image is looked for.
    Among {
        /// The others of its own split.
        Split = "split",
        /// The training images.
        Train = "train",
    }
}

component! {
    /// Whether the images that are nearest to an image, by cosine, are of its class.
    ///
    /// `recall_at_1` is the share of images whose nearest image is of their class. `map_at_r` looks
    /// at the nearest R images, R being how many there are of the image's class: it is the mean
    /// over those R places of the precision up to a place that holds an image of the class, and of
    /// 0 for the others (Musgrave et al., 2020). Images are looked for among the others of their
    /// own split, as in the literature on metric learning, or among the training images. Equal
    /// similarities are taken in the order of the images. An image that is the only one of its
    /// class is left out, and a split without any other is too. Trains nothing, so it is the same
    /// for every seed of the evaluation.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment near {
    ///   data = digits(labels=coarse)
    ///   encoder = mlp()
    ///   loss { supcon = 0.5 * supcon(temperature=0.5) }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { find = retrieval(labels=fine) }
    /// }
    /// ```
    Evaluation as dyn Evaluation, version 1, needs [Embedding, Labels],
        metrics [recall_at_1, map_at_r], splits [val, test], network network;
    retrieval => Retrieval {
        /// The encoder to measure; several are joined before the lengths are made one.
        on: catalog::Features = catalog::Features::Auto,
        /// The labels that say what is of a class.
        labels: Labels = Labels::Column("fine".to_owned()),
        /// Among which images an image is looked for.
        among: Among = Among::Split,
    }
}

fn network(retrieval: &Retrieval, place: &Place) -> std::result::Result<Network, Misfit> {
    let others = if retrieval.among == Among::Train { place.train } else { 1 };
    Ok(Network::new(&[place.dim]).compared_with(others))
}

impl Evaluation for Retrieval {
    fn evaluate(
        &self,
        source: &mut dyn FeatureSource,
        site: &mut Site,
    ) -> Result<Vec<Score>, EvalError> {
        let train = match self.among {
            Among::Split => None,
            Among::Train => Some(Rows::of(source, Split::Train)?.scaled(true)),
        };
        if train.as_ref().is_some_and(|train| train.len() == 0) {
            return Err(EvalError::Failed("there are no training images to look among".into()));
        }
        let mut scores = Vec::new();
        for (split, start) in [(Split::Val, 0.0), (Split::Test, 0.5)] {
            let queries = Rows::of(source, split)?.scaled(true);
            let found =
                look(&queries, train.as_ref(), &mut |share| site.done(start + share / 2.0))?;
            site.done(start + 0.5)?;
            scores.extend(summary(split, &found));
        }
        Ok(scores)
    }
}

/// What each image finds that has another of its class to find.
fn look(
    queries: &Rows,
    train: Option<&Rows>,
    done: &mut dyn FnMut(f64) -> Result<(), EvalError>,
) -> Result<Vec<Found>, EvalError> {
    let gallery = train.unwrap_or(queries);
    let among = Items { unit: &gallery.values, labels: &gallery.labels };
    let mut found = Vec::new();
    let rounds = queries.values.chunks((ROUND * queries.dim).max(1));
    for (at, (unit, labels)) in rounds.zip(queries.labels.chunks(ROUND)).enumerate() {
        let own = train.is_none().then_some(at * ROUND);
        let round = retrieve(Items { unit, labels }, among, queries.dim, own);
        found.extend(round.into_iter().flatten());
        let seen = at * ROUND + labels.len();
        if seen < queries.len() {
            done(seen as f64 / queries.len() as f64)?;
        }
    }
    Ok(found)
}

fn summary(split: Split, found: &[Found]) -> Vec<Score> {
    if found.is_empty() {
        return Vec::new();
    }
    let count = found.len() as f64;
    let first = found.iter().filter(|it| it.first).count() as f64;
    let precision: f64 = found.iter().map(|it| it.precision).sum();
    vec![
        Score { split, metric: "recall_at_1", value: first / count },
        Score { split, metric: "map_at_r", value: precision / count },
    ]
}
