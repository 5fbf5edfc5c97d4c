//! CelebA.

use std::path::Path;

use super::Dataset;
use super::local::{Colors, Corrupt, Wanted, facts, fault, labels, opened, unreadable};
use super::{expected_of, published_facts};
use crate::catalog::{Amount, Count, DatasetFacts, Fraction, Labels, SplitSeed};
use crate::component;
use crate::data::folder::{Opened, celeba, celeba_classes, published};
use crate::data::{DataError, Raw, describe};

component! {
    /// CelebA: 202,599 colour images of faces with forty attributes.
    ///
    /// Liu et al. (2015), in its published layout: `img_align_celeba/`, `list_attr_celeba.txt` and
    /// `list_eval_partition.txt`, whose division is used. By default `Blond_Hair` is learned, and few
    /// of the blond are men: the groups are 71,629, 66,874, 22,880 and 1,387 training images. Both
    /// attributes are label columns under their own names, and `fine` is their combination.
    ///
    /// ```exp
    /// edition 1
    /// dataset faces = celeba(labels=Blond_Hair, groups=[Blond_Hair, Male], size=64)
    /// experiment use_celeba {
    ///   data = faces
    ///   encoder = resnet(depth=8, width=16)
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 2 epochs }
    ///   eval { blond = linear(labels=Blond_Hair) }
    /// }
    /// ```
    Dataset as dyn Dataset, version 1;
    celeba => Celeba {
        /// The labels training sees: one of the two attributes, `fine` (both), or `group({…})`;
        /// `coarse` is the first attribute.
        labels: Labels = Labels::Column("coarse".to_owned()),
        /// The columns whose combinations are the groups.
        groups: Vec<Labels> = super::columns(&["fine"]),
        /// The attribute that is learned.
        attribute: String = "Blond_Hair",
        /// The attribute that is hidden.
        hidden: String = "Male",
        /// The side of the images: the shorter side scaled, the middle cut out.
        size: Count = 64,
        /// How much of the training images to train on, with the same share of each group.
        train: Option<Amount> = None,
        /// The share of training images whose label is replaced by another; evaluations see the
        /// true ones.
        label_noise: Fraction = 0.0,
        /// Decides which images `train` and `label_noise` draw; `seed` lets it vary with the seed.
        split_seed: SplitSeed = 42,
    }
}

impl Celeba {
    fn wanted(&self) -> Wanted {
        let side = Some(self.size.get());
        Wanted { side, colors: Colors::Rgb, corrupt: Corrupt::Error, thorough: false }
    }
}

impl Dataset for Celeba {
    fn facts(&self, root: &Path) -> DatasetFacts {
        let (own, hidden) = (&self.attribute, &self.hidden);
        published_facts("celeba", root, |known, folder| match folder {
            Some(folder) => facts(celeba(folder, own, hidden), &self.wanted(), root),
            None => match celeba_classes(own, hidden) {
                Ok(classes) => DatasetFacts {
                    digest: format!("celeba {own} {hidden}"),
                    ..expected_of(known, labels(&classes), self.size.get())
                },
                Err(defect) => {
                    DatasetFacts { faults: vec![fault(defect)], ..DatasetFacts::default() }
                }
            },
        })
    }

    fn load(&self, root: &Path) -> Result<Raw, DataError> {
        self.open(root)?.to_raw().map_err(|error| unreadable(&error))
    }

    fn open(&self, root: &Path) -> Result<Opened, DataError> {
        let known = describe("celeba").expect("each dataset here is described");
        let folder = published::found(known, root)?;
        opened(celeba(&folder, &self.attribute, &self.hidden), &self.wanted(), root)
    }
}
