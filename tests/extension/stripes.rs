//! A dataset, made rather than read, with groups.

use std::path::Path;

use balance::catalog::{Amount, DatasetFacts, ImageShape, Labels, Natural, SplitSeed};
use balance::component;
use balance::data::{DataError, FINE, Images, Raw, Split, content_digest};
use balance::library::dataset::Dataset;
use balance::seed::Stream;

component! {
    /// Stripes on grey images of 8 × 8: upright or level ones, bright or dark, one in ten of them
    /// bright and level.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment striped {
    ///   data = stripes(labels=coarse, groups=[fine])
    ///   encoder = mlp(widths=[32], out=8)
    ///   loss { class = cross_entropy() }
    ///   train {
    ///     optimizer = adamw(lr=1e-3)
    ///     sampler = balanced(by=group)
    ///     batch = 32
    ///     for = 5 epochs
    ///   }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Dataset as dyn Dataset, version 1;
    stripes => Stripes {
        /// The labels training sees: `fine` (way and brightness) or `coarse` (way).
        labels: Labels = Labels::Column("fine".to_owned()),
        /// The label columns that make its groups.
        groups: Vec<Labels> = Vec::new(),
        /// The seed of the images.
        seed: Natural = 0,
        /// What is kept from training for validation.
        val: Amount = Amount::Fraction(0.1),
        /// What is kept for the test split.
        test: Amount = Amount::Fraction(0.25),
        /// Fixes the division for every seed of a sweep.
        split_seed: SplitSeed = 42,
    }
}

const IMAGES: usize = 400;
/// Of each ten images, those of each fine class.
const CLASSES: [u32; 10] = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3];

impl Stripes {
    fn images(&self) -> Vec<(Split, Images)> {
        let fine: Vec<u32> = (0..IMAGES).map(|at| CLASSES[at % 10]).collect();
        let mut stream = Stream::new(self.seed.get() as u64).named("stripes");
        let mut pixels = Vec::new();
        for class in &fine {
            let (phase, light) = (stream.below(4), if class % 2 == 1 { 255.0 } else { 120.0 });
            for (row, column) in (0..64).map(|at| (at / 8, at % 8)) {
                let place = if *class < 2 { column } else { row };
                let stripe = if (place + phase) % 4 < 2 { light } else { 20.0 };
                pixels.push((stripe + 15.0 * stream.normal()).clamp(0.0, 255.0) as u8);
            }
        }
        let labels = vec![(FINE.to_owned(), fine)];
        vec![(Split::Pool, Images { height: 8, width: 8, channels: 1, pixels, labels })]
    }
}

impl Dataset for Stripes {
    fn facts(&self, _root: &Path) -> DatasetFacts {
        let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect();
        DatasetFacts {
            image: ImageShape { height: 8, width: 8, channels: 1 },
            fine: names(&["upright_dark", "upright_bright", "level_dark", "level_bright"]),
            coarse: (names(&["upright", "level"]), vec![0, 0, 1, 1]),
            train: IMAGES,
            counts: [3, 3, 3, 1].map(|share| share * IMAGES / 10).to_vec(),
            digest: format!("stripes {}", self.seed.get()),
            ..DatasetFacts::default()
        }
    }

    fn load(&self, _root: &Path) -> Result<Raw, DataError> {
        let splits = self.images();
        let digest = content_digest(&splits);
        Ok(Raw::of(splits, digest))
    }
}
