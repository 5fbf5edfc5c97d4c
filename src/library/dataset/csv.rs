//! Images that a table lists.

use std::path::Path;

use super::Dataset;
use super::division::{Drawn, Kept};
use super::local::{Squares, absent, facts, opened, unreadable};
use crate::catalog::{Amount, DataPath, DatasetFacts, Labels};
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
    /// dataset images = csv(path="images/birds.csv", label="species", group="place", size=64 px)
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
        ..squares: Squares,
        /// What is kept from training for validation; without it what `split` says, or else 10%.
        val: Option<Amount> = None,
        /// What is kept for the test split, unless `split` says.
        test: Amount = Amount::Fraction(0.2),
        ..kept: Kept,
        ..drawn: Drawn,
    }
}

impl Csv {
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
            true => facts(self.listing(), &self.squares.wanted(), root),
            false => absent(&self.path.place()),
        }
    }

    fn load(&self, root: &Path) -> Result<Raw, DataError> {
        self.open(root)?.to_raw().map_err(|error| unreadable(&error))
    }

    fn open(&self, root: &Path) -> Result<Opened, DataError> {
        opened(self.listing(), &self.squares.wanted(), root)
    }
}
