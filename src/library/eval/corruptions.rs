//! Accuracy on corrupted images.

mod draw;
mod filter;
mod kinds;

use rayon::prelude::*;

use self::kinds::{Kind, Severity};
use super::rows::{Rows, accuracy, first_best, trained_scores};
use super::scale::Scale;
use super::{EvalError, Evaluation, FeatureSource, Score, Site, Split, regression};
use crate::catalog::{self, Labels, Misfit, Network, Place, Positive, Several};
use crate::library::augment::Image;
use crate::library::optimizer::AtOnce;
use crate::measure::lbfgs::Lbfgs;
use crate::measure::logistic::Logistic;
use crate::seed::Stream;
use crate::{choice, component};

/// As the defaults of `lbfgs`.
const SEARCH: Lbfgs = Lbfgs { memory: 10, tolerance: 1e-4, iterations: 1000 };

choice! {
    /// What classifies.
    Head {
        /// Logistic regression on the frozen embedding of the training images as they are, as
        /// `linear` with `lbfgs`, standardised.
        Logistic = "logistic",
        /// The classifier that was trained with the encoder, by `cross_entropy` or `group_dro`.
        Trained = "trained",
    }
}

component! {
    /// Accuracy on test images that were corrupted, while training saw none of that.
    ///
    /// Ten of the corruptions of Hendrycks and Dietterich (2019, arXiv:1903.12261), with the strengths
    /// and formulas of the code that made CIFAR-10-C: those that need no other images and no encoder
    /// of JPEG, that is the noises (normal, shot, impulse and speckle), normal and defocus blur, and
    /// brightness, contrast, saturation and pixelation. They are made of the images as they are
    /// stored, before any transform, and written to bytes; the seed's address, the image, the kind
    /// and the severity decide what is drawn. Strengths are those for images of 32 pixels.
    ///
    /// `accuracy` is the mean over the kinds and severities, every kind counting alike;
    /// `clean_accuracy` that on the images as they are; and each kind has its own, a mean over
    /// severities. Kinds that are not asked for are left out, and so is `saturate` of images
    /// without color, which have no saturation; without any kind or severity, all but
    /// `clean_accuracy` is.
    ///
    /// Every kind and severity embeds the test split once more.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment weathered {
    ///   data = digits(labels=coarse)
    ///   encoder = mlp()
    ///   loss { supcon = 0.5 * supcon(temperature=0.5) }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval {
    ///     weather = corruptions(labels=fine)
    ///     blurred = corruptions(labels=fine, kinds=[gaussian_blur, pixelate], severities=[5])
    ///   }
    /// }
    /// ```
    Evaluation as dyn Evaluation, version 1, needs [Embedding, Labels],
        metrics [
            accuracy, clean_accuracy, gaussian_noise_accuracy, shot_noise_accuracy,
            impulse_noise_accuracy, speckle_noise_accuracy, gaussian_blur_accuracy,
            defocus_blur_accuracy, brightness_accuracy, contrast_accuracy, saturate_accuracy,
            pixelate_accuracy
        ],
        splits [test], shown 2, network network;
    corruptions => Corruptions {
        /// The encoder to measure, or several joined.
        on: catalog::Features = catalog::Features::Auto,
        /// The labels to guess.
        labels: Labels = Labels::Column("fine".to_owned()),
        /// The kinds of corruption.
        kinds: Several<Kind> = Kind::ALL,
        /// How strong they are, each from 1 to 5.
        severities: Several<Severity> = Severity::ALL,
        /// What classifies.
        head: Head = Head::Logistic,
        /// How much logistic regression fits the training images rather than keep its weights small.
        c: Positive = 1.0,
    }
}

fn network(_: &Corruptions, place: &Place) -> std::result::Result<Network, Misfit> {
    Ok(Network::new(&[place.dim]).linear(place.classes, true).cross_entropy())
}

