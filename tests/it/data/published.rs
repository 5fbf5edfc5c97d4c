//! What is declared of the real datasets agrees with itself, and with the one that is built in.

use std::collections::BTreeSet;
use std::path::Path;

use balance::data::{
    Archive, COARSE, Description, Layout, Presence, Source, Split, all, describe, load, presence,
};

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[test]
fn names_are_unique_and_found() {
    let names: BTreeSet<&str> = all().iter().map(|description| description.name).collect();
    assert_eq!(names.len(), all().len());
    assert!(all().iter().all(|&each| describe(each.name) == Some(each)));
    assert_eq!(describe("MNIST"), None);
}

#[test]
fn every_superclass_has_classes() {
    for description in all() {
        let coarse = description.coarse;
        assert_eq!(coarse.of.len(), description.classes.len(), "{}", description.name);
        let used: BTreeSet<usize> = coarse.of.iter().map(|&id| usize::from(id)).collect();
        assert_eq!(used, (0..coarse.classes.len()).collect(), "{}", description.name);
        let distinct: BTreeSet<_> = description.classes.iter().collect();
        assert_eq!(distinct.len(), description.classes.len(), "{}", description.name);
    }
    let cifar100 = describe("cifar100").unwrap();
    for superclass in 0..20 {
        assert_eq!(cifar100.coarse.of.iter().filter(|&&id| id == superclass).count(), 5);
    }
}

#[test]
fn superclasses_hold_what_they_are_called() {
    let holds = |name: &str, superclass: &str| -> Vec<&str> {
        let description = describe(name).unwrap();
        let of = |id: &&u8| description.coarse.classes[usize::from(**id)] == superclass;
        let pairs = description.coarse.of.iter().zip(description.classes);
        pairs.filter(|(id, _)| of(id)).map(|(_, class)| *class).collect()
    };
    assert_eq!(holds("cifar10", "vehicle"), ["airplane", "automobile", "ship", "truck"]);
    assert_eq!(holds("mnist", "below_5"), ["0", "1", "2", "3", "4"]);
    assert_eq!(holds("fashion_mnist", "top"), ["T-shirt/top", "Pullover", "Coat", "Shirt"]);
    assert_eq!(holds("fashion_mnist", "trouser_or_dress"), ["Trouser", "Dress"]);
    assert_eq!(holds("cifar100", "people"), ["baby", "boy", "girl", "man", "woman"]);
    let trees = ["maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"];
    let short: Vec<&str> = trees.iter().map(|tree| tree.trim_end_matches("_tree")).collect();
    assert_eq!(holds("cifar100", "trees"), short);
}

#[test]
fn file_sizes_follow_from_counts_and_shape() {
    for description in all() {
        let size = description.height * description.width * description.channels;
        for &(split, count) in description.splits {
            let bytes: u64 = description.files_of(split).map(|file| file.size).sum();
            let expected = match description.layout {
                Layout::Embedded | Layout::Folder => 0,
                Layout::Idx => 16 + count * size + 8 + count,
                Layout::Cifar10 => count * (1 + size),
                Layout::Cifar100 => count * (2 + size),
            };
            assert_eq!(bytes, expected as u64, "{} {split}", description.name);
        }
    }
}

#[test]
fn pins_are_complete() {
    for description in all() {
        if description.layout == Layout::Folder {
            let pinned = description.contents.iter().filter_map(|content| content.sha256);
            assert!(pinned.into_iter().all(is_digest) && description.sources.is_empty());
            continue;
        }
        for content in description.contents {
            assert_eq!(content.files.len(), description.files.len(), "{}", description.name);
            assert!(content.files.iter().all(|digest| is_digest(digest)));
            assert!(content.sha256.is_none_or(is_digest));
            assert!(content.sha256.is_some() || !content.files.is_empty());
        }
        for archive in archives(description) {
            assert!(is_digest(archive.sha256) && archive.size > 0, "{}", description.name);
        }
        assert_eq!(description.mean.len(), description.channels);
        assert_eq!(description.std.len(), description.channels);
        let embedded = description.layout == Layout::Embedded;
        assert_eq!(description.sources.is_empty(), embedded, "{}", description.name);
    }
}

fn archives(description: &Description) -> Vec<Archive> {
    let of = |source: &Source| match source {
        Source::Web { files, .. } => files.iter().map(|file| file.archive).collect(),
        Source::Npm { archive, .. } => vec![*archive],
        Source::Debian { pinned, .. } => pinned.iter().map(|(_, archive)| *archive).collect(),
    };
    description.sources.iter().flat_map(of).collect()
}

#[test]
fn the_digits_are_built_in() {
    let nowhere = Path::new("/nonexistent");
    let raw = load("digits", nowhere).unwrap();
    assert_eq!(presence(raw.description, nowhere), Presence::Embedded);
    let pool = raw.split(Split::Pool).unwrap();
    assert_eq!(pool.count(), 1_797);
    let counts = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180];
    assert_eq!(pool.counts("fine", 10), counts);
    assert_eq!(pool.counts(COARSE, 2), [901, 896]);
    // The first row of the published file: 0 0 5 13 9 1 0 0.
    assert_eq!(pool.image(0)[..8], [0, 0, 80, 207, 143, 16, 0, 0]);
    let (mean, std) = pool.moments()[0];
    assert!((mean - raw.description.mean[0]).abs() < 1e-8);
    assert!((std - raw.description.std[0]).abs() < 1e-8);
}

/// A label that did not belong to its image would show here: the nearest class mean is right for
/// nine digits in ten.
#[test]
fn the_digits_and_their_labels_belong_together() {
    let raw = load("digits", Path::new("/nonexistent")).unwrap();
    let pool = raw.split(Split::Pool).unwrap();
    let fine = pool.fine();
    let mut means = vec![[0.0; 64]; 10];
    for (index, &id) in fine.iter().enumerate() {
        let count = fine.iter().filter(|&&other| other == id).count() as f64;
        for (mean, &value) in means[id as usize].iter_mut().zip(pool.image(index)) {
            *mean += f64::from(value) / count;
        }
    }
    let distance = |image: &[u8], mean: &[f64; 64]| -> f64 {
        image.iter().zip(mean).map(|(&value, mean)| (f64::from(value) - mean).powi(2)).sum()
    };
    let nearest = |image: &[u8]| {
        let order = |a: &usize, b: &usize| {
            distance(image, &means[*a]).total_cmp(&distance(image, &means[*b]))
        };
        (0..10).min_by(order).unwrap()
    };
    let right = (0..pool.count()).filter(|&i| nearest(pool.image(i)) == fine[i] as usize).count();
    assert!(right > 1_600, "{right} of {}", pool.count());
}
