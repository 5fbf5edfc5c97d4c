//! How far the classes are from neural collapse.

use candle_core::{Device, Tensor};

use super::rows::{Rows, accuracy, first_best};
use super::{EvalError, Evaluation, FeatureSource, Score, Site, Split};
use crate::catalog::{self, Labels, Misfit, Network, Place};
use crate::component;
use crate::measure::neural_collapse::Classes;

component! {
    /// How far the embeddings of the classes are from neural collapse.
    ///
    /// `cdnv` is the class-distance normalised variance (Galanti et al., 2021): the mean over pairs
    /// of classes of the mean of their variances over the squared distance of their means. The
    /// others are the four properties of Papyan et al. (2020), each 0 at collapse but for the last:
    /// `nc1` is `Tr(Σ_W Σ_B⁺) / K`, the variance within classes over that between their means;
    /// `nc2_norms` the standard deviation of the distances of the means to their centre over the
    /// mean distance, `nc2_angles` the standard deviation of the cosines between the means as seen
    /// from their centre, and `nc2_simplex` the mean distance of these from `-1/(K-1)`; `nc3` the
    /// squared distance of the classifier's weights from the means, both scaled to length one; `nc4`
    /// the share of images that the classifier gives to the class whose mean is nearest. The
    /// classifier is that of a `cross_entropy` term on the same labels; without one, or with several
    /// encoders joined, `nc3` and `nc4` are left out.
    ///
    /// `nearest_mean_accuracy` is the share of images whose class is that of the nearest mean. The
    /// means that `nc4` and it look for are those of the training images; all else is of the images
    /// of a split. The centre is the mean of the means. What needs two classes, or means that are
    /// apart by more than the rounding of single-precision numbers, is left out where it has not.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment collapsing {
    ///   data = digits(labels=coarse)
    ///   encoder = mlp()
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { nc = collapse(labels=coarse) }
    /// }
    /// ```
    Evaluation as dyn Evaluation, version 1, needs [Embedding, Labels],
        metrics [cdnv, nc1, nc2_norms, nc2_angles, nc2_simplex, nc3, nc4, nearest_mean_accuracy],
        network network;
    collapse => Collapse {
        /// The encoder to measure.
        on: catalog::Features = catalog::Features::Auto,
        /// Which labels say what a class is.
        labels: Labels = Labels::Declared,
        /// Whether embeddings are first scaled to length one.
        normalize: bool = false,
    }
}

fn network(_: &Collapse, place: &Place) -> std::result::Result<Network, Misfit> {
    Ok(Network::new(&[place.dim]).compared_with(2 * place.classes))
}

impl Evaluation for Collapse {
    fn evaluate(
        &self,
        source: &mut dyn FeatureSource,
        site: &mut Site,
    ) -> Result<Vec<Score>, EvalError> {
        let classes = source.classes();
        let train = Rows::of(source, Split::Train)?.scaled(self.normalize);
        let learned = Classes::of(&train.table(), &train.labels, classes);
        let mut scores = Vec::new();
        for (n, split) in Split::ALL.into_iter().enumerate() {
            let raw = Rows::of(source, split)?;
            if raw.len() > 0 {
                let guesses = decided(source, &raw)?;
                let rows = raw.scaled(self.normalize);
                let own = Classes::of(&rows.table(), &rows.labels, classes);
                let mut measured = within_and_between(&own, &rows);
                if let Some(weights) = weights(source, rows.dim)? {
                    measured.push(("nc3", own.duality(&weights)));
                }
                measured.extend(by_means(&learned, &rows, guesses.as_deref()));
                scores.extend(
                    measured
                        .into_iter()
                        .filter_map(|(metric, value)| Some(Score { split, metric, value: value? })),
                );
            }
            site.done((n + 1) as f64 / Split::ALL.len() as f64)?;
        }
        Ok(scores)
    }
}

/// A number under its name, if it is defined.
type Named = (&'static str, Option<f64>);

fn within_and_between(classes: &Classes, rows: &Rows) -> Vec<Named> {
    let angles = classes.angles();
    vec![
        ("cdnv", classes.cdnv()),
        ("nc1", classes.within_over_between(&rows.table(), &rows.labels)),
        ("nc2_norms", classes.norm_variation()),
        ("nc2_angles", angles.map(|(deviation, _)| deviation)),
        ("nc2_simplex", angles.map(|(_, distance)| distance)),
    ]
}

/// What the means of the training images say of `rows`, beside what the classifier does.
fn by_means(learned: &Classes, rows: &Rows, guesses: Option<&[u32]>) -> Vec<Named> {
    if learned.means.is_empty() {
        return Vec::new();
    }
    let nearest = learned.nearest(&rows.table());
    vec![
        ("nc4", guesses.map(|guesses| accuracy(guesses, &nearest))),
        ("nearest_mean_accuracy", Some(accuracy(&nearest, &rows.labels))),
    ]
}

/// The classifier's class of each row; of equal scores the first counts.
fn decided(source: &mut dyn FeatureSource, rows: &Rows) -> Result<Option<Vec<u32>>, EvalError> {
    let embedding = Tensor::from_slice(&rows.values, (rows.len(), rows.dim), &Device::Cpu)?;
    let Some(scores) = source.scores(&embedding)? else { return Ok(None) };
    Ok(Some(scores.to_vec2::<f32>()?.into_iter().map(|row| first_best(&row)).collect()))
}

/// The weights of the classifier, a row for each class: what a step along each dimension adds to
/// the scores.
fn weights(source: &mut dyn FeatureSource, dim: usize) -> Result<Option<Vec<Vec<f64>>>, EvalError> {
    let mut steps = vec![0f32; (dim + 1) * dim];
    (0..dim).for_each(|at| steps[at * dim + at] = 1.0);
    let steps = Tensor::from_vec(steps, (dim + 1, dim), &Device::Cpu)?;
    let Some(scores) = source.scores(&steps)? else { return Ok(None) };
    let scores = scores.to_vec2::<f32>()?;
    let (still, moved) = scores.split_last().expect("the last step is none");
    let of_class = |class: usize| {
        moved.iter().map(|row| f64::from(row[class]) - f64::from(still[class])).collect()
    };
    Ok(Some((0..still.len()).map(of_class).collect()))
}
