//! ISIC.

use std::path::Path;

use super::Dataset;
use super::local::{Colors, Corrupt, Wanted, facts, opened, unreadable};
use super::{expected, published_facts};
use crate::catalog::{Amount, Count, DatasetFacts, Fraction, Labels, SplitSeed};
use crate::component;
use crate::data::folder::{Opened, published};
use crate::data::{DataError, Raw, describe};

component! {
    /// ISIC: colour images of skin lesions, benign or malignant, some with a patch beside them.
    ///
    /// `metadata.csv` with the columns `isic_id`, `benign_malignant` and `patch` (0 or 1), and the
    /// images as `images/ISIC_0000000.jpg`; lesions that are neither are left out. Coloured patches
    /// occur beside benign lesions only, so that the groups are three: benign without a patch, benign
    /// with one, malignant. There is no published division.
    ///
    /// ```exp
    /// edition 1
    /// dataset lesions = isic(labels=diagnosis, groups=[diagnosis, patch], size=64)
    /// experiment use_isic {
    ///   data = lesions
    ///   encoder = resnet(depth=8, width=16)
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 64; for = 5 epochs }
    ///   eval { kind = linear(labels=diagnosis) }
    /// }
    /// ```
    Dataset as dyn Dataset, version 1;
    isic => Isic {
        /// The labels training sees: `diagnosis`, `patch`, `fine` (both), or `group({…})`.
        labels: Labels = Labels::Column("diagnosis".to_owned()),
        /// The columns whose combinations are the groups.
        groups: Vec<Labels> = super::columns(&["diagnosis", "patch"]),
        /// The side of the images: the shorter side scaled, the middle cut out.
        size: Count = 64,
        /// What is kept from training for validation, with the same share of each group.
        val: Amount = Amount::Fraction(0.1),
        /// What is kept for the test split, with the same share of each group.
        test: Amount = Amount::Fraction(0.2),
        /// How much of the remaining images to train on, with the same share of each group.
        train: Option<Amount> = None,
        /// The share of training images whose label is replaced by another; evaluations see the
        /// true ones.
        label_noise: Fraction = 0.0,
        /// Fixes the division for every seed of a sweep; `seed` lets it vary with the seed.
        split_seed: SplitSeed = 42,
    }
}

impl Isic {
    fn wanted(&self) -> Wanted {
        let side = Some(self.size.get());
        Wanted { side, colors: Colors::Rgb, corrupt: Corrupt::Error, thorough: false }
    }
}

impl Dataset for Isic {
    fn facts(&self, root: &Path) -> DatasetFacts {
        published_facts("isic", root, |known, folder| match folder {
            Some(folder) => facts(published::listing(known, folder), &self.wanted(), root),
            None => expected(known, self.size.get()),
        })
    }

    fn load(&self, root: &Path) -> Result<Raw, DataError> {
        self.open(root)?.to_raw().map_err(|error| unreadable(&error))
    }

    fn open(&self, root: &Path) -> Result<Opened, DataError> {
        let known = describe("isic").expect("each dataset here is described");
        let folder = published::found(known, root)?;
        opened(published::listing(known, &folder), &self.wanted(), root)
    }
}
