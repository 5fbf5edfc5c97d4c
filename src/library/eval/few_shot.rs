//! Few-shot accuracy: what a few labelled images of each class are enough for.

use rayon::prelude::*;

use super::rows::{Rows, accuracy, first_best};
use super::{EvalError, Evaluation, FeatureSource, Score, Site, Split, regression};
use crate::catalog::{self, Count, Labels, Misfit, Network, Place, Positive};
use crate::library::optimizer::AtOnce;
use crate::measure::lbfgs::Lbfgs;
use crate::measure::logistic::Logistic;
use crate::statistics::interval;
use crate::{choice, component};

/// As the defaults of `lbfgs`.
const SEARCH: Lbfgs = Lbfgs { memory: 10, tolerance: 1e-4, iterations: 1000 };

choice! {
    /// What guesses the class of an image.
    By {
        /// Logistic regression on the drawn images, as `linear` with `lbfgs`.
        Logistic = "logistic",
        /// The class whose drawn images have the nearest mean.
        Mean = "mean",
    }
}

component! {
    /// Accuracy from `k` labelled images of each class.
    ///
    /// Of each class of `labels` `k` training images are drawn by the seed's address; a classifier
    /// is fitted to their embeddings alone, and guesses the images of the other splits. That is
    /// done `draws` times. `accuracy` is the mean over the draws, and from `low_accuracy` to
    /// `high_accuracy` goes the 95% interval of that mean, by Student's t, as far as the draws of
    /// images make it uncertain; with one draw there is none.
    ///
    /// Logistic regression is the minimum of `c Σ −ln p(label) + ½ Σ w²` on embeddings of length one
    /// (Tian et al., 2020); `by=mean` guesses the class of the nearest mean (Snell et al., 2017),
    /// of equally near ones the first. A class with fewer than `k` training images is an error.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment few {
    ///   data = digits(labels=coarse)
    ///   encoder = mlp()
    ///   loss { supcon = 0.5 * supcon(temperature=0.5) }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval {
    ///     five = few_shot(labels=fine, k=5)
    ///     one = few_shot(labels=fine, k=1, by=mean, draws=50)
    ///   }
    /// }
    /// ```
    Evaluation as dyn Evaluation, version 1, needs [Embedding, Labels],
        metrics [accuracy, low_accuracy, high_accuracy], splits [val, test], shown 3,
        network network;
    few_shot => FewShot {
        /// The encoder to measure, or several joined.
        on: catalog::Features = catalog::Features::Auto,
        /// The labels to guess.
        labels: Labels = Labels::Column("fine".to_owned()),
        /// Images of each class that are drawn.
        k: Count = 5,
        /// How often they are drawn anew.
        draws: Count = 10,
        /// What guesses the class of an image.
        by: By = By::Logistic,
        /// How much logistic regression fits the drawn images rather than keep its weights small.
        c: Positive = 1.0,
        /// Whether embeddings are first brought to length one.
        unit: bool = true,
    }
}

fn network(_: &FewShot, place: &Place) -> std::result::Result<Network, Misfit> {
    Ok(Network::new(&[place.dim]).linear(place.classes, true).cross_entropy())
}

impl Evaluation for FewShot {
    fn evaluate(
        &self,
        source: &mut dyn FeatureSource,
        site: &mut Site,
    ) -> Result<Vec<Score>, EvalError> {
        let classes = source.classes();
        let train = Rows::of(source, Split::Train)?.scaled(self.unit);
        if train.len() == 0 {
            return Err(EvalError::Failed("there are no training images to draw from".into()));
        }
        let members = self.members(&train.labels, classes)?;
        let mut tested = Vec::new();
        for split in [Split::Val, Split::Test] {
            let rows = Rows::of(source, split)?.scaled(self.unit);
            if rows.len() > 0 {
                tested.push((split, rows, Vec::new()));
            }
        }
        for draw in 0..self.draws.get() {
            let part = 1.0 / self.draws.get() as f64;
            let model = self.model(&train, &members, (draw, classes), site)?;
            for (_, rows, found) in &mut tested {
                found.push(accuracy(&model.guesses(rows), &rows.labels));
            }
            site.done((draw + 1) as f64 * part)?;
        }
        Ok(tested.iter().flat_map(|(split, _, found)| scores(*split, found)).collect())
    }
}

impl FewShot {
    /// The training images of each class, which are enough.
    fn members(&self, labels: &[u32], classes: usize) -> Result<Vec<Vec<usize>>, EvalError> {
        let mut members = vec![Vec::new(); classes];
        labels.iter().enumerate().for_each(|(row, label)| members[*label as usize].push(row));
        let k = self.k.get();
        match members.iter().position(|rows| rows.len() < k) {
            None => Ok(members),
            Some(class) => Err(EvalError::Failed(format!(
                "class {class} of `labels` has {} of the {k} training images that are drawn of \
                 each; write a smaller `k`",
                members[class].len()
            ))),
        }
    }

    /// The classifier of one draw.
    fn model(
        &self,
        train: &Rows,
        members: &[Vec<usize>],
        (draw, classes): (usize, usize),
        site: &mut Site,
    ) -> Result<Model, EvalError> {
        let stream = site.stream.named("draw").at(draw as u64);
        let drawn = members.iter().enumerate().flat_map(|(class, members)| {
            let order = stream.at(class as u64).permutation(members.len());
            order.into_iter().take(self.k.get()).map(|at| members[at as usize])
        });
        let rows = train.pick(&drawn.collect::<Vec<_>>());
        let how = AtOnce { c: self.c.get(), search: SEARCH };
        let part = 1.0 / self.draws.get() as f64;
        Ok(match self.by {
            By::Mean => Model::Means(means(&rows, classes)),
            By::Logistic => {
                let place = (draw as f64 * part, part);
                Model::Logistic(regression::fit(&rows, classes, &how, site, place)?)
            }
        })
    }
}

/// What guesses.
enum Model {
    Logistic(Logistic),
    /// Of each class.
    Means(Vec<Vec<f64>>),
}

impl Model {
    fn guesses(&self, rows: &Rows) -> Vec<u32> {
        rows.values.par_chunks_exact(rows.dim.max(1)).map(|row| self.guess(row)).collect()
    }

    fn guess(&self, row: &[f32]) -> u32 {
        match self {
            Self::Logistic(model) => regression::guess(model, row),
            Self::Means(means) => {
                let nearness = |mean: &Vec<f64>| -> f64 {
                    mean.iter().zip(row).map(|(m, x)| -(m - f64::from(*x)).powi(2)).sum()
                };
                first_best(&means.iter().map(nearness).collect::<Vec<_>>())
            }
        }
    }
}

/// The mean of the rows of each class, all of which have as many.
fn means(rows: &Rows, classes: usize) -> Vec<Vec<f64>> {
    let share = classes as f64 / rows.len() as f64;
    let mut means = vec![vec![0.0; rows.dim]; classes];
    for (row, label) in rows.iter().zip(&rows.labels) {
        let mean = &mut means[*label as usize];
        mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x) * share);
    }
    means
}

/// The mean over draws with its interval.
fn scores(split: Split, found: &[f64]) -> Vec<Score> {
    let mean = found.iter().sum::<f64>() / found.len() as f64;
    let ends = interval(found);
    let all = [
        ("accuracy", Some(mean)),
        ("low_accuracy", ends.map(|(low, _)| low)),
        ("high_accuracy", ends.map(|(_, high)| high)),
    ];
    all.into_iter()
        .filter_map(|(metric, value)| Some(Score { split, metric, value: value? }))
        .collect()
}
