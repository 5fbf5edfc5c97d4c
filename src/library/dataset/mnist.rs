//! MNIST.

use std::path::Path;

use super::division::{Drawn, Kept};
use super::{Dataset, facts_of};
use crate::catalog::{Amount, DatasetFacts, Labels};
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
        ..kept: Kept,
        ..drawn: Drawn,
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
