//! What the checker knows of the world: gathered outside, handed in, made up in tests.

use std::collections::BTreeMap;

use super::ImageShape;

/// What the checker knows of the world.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// By the name of the dataset's component.
    pub datasets: BTreeMap<String, DatasetFacts>,
}

/// What is known of a dataset before it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetFacts {
    pub image: ImageShape,
    /// Label columns and the names of their classes, in order of id; `fine` is always there.
    pub columns: Vec<(String, Vec<String>)>,
    /// The class in `coarse` of each fine class; empty when there is no such column.
    pub coarse_of: Vec<u32>,
    /// Images for training and validation together.
    pub train: usize,
    /// Images of the test split; zero when it is cut from `train`.
    pub test: usize,
    /// The digest of its content, as pinned.
    pub digest: String,
    /// Why it cannot be read here, and what to do about it.
    pub absent: Option<String>,
}

impl DatasetFacts {
    /// The class names of a label column.
    pub fn classes(&self, column: &str) -> Option<&[String]> {
        let found = self.columns.iter().find(|(name, _)| name == column);
        found.map(|(_, classes)| classes.as_slice())
    }
}
