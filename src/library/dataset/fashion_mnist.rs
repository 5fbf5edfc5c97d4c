//! Fashion-MNIST.

use std::path::Path;

use super::division::{Drawn, Kept};
use super::{Dataset, facts_of};
use crate::catalog::{Amount, DatasetFacts, Labels};
use crate::component;
use crate::data::{DataError, Raw, load};

component! {
    /// Fashion-MNIST: 60,000 + 10,000 grey images of 28 × 28 pixels of clothing.
    ///
    /// Xiao, Rasul and Vollgraf (2017), MIT. No coarse labels were published; those here are this
    /// program's, and `group({…})` makes others.
    ///
    /// ```exp
    /// edition 1
    /// dataset images = fashion_mnist(labels=group({"worn" = [0, 1, 2, 3, 4, 6], "carried" = [8], "shoes" = [5, 7, 9]}))
    /// experiment use_fashion {
    ///   data = images
    ///   encoder = mlp(widths=[64], out=32)
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Dataset as dyn Dataset, version 1;
    fashion_mnist => FashionMnist {
        /// The labels training sees: `fine`, `coarse`, or `group({"name" = [class, …]})`.
        labels: Labels = Labels::Column("fine".to_owned()),
        /// What is kept from training for validation, with the same share of each fine class.
        val: Amount = Amount::Fraction(0.1),
        ..kept: Kept,
        ..drawn: Drawn,
    }
}

impl Dataset for FashionMnist {
    fn facts(&self, root: &Path) -> DatasetFacts {
        facts_of("fashion_mnist", root)
    }

    fn load(&self, root: &Path) -> Result<Raw, DataError> {
        load("fashion_mnist", root)
    }
}
