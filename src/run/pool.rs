//! A dataset in memory, divided into its splits.

use std::borrow::Cow;
use std::io;
use std::path::Path;

use rayon::prelude::*;

use crate::catalog::{ClassMap, ImageShape, Subsample, shares};
use crate::data::folder::{Opened, Pixels, Shape};
use crate::data::{DataError, Fault, Split as Published};
use crate::library::augment::ChannelStats;
use crate::library::dataset::Dataset;
use crate::library::eval::Split;
use crate::library::{self, Library};
use crate::plan::Data;
use crate::seed::Stream;

/// All images of a dataset with the indices of each split.
pub struct Pool {
    pub shape: ImageShape,
    pixels: Pixels,
    /// The fine class of each image.
    pub fine: Vec<u32>,
    /// The same as training sees it: some training images have another where labels are noisy.
    pub observed: Vec<u32>,
    /// The group of each image; empty when the dataset names no groups.
    pub groups: Vec<u32>,
    /// The names of the groups, in order of id.
    pub group_names: Vec<String>,
    train: Vec<u32>,
    val: Vec<u32>,
    test: Vec<u32>,
    /// Over the training images.
    pub stats: ChannelStats,
    /// SHA-256 of the content that was read.
    pub content: String,
    #[cfg(feature = "cuda")]
    resident: super::resident::Resident,
}

impl Pool {
    /// Reads the dataset of `data` below `root` and divides it as planned.
    pub fn load(data: &Data, library: &Library, root: &Path) -> Result<Self, DataError> {
        let dataset: Box<dyn Dataset> = library::build(&library.datasets, &data.call);
        let opened = dataset.open(root)?;
        let refused = |error: io::Error| {
            DataError::new(Fault::Refused, format!("decoded images cannot be read: {error}"))
        };
        let pool = Self::divided(opened, data).map_err(refused)?;
        Ok(pool.with_noise(data).grouped(data.groups.as_ref()))
    }

    /// Divides what was read.
    fn divided(opened: Opened, data: &Data) -> io::Result<Self> {
        let division = &data.division;
        let all = opened.split(Published::Pool).or(opened.split(Published::Train));
        let cut = if division.test_is_cut { division.test } else { 0 };
        let val = if division.val_is_published { 0 } else { division.val };
        let all = all.unwrap_or_default().to_vec();
        let rest = match &data.subsample {
            Some(_) => all.len() - cut - val,
            None => division.train,
        };
        let [cut, val, train] = divide(all, &opened.fine, [cut, val, rest], division.seed);
        let published = |split| opened.split(split).map(<[u32]>::to_vec);
        let test = published(Published::Test).unwrap_or(cut);
        let val = match division.val_is_published {
            true => published(Published::Val).unwrap_or_default(),
            false => val,
        };
        let [train, val, test] = match &data.subsample {
            Some(asked) => subsampled([train, val, test], &opened.fine, asked, division.seed),
            None => [train, val, test],
        };
        let Shape { height, width, channels } = opened.shape;
        let shape = ImageShape { height, width, channels };
        let stats = stats(&opened.pixels, shape, &train)?;
        let Opened { pixels, fine, sha256: content, .. } = opened;
        let (observed, groups, group_names) = (fine.clone(), Vec::new(), Vec::new());
        Ok(Self {
            shape,
            pixels,
            fine,
            observed,
            groups,
            group_names,
            train,
            val,
            test,
            stats,
            content,
            #[cfg(feature = "cuda")]
            resident: super::resident::Resident::default(),
        })
    }

