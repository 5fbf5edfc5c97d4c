//! Two images one above the other, of which the upper is easy and agrees with the lower's label.

use std::path::Path;

use super::Dataset;
use super::wrapped::{Cut, facts_of_inner, inner, misfit};
use crate::catalog::{
    Amount, ClassMap, DatasetCall, DatasetFacts, Fraction, Labels, Natural, SplitSeed,
};
use crate::component;
use crate::data::{DataError, FINE, Images, Raw, Split};
use crate::digest::sha256;
use crate::seed::Stream;

component! {
    /// An image of one dataset above one of another, whose labels agree most of the time.
    ///
    /// After Shah et al. (2020): the label is the coarse class of the image below, `under`; the image
    /// above, `over`, is of the coarse class with the same id, but for the share `flipped`, where it is
    /// of another; in the test split that share is `flipped_test`. Both have as many coarse classes.
    /// Images are centred on black to the larger width, and grey ones become coloured.
    /// `over` is a label column, and the groups are both coarse classes.
    ///
    /// ```exp
    /// edition 1
    /// dataset images = dominoes(over=digits(), under=digits(), flipped=5%)
    /// experiment use_dominoes {
    ///   data = images
    ///   encoder = mlp(widths=[64], out=32)
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { below = linear(labels=fine); above = linear(labels=over) }
    /// }
    /// ```
    Dataset as dyn Dataset, version 1;
    dominoes => Dominoes {
        /// The easy images, such as `mnist()`.
        over: DatasetCall,
        /// The images that are meant, such as `cifar10()`.
        under: DatasetCall,
        /// The share of training images whose upper half does not agree.
        flipped: Fraction = 0.05,
        /// The same share of a published test split.
        flipped_test: Fraction = 0.5,
        /// The labels training sees: `fine` and `coarse` of the lower image, `over`, or `group({…})`.
        labels: Labels = Labels::Column("coarse".to_owned()),
        /// The columns whose combinations are the groups.
        groups: Vec<Labels> = super::columns(&["coarse", "over"]),
        /// What is kept from training for validation, with the same share of each class.
        val: Amount = Amount::Fraction(0.1),
        ..cut: Cut,
        /// Fixes which images are put together.
        seed: Natural = 0,
        /// Fixes the division for every seed of a sweep; `seed` lets it vary with the seed.
        split_seed: SplitSeed = 42,
    }
}

impl Dominoes {
    fn address(&self, over: &str, under: &str) -> String {
        let Self { flipped, flipped_test, seed, .. } = self;
        let (flipped, flipped_test) = (flipped.get(), flipped_test.get());
        let text = format!("dominoes 1 {over} {under} {flipped} {flipped_test} {}", seed.get());
        sha256(text.as_bytes())
    }

    /// For each image of a split of `under`, the coarse class that is put above it.
    fn partners(&self, known: &DatasetFacts, split: Split, fine: &[u32]) -> Vec<u32> {
        let stream =
            Stream::new(self.seed.get() as u64).named("partners").named(&split.to_string());
        let flipped = if split == Split::Test { self.flipped_test } else { self.flipped };
        let classes = known.coarse.0.len();
        let partner = |(at, fine): (usize, &u32)| {
            let (own, mut stream) = (known.coarse.1[*fine as usize], stream.at(at as u64));
            match stream.uniform() < flipped.get() && classes > 1 {
                true => (own + 1 + stream.below(classes - 1) as u32) % classes as u32,
                false => own,
            }
        };
        fine.iter().enumerate().map(partner).collect()
    }

