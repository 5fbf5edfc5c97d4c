//! A dataset in memory, divided into its splits.

use std::path::Path;

use crate::catalog::{ClassMap, ImageShape};
use crate::data::{DataError, Images, Raw, Split as Published};
use crate::library::augment::ChannelStats;
use crate::library::dataset::Dataset;
use crate::library::eval::Split;
use crate::library::{self, Library};
use crate::plan::{Data, Division};
use crate::seed::Stream;

/// All images of a dataset with the indices of each split.
pub struct Pool {
    pub shape: ImageShape,
    /// `images × height × width × channels`, as bytes.
    pixels: Vec<u8>,
    /// The fine class of each image.
    pub fine: Vec<u32>,
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
}

impl Pool {
    /// Reads the dataset of `data` below `root` and divides it as planned.
    pub fn load(data: &Data, library: &Library, root: &Path) -> Result<Self, DataError> {
        let dataset: Box<dyn Dataset> = library::build(&library.datasets, &data.call);
        Ok(Self::new(&dataset.load(root)?, &data.division).grouped(data.groups.as_ref()))
    }

    /// Divides what was read.
    pub fn new(raw: &Raw, division: &Division) -> Self {
        let (mut pixels, mut fine) = (Vec::new(), Vec::new());
        let mut published = Vec::new();
        for (split, images) in &raw.splits {
            let start = fine.len() as u32;
            pixels.extend_from_slice(&images.pixels);
            fine.extend_from_slice(images.fine());
            published.push((*split, start..fine.len() as u32));
        }
        let range =
            |wanted| published.iter().find(|(split, _)| *split == wanted).map(|(_, it)| it.clone());
        let all = range(Published::Pool).or(range(Published::Train)).unwrap_or(0..0);
        let cut = if division.test_is_cut { division.test } else { 0 };
        let sizes = [cut, division.val, division.train];
        let [cut, val, train] = divide(all.collect(), &fine, sizes, division.seed);
        let test = range(Published::Test).map_or(cut, Iterator::collect);
        let shape = shape_of(&raw.splits[0].1);
        let stats = stats(&pixels, shape, &train);
        let content = raw.sha256.clone();
        let (groups, group_names) = (Vec::new(), Vec::new());
        Self { shape, pixels, fine, groups, group_names, train, val, test, stats, content }
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

    /// The bytes of one image.
    pub fn image(&self, index: u32) -> &[u8] {
        let size = self.shape.size();
        &self.pixels[index as usize * size..][..size]
    }
}

fn shape_of(images: &Images) -> ImageShape {
    ImageShape { height: images.height, width: images.width, channels: images.channels }
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
        let quotas = quotas(&left, size);
        let mut part: Vec<u32> = left
            .iter_mut()
            .zip(quotas)
            .flat_map(|(members, quota)| members.split_off(members.len() - quota))
            .collect();
        part.sort_unstable();
        part
    })
}

/// How many of each class to take so that `size` are taken in all (largest remainders).
fn quotas(left: &[Vec<u32>], size: usize) -> Vec<usize> {
    let total: usize = left.iter().map(Vec::len).sum();
    if total == 0 {
        return vec![0; left.len()];
    }
    let mut quotas: Vec<usize> = left.iter().map(|members| members.len() * size / total).collect();
    let mut by_remainder: Vec<usize> = (0..left.len()).collect();
    by_remainder.sort_by_key(|class| {
        std::cmp::Reverse((left[*class].len() * size % total, usize::MAX - class))
    });
    let missing = size - quotas.iter().sum::<usize>();
    for class in by_remainder.into_iter().take(missing) {
        quotas[class] += 1;
    }
    quotas
}

/// Mean and standard deviation of each channel of `indices`, white being 1.
fn stats(pixels: &[u8], shape: ImageShape, indices: &[u32]) -> ChannelStats {
    let channels = shape.channels;
    let mut counts = vec![[0u64; 256]; channels];
    for index in indices {
        let image = &pixels[*index as usize * shape.size()..][..shape.size()];
        for pixel in image.chunks_exact(channels) {
            for (count, value) in counts.iter_mut().zip(pixel) {
                count[usize::from(*value)] += 1;
            }
        }
    }
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
    ChannelStats { mean, std }
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
