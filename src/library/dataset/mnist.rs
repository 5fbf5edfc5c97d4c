//! MNIST.

use std::path::Path;

use super::{Dataset, facts_of};
use crate::catalog::{Amount, DatasetFacts, Draw, Fraction, Labels, Natural, SplitSeed};
use crate::component;
use crate::data::{DataError, Raw, load};

component! {
    /// MNIST: 60,000 + 10,000 grey images of 28 × 28 pixels of handwritten digits.
    ///
    /// LeCun, Cortes and Burges. The coarse classes are the digits below five and those from five on,
    /// as in the paper.
    ///
    /// ```exp
    /// edition 1
    /// dataset images = mnist(labels=coarse)
    /// experiment use_mnist {
    ///   data = images
    ///   encoder = mlp(widths=[64], out=32)
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Dataset as dyn Dataset, version 1;
    mnist => Mnist {
        /// The labels training sees: `fine`, `coarse`, or `group({"name" = [class, …]})`.
        labels: Labels = Labels::Column("fine".to_owned()),
        /// What is kept from training for validation, with the same share of each fine class.
        val: Amount = Amount::Fraction(0.1),
        /// How much of the remaining images to train on, with the same share of each fine class.
        train: Option<Amount> = None,
        /// How many training images each fine class keeps at most: one number for all, one for each
        /// fine class of a superclass in order of id, or one for each fine class.
        subsample: Option<Vec<Natural>> = None,
        /// How they are drawn.
        draw: Draw = Draw::Once,
        /// The share of training images whose label is replaced by another; evaluations see the
        /// true ones.
        label_noise: Fraction = 0.0,
        /// Fixes the division for every seed of a sweep; `seed` lets it vary with the seed.
        split_seed: SplitSeed = 42,
    }
}

impl Dataset for Mnist {
    fn facts(&self, root: &Path) -> DatasetFacts {
        let counts = vec![5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949];
        DatasetFacts { counts, ..facts_of("mnist", root) }
    }

    fn load(&self, root: &Path) -> Result<Raw, DataError> {
        load("mnist", root)
    }
}
