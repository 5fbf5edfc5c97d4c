//! Images in arrays of NumPy's.

use std::path::Path;

use super::Dataset;
use super::division::Drawn;
use super::local::{absent, fault, labels};
use crate::catalog::{Amount, DataPath, DatasetFacts, ImageShape, Labels, Natural};
use crate::component;
use crate::data::folder::{self, Arrays, Defect, Listing, Row};
use crate::data::{DataError, FINE, Images, Raw};

component! {
    /// Images of your own, in arrays that `numpy.savez` wrote.
    ///
    /// `images` is an array of bytes, N × height × width or N × height × width × 3; `labels` has a
    /// whole number for each. Where the file has parts of them called `images_train`,
    /// `images_val` and `images_test`, these are the splits.
    ///
    /// ```exp
    /// edition 1
    /// dataset images = npz(path="images/shapes.npz", val=20%)
    /// experiment use_arrays {
    ///   data = images
    ///   encoder = mlp(widths=[64], out=32)
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 64; for = 5 epochs }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Dataset as dyn Dataset, version 1;
    npz => Npz {
        /// The file, seen from the one this is written in.
        path: DataPath,
        /// The array of images.
        images: String = "images",
        /// The array of labels.
        label: String = "labels",
        /// An array of what cuts across the labels, such as a background.
        group: Option<String> = None,
        /// The labels training sees: `fine`, `group`, or `group({"name" = [class, …]})`.
        labels: Labels = Labels::Column("fine".to_owned()),
        /// The columns whose combinations are the groups; none without them.
        groups: Vec<Labels> = Vec::new(),
        /// What is kept from training for validation; without it the part
        /// `_val`, or else 10%.
        val: Option<Amount> = None,
        /// What is kept for the test split, unless there is a part `_test`.
        test: Amount = Amount::Fraction(0.2),
        /// How much of the remaining images to train on, with the same share of each fine class.
        train: Option<Amount> = None,
        /// How many training images each fine class keeps at most: one number for all, or one for
        /// each fine class.
        subsample: Option<Vec<Natural>> = None,
        ..drawn: Drawn,
    }
}

impl Npz {
    fn arrays(&self) -> Result<(Arrays, Listing), Defect> {
        let place = self.path.place();
        let arrays = folder::npz(&place, &self.images, &self.label, self.group.as_deref())?;
        let row = |(at, (split, label, group)): (usize, &(_, i64, Option<i64>))| Row {
            path: at.to_string(),
            split: *split,
            labels: std::iter::once(*label).chain(*group).map(|it| it.to_string()).collect(),
        };
        let rows = arrays.rows.iter().enumerate().map(row).collect();
        let columns: &[&str] = if self.group.is_some() { &["fine", "group"] } else { &["fine"] };
        let listing = Listing::of_rows(place, columns, rows);
        Ok((arrays, listing))
    }
}

impl Dataset for Npz {
    fn facts(&self, _root: &Path) -> DatasetFacts {
        if !self.path.place().is_file() {
            return absent(&self.path.place());
        }
        match self.arrays() {
            Ok((arrays, listing)) => DatasetFacts {
                image: ImageShape {
                    height: arrays.shape.height,
                    width: arrays.shape.width,
                    channels: arrays.shape.channels,
                },
                digest: arrays.digest,
                ..labels(&listing)
            },
            Err(defect) => DatasetFacts { faults: vec![fault(defect)], ..DatasetFacts::default() },
        }
    }

    fn load(&self, _root: &Path) -> Result<Raw, DataError> {
        let (arrays, listing) = self.arrays()?;
        let (shape, mut splits) = (arrays.shape, Vec::<(_, Images)>::new());
        for (item, pixels) in listing.items.iter().zip(arrays.pixels.chunks_exact(shape.size())) {
            if splits.last().is_none_or(|(split, _)| *split != item.split) {
                let labels = vec![(FINE.to_owned(), Vec::new())];
                let (height, width, channels) = (shape.height, shape.width, shape.channels);
                let images = Images { height, width, channels, pixels: Vec::new(), labels };
                splits.push((item.split, images));
            }
            if let Some((_, images)) = splits.last_mut() {
                images.pixels.extend_from_slice(pixels);
                images.labels[0].1.push(item.class);
            }
        }
        Ok(Raw::of(splits, arrays.digest))
    }
}