impl Evaluation for Corruptions {
    fn evaluate(
        &self,
        source: &mut dyn FeatureSource,
        site: &mut Site,
    ) -> Result<Vec<Score>, EvalError> {
        let classifier = self.classifier(source, site)?;
        let clean = Rows::of(source, Split::Test)?;
        if clean.len() == 0 {
            return Ok(Vec::new());
        }
        let score = |metric, value| Score { split: Split::Test, metric, value };
        let mut scores = vec![score("clean_accuracy", classifier.accuracy(source, clean)?)];
        let mut found = Vec::new();
        let kinds = once(&self.kinds);
        for (at, kind) in kinds.iter().enumerate() {
            let parts = (at as f64, kinds.len() as f64);
            if let Some(value) = self.of_kind(*kind, &classifier, (source, site), parts)? {
                scores.push(score(kind.metric(), value));
                found.push(value);
            }
        }
        if !found.is_empty() {
            let mean = found.iter().sum::<f64>() / found.len() as f64;
            scores.insert(0, score("accuracy", mean));
        }
        Ok(scores)
    }
}

impl Corruptions {
    fn classifier(
        &self,
        source: &mut dyn FeatureSource,
        site: &mut Site,
    ) -> Result<Classifier, EvalError> {
        if self.head == Head::Trained {
            return Ok(Classifier::Trained);
        }
        let mut rows = Rows::of(source, Split::Train)?;
        if rows.len() == 0 {
            return Err(EvalError::Failed("there are no training images to learn from".into()));
        }
        let scale = Scale::of(&rows);
        scale.apply(&mut rows);
        let how = AtOnce { c: self.c.get(), search: SEARCH };
        let model = regression::fit(&rows, source.classes(), &how, site, (0.0, 0.2))?;
        Ok(Classifier::Logistic { scale, model })
    }

    /// The mean accuracy over severities; none where the kind changes no image.
    fn of_kind(
        &self,
        kind: Kind,
        classifier: &Classifier,
        (source, site): (&mut dyn FeatureSource, &mut Site),
        (at, of): (f64, f64),
    ) -> Result<Option<f64>, EvalError> {
        let (mut sum, mut count) = (0.0, 0.0);
        let severities = once(&self.severities);
        for severity in &severities {
            let stream = site.stream.named(kind.metric()).at(severity.get() as u64);
            let corrupt =
                |image: &mut Image, item: u32| corrupt(image, (kind, *severity), &stream, item);
            let features = source.changed(Split::Test, kind.needs_color(), &corrupt)?;
            let Some(features) = features else { return Ok(None) };
            let rows = Rows::check(features, source.classes(), "corrupted test")?;
            sum += classifier.accuracy(source, rows)?;
            count += 1.0;
            site.done(0.2 + 0.8 * (at + count / severities.len() as f64) / of)?;
        }
        Ok((count > 0.0).then(|| sum / count))
    }
}

/// Each of `all` once, in their order.
fn once<T: Copy + PartialEq>(all: &[T]) -> Vec<T> {
    let mut found = Vec::new();
    for it in all {
        if !found.contains(it) {
            found.push(*it);
        }
    }
    found
}

/// Corrupts one image, by its own address.
fn corrupt(image: &mut Image, (kind, severity): (Kind, Severity), stream: &Stream, item: u32) {
    let mut values: Vec<f64> = image.values.iter().map(|it| f64::from(*it)).collect();
    let mut stream = stream.at(u64::from(item));
    kind.corrupt((&mut values, image.shape), severity, &mut stream);
    image.values.iter_mut().zip(values).for_each(|(to, it)| *to = it as f32);
}

/// What guesses.
enum Classifier {
    Logistic { scale: Scale, model: Logistic },
    Trained,
}

impl Classifier {
    fn accuracy(&self, source: &mut dyn FeatureSource, mut rows: Rows) -> Result<f64, EvalError> {
        let guesses: Vec<u32> = match self {
            Self::Logistic { scale, model } => {
                scale.apply(&mut rows);
                let rows = rows.values.par_chunks_exact(rows.dim.max(1));
                rows.map(|row| regression::guess(model, row)).collect()
            }
            Self::Trained => {
                let embedding = rows.tensor()?;
                let scores = trained_scores(source.scores(&embedding)?)?;
                scores.iter().map(|row| first_best(row)).collect()
            }
        };
        Ok(accuracy(&guesses, &rows.labels))
    }
}