    /// The same with some training labels replaced, as `data` asks: by another class of the labels
    /// that training sees, each as likely as the others.
    fn with_noise(mut self, data: &Data) -> Self {
        let classes = &data.classes;
        let count = classes.names.len();
        if data.label_noise == 0.0 || count < 2 {
            return self;
        }
        let mut members = vec![Vec::new(); count];
        for (fine, class) in classes.of_fine.iter().enumerate() {
            members[*class as usize].push(fine as u32);
        }
        let stream = Stream::new(data.division.seed).named("label noise");
        let changed = (data.label_noise * self.train.len() as f64).round() as usize;
        let order = stream.named("which").permutation(self.train.len());
        for at in order.into_iter().take(changed) {
            let item = self.train[at as usize];
            let mut stream = stream.at(u64::from(item));
            let own = classes.of_fine[self.fine[item as usize] as usize] as usize;
            let other = &members[(own + 1 + stream.below(count - 1)) % count];
            if !other.is_empty() {
                self.observed[item as usize] = other[stream.below(other.len())];
            }
        }
        self
    }

    /// The same with the group of each image.
    fn grouped(self, groups: Option<&ClassMap>) -> Self {
        let Some(groups) = groups else { return self };
        Self {
            groups: self.fine.iter().map(|fine| groups.of_fine[*fine as usize]).collect(),
            group_names: groups.names.clone(),
            ..self
        }
    }

    /// The indices of a split's images.
    pub fn indices(&self, split: Split) -> &[u32] {
        match split {
            Split::Train => &self.train,
            Split::Val => &self.val,
            Split::Test => &self.test,
        }
    }

    /// The group of each image of a split, as the dataset names groups; empty where it names none.
    pub fn groups_of(&self, split: Split) -> Vec<u32> {
        self.indices(split).iter().filter_map(|at| self.groups.get(*at as usize)).copied().collect()
    }

    /// The fine class of each image of a split.
    pub fn fine_of(&self, split: Split) -> Vec<u32> {
        self.indices(split).iter().map(|at| self.fine[*at as usize]).collect()
    }

    /// The fine class of each image of a split as training sees it.
    pub fn observed_of(&self, split: Split) -> Vec<u32> {
        self.indices(split).iter().map(|at| self.observed[*at as usize]).collect()
    }

    /// The bytes of one image.
    ///
    /// # Errors
    /// When the file that decoded images are kept in cannot be read.
    pub fn image(&self, index: u32) -> io::Result<Cow<'_, [u8]>> {
        self.pixels.image(index as usize, self.shape.size())
    }

    /// All images as bytes on a card, if they are not too many for it.
    ///
    /// # Errors
    /// When they cannot be read or copied there.
    #[cfg(feature = "cuda")]
    pub fn resident(
        &self,
        card: &candle_core::Device,
    ) -> candle_core::Result<Option<candle_core::Tensor>> {
        self.resident.on(card, self)
    }

    /// Gives up the images on a card.
    #[cfg(feature = "cuda")]
    pub fn forget(&self, card: &candle_core::Device) {
        self.resident.forget(card);
    }
}

/// The images of each split that are kept.
fn subsampled(splits: [Vec<u32>; 3], fine: &[u32], asked: &Subsample, seed: u64) -> [Vec<u32>; 3] {
    let stream = Stream::new(seed).named("subsample");
    let mut at = 0;
    splits.map(|items| {
        let stream = stream.at(at);
        at += 1;
        let is_train = at == 1;
        match (is_train || asked.with_replacement) && !items.is_empty() {
            true => some_of_each(&items, fine, asked, &stream),
            false => items,
        }
    })
}

fn some_of_each(items: &[u32], fine: &[u32], asked: &Subsample, stream: &Stream) -> Vec<u32> {
    let mut members = vec![Vec::new(); asked.most.len()];
    for item in items {
        members[asked.fine[fine[*item as usize] as usize] as usize].push(*item);
    }
    let mut kept = Vec::new();
    for (class, (members, most)) in members.iter().zip(&asked.most).enumerate() {
        let mut stream = stream.at(class as u64);
        if asked.with_replacement && !members.is_empty() {
            kept.extend((0..*most).map(|_| members[stream.below(members.len())]));
        } else if !asked.with_replacement {
            let order = stream.permutation(members.len());
            kept.extend(order.iter().take(*most).map(|at| members[*at as usize]));
        }
    }
    kept.sort_unstable();
    kept
}

