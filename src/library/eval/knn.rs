//! Classification by the nearest training images.

use super::rows::{Rows, accuracy, first_best};
use super::{EvalError, Evaluation, FeatureSource, Score, Site, Split};
use crate::catalog::{self, Count, Labels, Misfit, Network, Place, Positive};
use crate::measure::nearest::{Neighbour, nearest};
use crate::{choice, component};

/// Images that are guessed before a stop is looked for.
const ROUND: usize = 2048;

choice! {
    /// How the neighbours decide.
    Vote {
        /// Each neighbour counts as one.
        Majority = "majority",
        /// A neighbour at cosine `s` counts `exp(s / temperature)`.
        Weighted = "weighted",
    }
}

component! {
    /// Guesses an image's class from the training images nearest to it, by cosine.
    ///
    /// The weighted vote is that of instance discrimination (Wu et al., 2018, section 3.4). Equal
    /// similarities are taken in the order of the training images, equal votes go to the first
    /// class, and with fewer than `k` training images all of them vote. Trains nothing, so it is
    /// the same for every seed of the evaluation.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment neighbours {
    ///   data = digits(labels=coarse)
    ///   encoder = mlp()
    ///   loss { supcon = 0.5 * supcon(temperature=0.5) }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { near = knn(labels=fine, k=5) }
    /// }
    /// ```
    Evaluation as dyn Evaluation, version 1, needs [Embedding, Labels], metrics [accuracy],
        splits [val, test], network network;
    knn => Knn {
        /// The encoder to measure; several are joined before the lengths are made one.
        on: catalog::Features = catalog::Features::Auto,
        /// The labels to guess.
        labels: Labels = Labels::Column("fine".to_owned()),
        /// How many neighbours vote.
        k: Count = 20,
        /// How the neighbours decide.
        vote: Vote = Vote::Weighted,
        /// How fast a weighted vote falls with distance.
        temperature: Positive = 0.07,
    }
}

fn network(_: &Knn, place: &Place) -> std::result::Result<Network, Misfit> {
    Ok(Network::new(&[place.dim]).compared_with(place.train))
}

impl Evaluation for Knn {
    fn evaluate(
        &self,
        source: &mut dyn FeatureSource,
        site: &mut Site,
    ) -> Result<Vec<Score>, EvalError> {
        let memory = Rows::of(source, Split::Train)?;
        if memory.len() == 0 {
            return Err(EvalError::Failed("there are no training images to compare with".into()));
        }
        let memory = memory.scaled(true);
        let classes = source.classes();
        let mut scores = Vec::new();
        for (split, start) in [(Split::Val, 0.0), (Split::Test, 0.5)] {
            let queries = Rows::of(source, split)?.scaled(true);
            let mut guesses = Vec::new();
            for round in queries.values.chunks(ROUND * memory.dim.max(1)) {
                guesses.extend(self.guess(round, &memory, classes));
                site.done(start + 0.5 * guesses.len() as f64 / queries.len() as f64)?;
            }
            if queries.len() > 0 {
                let value = accuracy(&guesses, &queries.labels);
                scores.push(Score { split, metric: "accuracy", value });
            }
        }
        Ok(scores)
    }
}

impl Knn {
    /// The classes guessed for queries; all embeddings are of length one.
    fn guess(&self, queries: &[f32], memory: &Rows, classes: usize) -> Vec<u32> {
        let found = nearest(queries, &memory.values, memory.dim, self.k.get());
        found.iter().map(|near| self.decide(near, &memory.labels, classes)).collect()
    }

    /// The class the neighbours choose, nearest first.
    fn decide(&self, neighbours: &[Neighbour], labels: &[u32], classes: usize) -> u32 {
        let mut votes = vec![0.0; classes];
        for neighbour in neighbours {
            // Only ratios matter; the nearest one counts 1, so that nothing overflows.
            let behind = f64::from(neighbour.similarity) - f64::from(neighbours[0].similarity);
            votes[labels[neighbour.index] as usize] += match self.vote {
                Vote::Majority => 1.0,
                Vote::Weighted => (behind / self.temperature.get()).exp(),
            };
        }
        first_best(&votes)
    }
}
