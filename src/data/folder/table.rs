//! A CSV file that lists images with their labels, groups and splits.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::listing::{Listing, Row};
use super::{Defect, a_few};
use crate::data::images::Split;
use crate::diag::closest;

/// The names of the columns that are read, and the argument that gives each.
#[derive(Debug, Clone, Default)]
pub struct TableColumns {
    /// The paths of the images.
    pub image: String,
    /// The labels: the column of the file, and the name of the labels in the language; the first
    /// are the fine ones.
    pub labels: Vec<(&'static str, String, String)>,
    /// The splits; without it all images are one pool.
    pub split: Option<String>,
}

/// A CSV file in memory.
pub(super) struct Table {
    pub(super) names: Vec<String>,
    /// Each with its line in the file.
    pub(super) rows: Vec<(u64, Vec<String>)>,
}

impl Table {
    /// Reads `path`. Fails when it cannot be read, has no header, or rows of different lengths.
    pub(super) fn read(path: &Path) -> Result<Self, Defect> {
        let shown = path.display();
        let bytes = fs::read(path).map_err(|error| {
            Defect::new("path", format!("`{shown}` cannot be read"), error.to_string())
        })?;
        let mut reader =
            csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes.as_slice());
        let broken = |error: csv::Error| {
            Defect::new("path", format!("`{shown}` cannot be read as a table"), error.to_string())
        };
        let names = reader.headers().map_err(broken)?.iter();
        let names = names.map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(broken)?;
            let line = record.position().map_or(0, csv::Position::line);
            rows.push((line, record.iter().map(str::to_owned).collect()));
        }
        Ok(Self { names, rows })
    }

    /// The number of the column called `name`, which the argument `param` asks for.
    pub(super) fn column(&self, param: &'static str, name: &str) -> Result<usize, Defect> {
        let found = self.names.iter().position(|known| known == name);
        found.ok_or_else(|| {
            let label = match closest(name, self.names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "not in its first line".to_owned(),
            };
            Defect::new(param, format!("the table has no column `{name}`"), label)
                .help(format!("its columns are {}", self.names.join(", ")))
        })
    }
}

/// The images that the file `path` lists, their paths seen from `folder`.
///
/// # Errors
/// When a column is missing, an image is listed twice or is not there, a label is empty, or a split
/// is none.
pub fn table(path: &Path, folder: &Path, columns: &TableColumns) -> Result<Listing, Defect> {
    let table = Table::read(path)?;
    let image = table.column("image", &columns.image)?;
    let mut labels = Vec::new();
    for (param, name, _) in &columns.labels {
        labels.push((*param, table.column(param, name)?));
    }
    let split = match &columns.split {
        Some(name) => Some(table.column("split", name)?),
        None => None,
    };
    let mut rows = Vec::with_capacity(table.rows.len());
    for (line, cells) in &table.rows {
        rows.push(Row {
            path: cells[image].replace('\\', "/"),
            split: split.map_or(Ok(Split::Pool), |at| split_of(&cells[at], *line))?,
            labels: labels
                .iter()
                .map(|(param, at)| label(param, &cells[*at], *line))
                .collect::<Result<_, _>>()?,
        });
    }
    if rows.is_empty() {
        return Err(Defect::new("path", "the table lists no images", "it has a header only"));
    }
    unlike(&table.rows, image)?;
    there(folder, &rows)?;
    let names: Vec<&str> = columns.labels.iter().map(|(_, _, name)| name.as_str()).collect();
    Ok(Listing::of_rows(folder.into(), &names, rows))
}

fn label(param: &'static str, text: &str, line: u64) -> Result<String, Defect> {
    match text {
        "" => {
            Err(Defect::new(param, "an image has no label", format!("line {line} leaves it empty")))
        }
        text => Ok(text.to_owned()),
    }
}

fn split_of(word: &str, line: u64) -> Result<Split, Defect> {
    match word.to_lowercase().as_str() {
        "train" | "training" | "0" => Ok(Split::Train),
        "val" | "valid" | "validation" | "dev" | "1" => Ok(Split::Val),
        "test" | "testing" | "2" => Ok(Split::Test),
        _ => Err(Defect::new(
            "split",
            format!("`{word}` is no split"),
            format!("line {line} says so"),
        )
        .help("splits are called train, val and test, or 0, 1 and 2")),
    }
}

/// No image is listed twice.
fn unlike(rows: &[(u64, Vec<String>)], image: usize) -> Result<(), Defect> {
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for (line, cells) in rows {
        if let Some(first) = seen.insert(&cells[image], *line) {
            let message = format!("`{}` is listed twice", cells[image]);
            return Err(Defect::new("path", message, format!("on lines {first} and {line}")));
        }
    }
    Ok(())
}

/// Every image is there.
pub(super) fn there(folder: &Path, rows: &[Row]) -> Result<(), Defect> {
    let missing: Vec<&str> = rows
        .iter()
        .filter(|row| !folder.join(&row.path).is_file())
        .map(|row| row.path.as_str())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("{} of {} images cannot be found", missing.len(), rows.len());
    Err(Defect::new("path", message, format!("looked for in `{}`", folder.display()))
        .help(a_few(&missing)))
}