/// Takes `sizes` images from `all` for each part in turn, each part with the shares of the fine
/// classes that are left, exact to one image a class; in ascending order within a part.
fn divide<const N: usize>(
    all: Vec<u32>,
    fine: &[u32],
    sizes: [usize; N],
    seed: u64,
) -> [Vec<u32>; N] {
    let classes = all.iter().map(|index| fine[*index as usize] + 1).max().unwrap_or(0) as usize;
    let stream = Stream::new(seed).named("split");
    let mut left: Vec<Vec<u32>> = (0..classes)
        .map(|class| {
            let members: Vec<u32> = all
                .iter()
                .copied()
                .filter(|index| fine[*index as usize] as usize == class)
                .collect();
            let order = stream.at(class as u64).permutation(members.len());
            order.into_iter().map(|at| members[at as usize]).collect()
        })
        .collect();
    sizes.map(|size| {
        let counts: Vec<usize> = left.iter().map(Vec::len).collect();
        let quotas = shares(&counts, size);
        let mut part: Vec<u32> = left
            .iter_mut()
            .zip(quotas)
            .flat_map(|(members, quota)| members.split_off(members.len() - quota))
            .collect();
        part.sort_unstable();
        part
    })
}

/// Mean and standard deviation of each channel of `indices`, white being 1.
fn stats(pixels: &Pixels, shape: ImageShape, indices: &[u32]) -> io::Result<ChannelStats> {
    let channels = shape.channels;
    let none = || vec![[0u64; 256]; channels];
    let count = |mut counts: Vec<[u64; 256]>, index: &u32| -> io::Result<_> {
        let image = pixels.image(*index as usize, shape.size())?;
        for pixel in image.chunks_exact(channels) {
            for (count, value) in counts.iter_mut().zip(pixel) {
                count[usize::from(*value)] += 1;
            }
        }
        Ok(counts)
    };
    // Counts are whole numbers, so that their sum does not depend on the order.
    let counts = indices.par_iter().try_fold(none, count).try_reduce(none, |mut a, b| {
        let pairs = a.iter_mut().flatten().zip(b.iter().flatten());
        pairs.for_each(|(a, b)| *a += b);
        Ok(a)
    })?;
    let (mut mean, mut std) = (Vec::new(), Vec::new());
    for count in &counts {
        let n = count.iter().sum::<u64>().max(1) as f64;
        let moment = |power: i32| {
            let sum: f64 = count
                .iter()
                .enumerate()
                .map(|(at, n)| *n as f64 * (at as f64 / 255.0).powi(power))
                .sum();
            sum / n
        };
        let average = moment(1);
        mean.push(average as f32);
        // A channel that never varies is only centred.
        let spread = (moment(2) - average * average).max(0.0).sqrt();
        std.push(if spread > 1e-8 { spread as f32 } else { 1.0 });
    }
    Ok(ChannelStats { mean, std })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_disjoint_exact_and_stratified() {
        let fine: Vec<u32> = (0..1000).map(|i| if i % 10 < 7 { 0 } else { 1 + i % 2 }).collect();
        let [a, b, c] = divide((0..1000).collect(), &fine, [100, 33, 500], 42);
        assert_eq!((a.len(), b.len(), c.len()), (100, 33, 500));
        let mut all: Vec<u32> = a.iter().chain(&b).chain(&c).copied().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 633);
        assert_eq!(a.iter().filter(|index| fine[**index as usize] == 0).count(), 70);
        assert_eq!(a, divide((0..1000).collect(), &fine, [100, 33, 500], 42)[0]);
        assert_ne!(a, divide((0..1000).collect(), &fine, [100, 33, 500], 43)[0]);
    }
}
