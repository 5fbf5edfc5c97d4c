//! Counting what a dataset holds: images of each class in each split.

use super::Raw;
use super::images::Split;

/// What a dataset holds, counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Census {
    /// The splits with their numbers of images.
    pub splits: Vec<(Split, usize)>,
    /// For each label column its name and its classes in id order.
    pub columns: Vec<(String, Vec<ClassCounts>)>,
    /// For each split mean and standard deviation of each channel; white is 1.
    pub moments: Vec<(Split, Vec<(f64, f64)>)>,
}

/// How many images of a class there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassCounts {
    /// The name of the class.
    pub class: &'static str,
    /// How many of its images each split has, in the order of [`Census::splits`].
    pub images: Vec<usize>,
}

/// Counts the images of `raw`.
pub fn census(raw: &Raw) -> Census {
    let columns = raw.splits.first().map(|(_, images)| images.labels.as_slice());
    let names = columns.unwrap_or_default().iter().map(|(name, _)| name.as_str());
    Census {
        splits: raw.splits.iter().map(|(split, images)| (*split, images.count())).collect(),
        columns: names.map(|name| (name.to_owned(), count_column(raw, name))).collect(),
        moments: raw.splits.iter().map(|(split, images)| (*split, images.moments())).collect(),
    }
}

fn count_column(raw: &Raw, column: &str) -> Vec<ClassCounts> {
    let classes = raw.description.names(column).unwrap_or_default();
    let counts: Vec<Vec<usize>> =
        raw.splits.iter().map(|(_, images)| images.counts(column, classes.len())).collect();
    let of = |id: usize| counts.iter().map(|split| split[id]).collect();
    classes.iter().enumerate().map(|(id, class)| ClassCounts { class, images: of(id) }).collect()
}
