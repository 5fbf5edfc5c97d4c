//! What a folder of images says before any of them is opened: its files, their splits, their
//! labels.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::data::images::Split;

/// A label column: the names of its classes, and the class of each of the finest classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// How the language calls it.
    pub name: String,
    /// The names of its classes, in order of id.
    pub classes: Vec<String>,
    /// By finest class.
    pub of: Vec<u32>,
}

/// One image file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Seen from the folder.
    pub path: String,
    /// The published split it belongs to.
    pub split: Split,
    /// Its finest class.
    pub class: u32,
}

/// The files of a folder with their labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// What the paths of [`Item::path`] start from.
    pub folder: PathBuf,
    /// In canonical order.
    pub items: Vec<Item>,
    /// The names of the finest classes: those of the columns, joined.
    pub classes: Vec<String>,
    /// The first is `fine`; one called `coarse` is above it; others may cut across both.
    pub columns: Vec<Column>,
}

/// One image with the names of its classes, in the order of the columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Seen from the folder.
    pub path: String,
    /// The published split it belongs to.
    pub split: Split,
    /// One for each column.
    pub labels: Vec<String>,
}

impl Listing {
    /// A listing of `rows` whose finest classes are the combinations of labels that occur.
    pub fn of_rows(folder: PathBuf, columns: &[&str], rows: Vec<Row>) -> Self {
        let classes: Vec<Vec<String>> = (0..columns.len())
            .map(|at| sorted(rows.iter().map(|row| row.labels[at].as_str())))
            .collect();
        let ids: Vec<BTreeMap<&str, u32>> = classes.iter().map(|names| numbered(names)).collect();
        let key = |row: &Row| -> Vec<u32> {
            row.labels.iter().zip(&ids).map(|(label, ids)| ids[label.as_str()]).collect()
        };
        let occurring: BTreeSet<Vec<u32>> = rows.iter().map(key).collect();
        let finest: BTreeMap<Vec<u32>, u32> = occurring.into_iter().zip(0..).collect();
        let items = rows.iter().map(|row| Item {
            path: row.path.clone(),
            split: row.split,
            class: finest[&key(row)],
        });
        let items = items.collect();
        let keys: Vec<&Vec<u32>> = finest.keys().collect();
        let joined = |key: &&Vec<u32>| {
            let names = key.iter().zip(&classes).map(|(id, names)| names[*id as usize].as_str());
            names.collect::<Vec<_>>().join(" × ")
        };
        let column = |(at, name): (usize, &&str)| Column {
            name: (*name).to_owned(),
            classes: classes[at].clone(),
            of: keys.iter().map(|key| key[at]).collect(),
        };
        Self {
            folder,
            items,
            classes: keys.iter().map(joined).collect(),
            columns: columns.iter().enumerate().map(column).collect(),
        }
    }

    /// How many images of `split` there are.
    pub fn count(&self, split: Split) -> usize {
        self.items.iter().filter(|item| item.split == split).count()
    }

    /// The label column called `name`.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether the classes of `upper` are made of whole classes of `lower`.
    pub fn refines(&self, lower: &Column, upper: &Column) -> bool {
        let pairs: BTreeSet<(u32, u32)> =
            lower.of.iter().copied().zip(upper.of.iter().copied()).collect();
        pairs.len() == lower.classes.len()
    }
}

/// Different names in order: as numbers when all of them are.
fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let different: BTreeSet<&str> = names.collect();
    let mut names: Vec<String> = different.into_iter().map(str::to_owned).collect();
    if names.iter().all(|name| name.parse::<i64>().is_ok()) {
        names.sort_by_key(|name| name.parse::<i64>().unwrap_or_default());
    }
    names
}

fn numbered(names: &[String]) -> BTreeMap<&str, u32> {
    names.iter().map(String::as_str).zip(0..).collect()
}
