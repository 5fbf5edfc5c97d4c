//! Small digits, part of the program.

use std::path::Path;

use super::division::{Drawn, Kept};
use super::{Dataset, facts_of};
use crate::catalog::{Amount, DatasetFacts, Labels};
use crate::component;
use crate::data::{DataError, Raw, load};

component! {
    /// Handwritten digits: 1,797 real grey images of 8 × 8 pixels, part of this program.
    ///
    /// UCI optical recognition of handwritten digits (Alpaydin and Kaynak, 1998), its test part, CC BY
    /// 4.0. Ten fine classes; the coarse ones are the digits below five and those from five on. There
    /// is no published division: `test` is cut from the whole.
    ///
    /// ```exp
    /// edition 1
    /// dataset images = digits(labels=coarse, test=25%)
    /// experiment use_digits {
    ///   data = images
    ///   encoder = mlp(widths=[64], out=32)
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Dataset as dyn Dataset, version 1;
    digits => Digits {
        /// The labels training sees: `fine`, `coarse`, or `group({"name" = [class, …]})`.
        labels: Labels = Labels::Column("fine".to_owned()),
        /// What is kept from training for validation, with the same share of each fine class.
        val: Amount = Amount::Fraction(0.1),
        /// What is kept for the test split, with the same share of each fine class.
        test: Amount = Amount::Fraction(0.25),
        ..kept: Kept,
        ..drawn: Drawn,
    }
}

impl Dataset for Digits {
    fn facts(&self, root: &Path) -> DatasetFacts {
        let counts = vec![178, 182, 177, 183, 181, 182, 181, 179, 174, 180];
        DatasetFacts { counts, ..facts_of("digits", root) }
    }

    fn load(&self, root: &Path) -> Result<Raw, DataError> {
        load("digits", root)
    }
}
