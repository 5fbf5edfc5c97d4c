//! Images that a table lists.

use std::path::Path;

use super::Dataset;
use super::local::{Colors, Corrupt, Wanted, absent, facts, opened, unreadable};
use crate::catalog::{
    Amount, Count, DataPath, DatasetFacts, Draw, Fraction, Labels, Natural, SplitSeed,
};
use crate::component;
use crate::data::folder::{Defect, Listing, Opened, TableColumns, table};
use crate::data::{DataError, Raw};

component! {
    /// Images of your own, listed with their labels in a CSV file.
    ///
    /// Its first line names the columns; `image`, `label`, `coarse`, `group` and `split` say which are
    /// read. The labels are then called `fine`, `coarse` and `group`. Paths of images start from the
    /// folder of the table.
    ///
    /// ```exp
    /// edition 1
    /// dataset images = csv(path="images/birds.csv", label="species", group="place", size=64)
    /// experiment use_table {
    ///   data = images
    ///   encoder = resnet(depth=8, width=16)
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 64; for = 5 epochs }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Dataset as dyn Dataset, version 1;
    csv => Csv {
        /// The table, seen from the file this is written in.
        path: DataPath,
        /// The column with the paths of the images.
        image: String = "image",
        /// The column with the fine labels.
        label: String = "label",
        /// A column with coarser labels.
        coarse: Option<String> = None,
        /// A column with what cuts across the labels, such as a background.
        group: Option<String> = None,
        /// A column that says train, val or test, or 0, 1 or 2; without it the images are divided
        /// here.
        split: Option<String> = None,
        /// The labels training sees: `fine`, `coarse`, `group`, or `group({"name" = [class, …]})`.
        labels: Labels = Labels::Column("fine".to_owned()),
        /// The columns whose combinations are the groups, such as `[fine, group]`; none without them.
        groups: Vec<Labels> = Vec::new(),
        /// Makes squares of this side: the shorter side scaled, the middle cut out; without it all
        /// images have to be of one size.
        size: Option<Count> = None,
        /// What images are turned into.
        color: Colors = Colors::Rgb,
        /// What becomes of an image that cannot be decoded.
        corrupt: Corrupt = Corrupt::Error,
        /// What is kept from training for validation; without it what `split` says, or else 10%.
        val: Option<Amount> = None,
        /// What is kept for the test split, unless `split` says.
        test: Amount = Amount::Fraction(0.2),
        /// How much of the remaining images to train on, with the same share of each fine class.
        train: Option<Amount> = None,
        /// How many training images each fine class keeps at most: one number for all, one for each
        /// fine class of a superclass, or one for each fine class.
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

impl Csv {
    fn wanted(&self) -> Wanted {
        let side = self.size.map(Count::get);
        Wanted { side, colors: self.color, corrupt: self.corrupt, thorough: true }
    }

    fn listing(&self) -> Result<Listing, Defect> {
        let mut labels = vec![("label", self.label.clone(), "fine".to_owned())];
        let coarse = self.coarse.iter().map(|it| ("coarse", it.clone(), "coarse".to_owned()));
        let group = self.group.iter().map(|it| ("group", it.clone(), "group".to_owned()));
        labels.extend(coarse.chain(group));
        let columns = TableColumns { image: self.image.clone(), labels, split: self.split.clone() };
        let path = self.path.place();
        table(&path, path.parent().unwrap_or(Path::new("")), &columns)
    }
}

impl Dataset for Csv {
    fn facts(&self, root: &Path) -> DatasetFacts {
        match self.path.place().is_file() {
            true => facts(self.listing(), &self.wanted(), root),
            false => absent(&self.path.place()),
        }
    }

    fn load(&self, root: &Path) -> Result<Raw, DataError> {
        self.open(root)?.to_raw().map_err(|error| unreadable(&error))
    }

    fn open(&self, root: &Path) -> Result<Opened, DataError> {
        opened(self.listing(), &self.wanted(), root)
    }
}
