//! CIFAR-100.

use std::path::Path;

use super::division::{Drawn, Kept};
use super::{Dataset, facts_of};
use crate::catalog::{Amount, DatasetFacts, Labels};
use crate::component;
use crate::data::{DataError, Raw, load};

component! {
    /// CIFAR-100: 50,000 + 10,000 colour images of 32 × 32 pixels in a hundred classes.
    ///
    /// Krizhevsky (2009). The coarse classes are its twenty official superclasses.
    /// `subsample=[500, 250, 100, 50, 50]` is CIFAR-100-U of Chen et al. (2022), whose fine classes
    /// are of different sizes within each superclass: 19,000 images with `val=0%`, 18,000 with the
    /// default, which leaves 450 of a class. `draw=released` is what their code does: it draws
    /// with replacement, after the division, in all three splits.
    ///
    /// ```exp
    /// edition 1
    /// dataset images = cifar100(labels=coarse, val=10%)
    /// experiment use_cifar100 {
    ///   data = images
    ///   encoder = mlp(widths=[64], out=32)
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Dataset as dyn Dataset, version 1;
    cifar100 => Cifar100 {
        /// The labels training sees: `fine`, `coarse`, or `group({"name" = [class, …]})`.
        labels: Labels = Labels::Column("fine".to_owned()),
        /// What is kept from training for validation, with the same share of each fine class.
        val: Amount = Amount::Fraction(0.1),
        ..kept: Kept,
        ..drawn: Drawn,
    }
}

impl Dataset for Cifar100 {
    fn facts(&self, root: &Path) -> DatasetFacts {
        facts_of("cifar100", root)
    }

    fn load(&self, root: &Path) -> Result<Raw, DataError> {
        load("cifar100", root)
    }
}
