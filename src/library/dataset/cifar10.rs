//! CIFAR-10.

use std::path::Path;

use super::division::{Drawn, Kept};
use super::{Dataset, facts_of};
use crate::catalog::{Amount, DatasetFacts, Labels};
use crate::component;
use crate::data::{DataError, Raw, load};

component! {
    /// CIFAR-10: 50,000 + 10,000 colour images of 32 × 32 pixels in ten classes.
    ///
    /// Krizhevsky (2009). The coarse classes are animals and vehicles, as in the paper.
    ///
    /// ```exp
    /// edition 1
    /// dataset images = cifar10(labels=coarse, val=10%)
    /// experiment use_cifar10 {
    ///   data = images
    ///   encoder = mlp(widths=[64], out=32)
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Dataset as dyn Dataset, version 1;
    cifar10 => Cifar10 {
        /// The labels training sees: `fine`, `coarse`, or `group({"name" = [class, …]})`.
        labels: Labels = Labels::Column("fine".to_owned()),
        /// What is kept from training for validation, with the same share of each fine class.
        val: Amount = Amount::Fraction(0.1),
        ..kept: Kept,
        ..drawn: Drawn,
    }
}

impl Dataset for Cifar10 {
    fn facts(&self, root: &Path) -> DatasetFacts {
        facts_of("cifar10", root)
    }

    fn load(&self, root: &Path) -> Result<Raw, DataError> {
        load("cifar10", root)
    }
}
