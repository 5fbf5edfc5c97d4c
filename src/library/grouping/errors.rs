//! The images that a trained classifier has wrong.

use super::{Found, Grouping, Images, Seen};
use crate::catalog::{Features, Labels};
use crate::component;
use crate::library::eval::{EvalError, Site};

component! {
    /// Two groups: the images that a trained classifier has right, and those that it has wrong.
    ///
    /// The error set of *Just Train Twice* (Liu et al., 2021, arXiv:2107.09044): the training images
    /// that a first, short training by cross-entropy has wrong, of which those are many that go
    /// against what is easy to learn. `on` names the stage with the classifier; the state that it
    /// keeps is asked, images are seen without augmentation, and of equal scores the first counts. The
    /// groups are called `right` and `wrong`; one of them may be empty. Where labels are noisy, those
    /// that training sees count. Images of the validation split are grouped likewise.
    ///
    /// `upweighted` draws those that are wrong more often, which is the paper's second training; no
    /// group label is read.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment just_train_twice {
    ///   data = waterbirds(labels=bird, groups=[bird, background], size=32)
    ///   encoder = resnet(depth=8, width=16)
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 20 epochs }
    ///   stage first { train { for = 2 epochs } }
    ///   stage second {
    ///     groups = errors(on=first)
    ///     train { sampler = upweighted(group="wrong", times=20) }
    ///   }
    ///   eval { birds = classify(on=second) }
    /// }
    /// ```
    Grouping as dyn Grouping, version 1, needs [Labels, Scores], groups names;
    errors => Errors {
        /// The stage that trains the classifier.
        on: Features,
        /// The labels that it guesses.
        labels: Labels = Labels::Declared,
    }
}

fn names(_: &Errors, _: &[String]) -> Vec<String> {
    ["right", "wrong"].map(str::to_owned).to_vec()
}

impl Grouping for Errors {
    fn find(&self, seen: &Seen, _: &mut Site) -> Result<Found, EvalError> {
        let wrong = |images: &Images| {
            let scored = images
                .scored(seen.classes.len())
                .ok_or_else(|| EvalError::Failed("no classifier was trained".to_owned()))?;
            Ok::<_, EvalError>(scored.map(|(row, label)| u32::from(best(row) != label)).collect())
        };
        Ok(Found { train: wrong(&seen.train)?, val: wrong(&seen.val)? })
    }
}

/// The place of the largest score; of equal ones the first.
fn best(scores: &[f32]) -> usize {
    (1..scores.len()).fold(0, |best, at| if scores[at] > scores[best] { at } else { best })
}
