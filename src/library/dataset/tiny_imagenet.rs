//! Tiny ImageNet.

use std::path::Path;

use super::Dataset;
use super::division::Drawn;
use super::local::{Colors, Corrupt, Wanted, facts, opened, unreadable};
use super::{expected, published_facts};
use crate::catalog::{Amount, Count, DatasetFacts, Labels, Natural};
use crate::component;
use crate::data::folder::{Opened, published};
use crate::data::{DataError, Raw, describe};

component! {
    /// Tiny ImageNet: 100,000 + 10,000 colour images of 64 × 64 pixels in two hundred classes.
    ///
    /// Le and Yang (2015), in its published layout. The coarse classes are 67 superclasses of ImageNet
    /// by number, of which 52 occur, as in the code of Chen et al. (2022). The published validation
    /// images are the test split here, since those of the test have no labels; the released code
    /// validates on them as well and so chooses its models on the test split, whereas `val` takes
    /// images from training.
    ///
    /// ```exp
    /// edition 1
    /// dataset images = tiny_imagenet(labels=coarse, size=32)
    /// experiment use_tiny {
    ///   data = images
    ///   encoder = resnet(depth=8, width=16)
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Dataset as dyn Dataset, version 1;
    tiny_imagenet => TinyImagenet {
        /// The labels training sees: `fine`, `coarse`, or `group({"name" = [class, …]})`.
        labels: Labels = Labels::Column("fine".to_owned()),
        /// The side of the images: the shorter side scaled, the middle cut out.
        size: Count = 64,
        /// What is kept from training for validation, with the same share of each fine class.
        val: Amount = Amount::Fraction(0.1),
        /// How much of the remaining images to train on, with the same share of each fine class.
        train: Option<Amount> = None,
        /// How many training images each fine class keeps at most: one number for all, or one for
        /// each fine class.
        subsample: Option<Vec<Natural>> = None,
        ..drawn: Drawn,
    }
}

impl TinyImagenet {
    fn wanted(&self) -> Wanted {
        let side = Some(self.size.get());
        Wanted { side, colors: Colors::Rgb, corrupt: Corrupt::Error, thorough: false }
    }
}

impl Dataset for TinyImagenet {
    fn facts(&self, root: &Path) -> DatasetFacts {
        published_facts("tiny_imagenet", root, |known, folder| match folder {
            Some(folder) => facts(published::listing(known, folder), &self.wanted(), root),
            None => expected(known, self.size.get()),
        })
    }

    fn load(&self, root: &Path) -> Result<Raw, DataError> {
        self.open(root)?.to_raw().map_err(|error| unreadable(&error))
    }

    fn open(&self, root: &Path) -> Result<Opened, DataError> {
        let known = describe("tiny_imagenet").expect("each dataset here is described");
        let folder = published::found(known, root)?;
        opened(published::listing(known, &folder), &self.wanted(), root)
    }
}