    fn join(
        &self,
        (over, known_over): (&Images, &DatasetFacts),
        (under, known): (&Images, &DatasetFacts),
        split: Split,
    ) -> Images {
        let classes = known.coarse.0.len();
        let mut of_class = vec![Vec::new(); classes];
        for (at, fine) in over.fine().iter().enumerate() {
            of_class[known_over.coarse.1[*fine as usize] as usize].push(at);
        }
        let stream = Stream::new(self.seed.get() as u64).named("over").named(&split.to_string());
        let width = over.width.max(under.width);
        let partners = self.partners(known, split, under.fine());
        let mut pixels = Vec::new();
        for (at, class) in partners.iter().enumerate() {
            let choice = &of_class[*class as usize];
            let upper = stream.at(at as u64).below(choice.len().max(1));
            if let Some(upper) = choice.get(upper) {
                centred(over, *upper, width, &mut pixels);
            }
            centred(under, at, width, &mut pixels);
        }
        let fine = under.fine().iter().zip(&partners);
        let fine = fine.map(|(id, over)| id * classes as u32 + over).collect();
        let labels = vec![(FINE.to_owned(), fine)];
        Images { height: over.height + under.height, width, channels: 3, pixels, labels }
    }
}

/// Appends an image in colour, in the middle of rows of `width` pixels.
fn centred(images: &Images, index: usize, width: usize, pixels: &mut Vec<u8>) {
    let left = (width - images.width) / 2;
    for row in images.image(index).chunks_exact(images.width * images.channels) {
        pixels.resize(pixels.len() + 3 * left, 0);
        for pixel in row.chunks_exact(images.channels) {
            match pixel {
                [grey] => pixels.extend([*grey; 3]),
                color => pixels.extend(&color[..3]),
            }
        }
        pixels.resize(pixels.len() + 3 * (width - left - images.width), 0);
    }
}

impl Dataset for Dominoes {
    fn facts(&self, root: &Path) -> DatasetFacts {
        let (over, under) = (facts_of_inner(&self.over, root), facts_of_inner(&self.under, root));
        if over.fine.is_empty() {
            return over;
        }
        let fits = over.has_coarse()
            && over.coarse.0.len() == under.coarse.0.len()
            && over.test.is_some() == under.test.is_some()
            && over.image.channels <= 3
            && under.image.channels <= 3;
        if !fits {
            let message = "the two datasets cannot be put together";
            let label = "as many coarse classes, and a published test split in both or in neither";
            return misfit(under, "over", message, label);
        }
        let classes = over.coarse.0.len() as u32;
        let finest = under.fine.len() as u32 * classes;
        let of_under = |of: &[u32]| (0..finest).map(|id| of[(id / classes) as usize]).collect();
        let ids: Vec<u32> = (0..under.fine.len() as u32).collect();
        let fine = ClassMap { names: under.fine.clone(), of_fine: of_under(&ids) };
        let over_map = ClassMap {
            names: over.coarse.0.clone(),
            of_fine: (0..finest).map(|id| id % classes).collect(),
        };
        let name = |name: &String| {
            let above = over.coarse.0.iter();
            above.map(|over| format!("{name} below {over}")).collect::<Vec<_>>()
        };
        let mut image = under.image;
        image.height += over.image.height;
        image.width = image.width.max(over.image.width);
        image.channels = 3;
        DatasetFacts {
            image,
            fine: under.fine.iter().flat_map(name).collect(),
            coarse: (under.coarse.0.clone(), of_under(&under.coarse.1)),
            columns: vec![("fine".to_owned(), fine), ("over".to_owned(), over_map)],
            digest: self.address(&over.digest, &under.digest),
            absent: under.absent.clone().or(over.absent),
            counts: Vec::new(),
            ..under
        }
    }

    fn load(&self, root: &Path) -> Result<Raw, DataError> {
        let (over, under) = (inner(&self.over).load(root)?, inner(&self.under).load(root)?);
        let known = (facts_of_inner(&self.over, root), facts_of_inner(&self.under, root));
        let mut splits = Vec::new();
        for (split, images) in &under.splits {
            if let Some(above) = over.split(*split) {
                let joined = self.join((above, &known.0), (images, &known.1), *split);
                splits.push((*split, joined));
            }
        }
        Ok(Raw::of(splits, self.address(&over.sha256, &under.sha256)))
    }
}
