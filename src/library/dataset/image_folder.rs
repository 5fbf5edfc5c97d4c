//! Images in folders that are named by their classes.

use std::path::Path;

use super::Dataset;
use super::division::{Drawn, Kept};
use super::local::{Squares, absent, facts, opened, unreadable};
use crate::catalog::{Amount, DataPath, DatasetFacts, Labels};
use crate::component;
use crate::data::folder::{self, Opened};
use crate::data::{DataError, Raw};

component! {
    /// Images of your own, in folders named by their classes.
    ///
    /// `CLASS/image.jpg`, or `COARSE/FINE/image.jpg` for two levels of labels; either below folders
    /// `train`, `val` and `test` when the images are divided already. JPEG and PNG are read. The
    /// images are decoded once, into a cache beside the other data; the digest of their content is
    /// part of what identifies a training.
    ///
    /// ```exp
    /// edition 1
    /// dataset images = image_folder(path="images/birds", size=64 px)
    /// experiment use_folder {
    ///   data = images
    ///   encoder = resnet(depth=8, width=16)
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 64; for = 5 epochs }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Dataset as dyn Dataset, version 1;
    image_folder => ImageFolder {
        /// The folder, seen from the file this is written in.
        path: DataPath,
        /// The labels training sees: `fine`, `coarse` where there are two levels, or `group({…})`.
        labels: Labels = Labels::Column("fine".to_owned()),
        /// The columns whose combinations are the groups; none without them.
        groups: Vec<Labels> = Vec::new(),
        ..squares: Squares,
        /// What is kept from training for validation; without it the folder
        /// `val`, or else 10%.
        val: Option<Amount> = None,
        /// What is kept for the test split, unless there is a folder `test`.
        test: Amount = Amount::Fraction(0.2),
        ..kept: Kept,
        ..drawn: Drawn,
    }
}

impl Dataset for ImageFolder {
    fn facts(&self, root: &Path) -> DatasetFacts {
        let place = self.path.place();
        match place.is_dir() {
            true => facts(folder::image_folder(&place), &self.squares.wanted(), root),
            false => absent(&place),
        }
    }

    fn load(&self, root: &Path) -> Result<Raw, DataError> {
        self.open(root)?.to_raw().map_err(|error| unreadable(&error))
    }

    fn open(&self, root: &Path) -> Result<Opened, DataError> {
        opened(folder::image_folder(&self.path.place()), &self.squares.wanted(), root)
    }
}
