//! Waterbirds.

use std::path::Path;

use super::Dataset;
use super::local::{Colors, Corrupt, Wanted, facts, opened, unreadable};
use super::{expected, published_facts};
use crate::catalog::{Amount, Count, DatasetFacts, Fraction, Labels, SplitSeed};
use crate::component;
use crate::data::folder::{Opened, published};
use crate::data::{DataError, Raw, describe};

component! {
    /// Waterbirds: 11,788 colour images of birds of land and of water, before land or water.
    ///
    /// Sagawa et al. (2020). Most landbirds are shown before land and most waterbirds before water:
    /// 3,498, 184, 56 and 1,057 training images are of a landbird before land, a landbird before
    /// water, a waterbird before land and a waterbird before water; validation and test images of a
    /// kind are divided evenly between both. `bird` is the label, `background` what misleads, and
    /// `fine` the 200 species. The division is the published one.
    ///
    /// ```exp
    /// edition 1
    /// dataset images = waterbirds(labels=bird, groups=[bird, background], size=64)
    /// experiment use_waterbirds {
    ///   data = images
    ///   encoder = resnet(depth=8, width=16)
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { bird = linear(labels=bird); place = linear(labels=background) }
    /// }
    /// ```
    Dataset as dyn Dataset, version 1;
    waterbirds => Waterbirds {
        /// The labels training sees: `bird`, `background`, `fine` or `group({"name" = [class, …]})`.
        labels: Labels = Labels::Column("bird".to_owned()),
        /// The columns whose combinations are the groups.
        groups: Vec<Labels> = super::columns(&["bird", "background"]),
        /// The side of the images: the shorter side scaled, the middle cut out.
        size: Count = 64,
        /// How much of the training images to train on, with the same share of each fine class.
        train: Option<Amount> = None,
        /// The share of training images whose label is replaced by another; evaluations see the
        /// true ones.
        label_noise: Fraction = 0.0,
        /// Decides which images `train` and `label_noise` draw; `seed` lets it vary with the seed.
        split_seed: SplitSeed = 42,
    }
}

impl Waterbirds {
    fn wanted(&self) -> Wanted {
        let side = Some(self.size.get());
        Wanted { side, colors: Colors::Rgb, corrupt: Corrupt::Error, thorough: false }
    }
}

impl Dataset for Waterbirds {
    fn facts(&self, root: &Path) -> DatasetFacts {
        published_facts("waterbirds", root, |known, folder| match folder {
            Some(folder) => facts(published::listing(known, folder), &self.wanted(), root),
            None => expected(known, self.size.get()),
        })
    }

    fn load(&self, root: &Path) -> Result<Raw, DataError> {
        self.open(root)?.to_raw().map_err(|error| unreadable(&error))
    }

    fn open(&self, root: &Path) -> Result<Opened, DataError> {
        let known = describe("waterbirds").expect("each dataset here is described");
        let folder = published::found(known, root)?;
        opened(published::listing(known, &folder), &self.wanted(), root)
    }
}
