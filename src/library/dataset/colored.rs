//! Grey images in colours that agree with their label most of the time.

use std::path::Path;

use super::Dataset;
use super::wrapped::{Cut, facts_of_inner, inner};
use crate::catalog::{
    Amount, ClassMap, DatasetCall, DatasetFacts, Fraction, Labels, Natural, SplitSeed,
};
use crate::component;
use crate::data::{DataError, FINE, Images, Raw, Split};
use crate::digest::sha256;
use crate::seed::Stream;

component! {
    /// Another dataset's grey images in two colours that agree with the coarse label most of the time.
    ///
    /// After coloured MNIST (Arjovsky et al., 2019): images of the first half of the coarse classes
    /// are red, of the second half green, but for the share `flipped`, which has the other colour; in
    /// the test split it is `flipped_test`. `color` is a label column, and the groups are the coarse
    /// classes by colour.
    ///
    /// ```exp
    /// edition 1
    /// dataset images = colored(images=digits(), flipped=10%)
    /// experiment use_colored {
    ///   data = images
    ///   encoder = mlp(widths=[64], out=32)
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { digit = linear(labels=fine); color = linear(labels=color) }
    /// }
    /// ```
    Dataset as dyn Dataset, version 1;
    colored => Colored {
        /// The dataset, of one channel; how it is divided is said here instead.
        images: DatasetCall,
        /// The share of training images whose colour does not agree with their label.
        flipped: Fraction = 0.1,
        /// The same share of a published test split.
        flipped_test: Fraction = 0.5,
        /// The labels training sees: `fine`, `coarse`, `color`, or `group({"name" = [class, …]})`.
        labels: Labels = Labels::Column("coarse".to_owned()),
        /// The columns whose combinations are the groups.
        groups: Vec<Labels> = super::columns(&["coarse", "color"]),
        /// What is kept from training for validation, with the same share of each class and colour.
        val: Amount = Amount::Fraction(0.1),
        ..cut: Cut,
        /// Fixes the colours.
        seed: Natural = 0,
        /// Fixes the division for every seed of a sweep; `seed` lets it vary with the seed.
        split_seed: SplitSeed = 42,
    }
}

impl Colored {
    fn address(&self, content: &str) -> String {
        let Self { flipped, flipped_test, seed, .. } = self;
        let (flipped, flipped_test) = (flipped.get(), flipped_test.get());
        sha256(format!("colored 1 {content} {flipped} {flipped_test} {}", seed.get()).as_bytes())
    }

    /// Whether each image of a split is green.
    fn greens(&self, known: &DatasetFacts, split: Split, fine: &[u32]) -> Vec<bool> {
        let stream = Stream::new(self.seed.get() as u64).named("colors").named(&split.to_string());
        let flipped = if split == Split::Test { self.flipped_test } else { self.flipped };
        let half = known.coarse.0.len().div_ceil(2) as u32;
        let green = |(at, fine): (usize, &u32)| {
            let is_second = known.coarse.1[*fine as usize] >= half;
            is_second != (stream.at(at as u64).uniform() < flipped.get())
        };
        fine.iter().enumerate().map(green).collect()
    }
}

impl Dataset for Colored {
    fn facts(&self, root: &Path) -> DatasetFacts {
        let known = facts_of_inner(&self.images, root);
        if known.image.channels > 1 {
            return super::wrapped::misfit(
                known,
                "images",
                "`colored` takes grey images",
                "these have colours",
            );
        }
        if !known.has_coarse() {
            let message = "colours go with coarse classes";
            let label = "these images have none: `digits` has, or a column `csv(coarse=…)`";
            return super::wrapped::misfit(known, "images", message, label);
        }
        let doubled = |of: &[u32]| of.iter().flat_map(|id| [*id; 2]).collect::<Vec<u32>>();
        let mut columns = known.columns.clone();
        columns.retain(|(name, _)| name != "fine");
        columns.iter_mut().for_each(|(_, map)| map.of_fine = doubled(&map.of_fine));
        let ids: Vec<u32> = (0..known.fine.len() as u32).collect();
        let fine = ClassMap { names: known.fine.clone(), of_fine: doubled(&ids) };
        let names = ["red", "green"].map(str::to_owned);
        let colors = (0..2 * ids.len() as u32).map(|id| id % 2).collect();
        columns.push(("fine".to_owned(), fine));
        let color = ClassMap { names: names.to_vec(), of_fine: colors };
        columns.push(("color".to_owned(), color));
        let name = |name: &String| names.clone().map(|color| format!("{color} {name}"));
        let mut image = known.image;
        image.channels = 3;
        DatasetFacts {
            image,
            fine: known.fine.iter().flat_map(name).collect(),
            coarse: (known.coarse.0.clone(), doubled(&known.coarse.1)),
            columns,
            digest: self.address(&known.digest),
            counts: Vec::new(),
            ..known
        }
    }

    fn load(&self, root: &Path) -> Result<Raw, DataError> {
        let raw = inner(&self.images).load(root)?;
        let known = facts_of_inner(&self.images, root);
        let mut splits = Vec::new();
        for (split, images) in &raw.splits {
            let greens = self.greens(&known, *split, images.fine());
            let area = images.size();
            let paint = |(at, value): (usize, &u8)| match greens[at / area] {
                true => [0, *value, 0],
                false => [*value, 0, 0],
            };
            let pixels = images.pixels.iter().enumerate().flat_map(paint).collect();
            let fine = images.fine().iter().zip(&greens);
            let fine = fine.map(|(id, green)| 2 * id + u32::from(*green)).collect();
            let labels = vec![(FINE.to_owned(), fine)];
            splits.push((*split, Images { channels: 3, pixels, labels, ..images.clone() }));
        }
        Ok(Raw::of(splits, self.address(&raw.sha256)))
    }
}
