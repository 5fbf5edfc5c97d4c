//! `data inspect` of a dataset whose images are files: its classes and groups, counted.

use std::io;
use std::path::{Path, PathBuf};

use super::data::{draw, grid};
use super::prompt;
use crate::data::folder::{Listing, Opened, published};
use crate::data::{DataError, Description, Fault, Images, Split};

/// The name of the column of combinations.
const GROUP: &str = "group";
/// Images of each group on a sheet.
const SHOWN: usize = 16;

/// Reads and counts all of it, and writes a contact sheet with a row for each group.
pub fn inspect(
    description: &'static Description,
    sheet: &str,
    root: &Path,
) -> Result<(), DataError> {
    let (listing, opened) = published::opened(description, root)?;
    let content = published::content(description, &opened.sha256);
    prompt::print(&format!("{}: {}\n", description.title, description.home));
    prompt::print(&format!("licence: {}\n", description.licence));
    prompt::print(&format!("content sha256 {} ({content})\n", opened.sha256));
    for column in &listing.columns {
        prompt::print(&counts(&opened, &column.name, &column.classes, &column.of));
    }
    let (names, of) = groups(&listing);
    if listing.columns.len() > 1 {
        prompt::print(&counts(&opened, GROUP, &names, &of));
    }
    let path = PathBuf::from(sheet.replace("NAME", description.name));
    let images = first_of_each(&opened, &of, names.len()).map_err(|error| {
        DataError::new(Fault::Refused, format!("decoded images cannot be read: {error}"))
    })?;
    draw(&images, GROUP, &path)?;
    prompt::print(&format!("contact sheet: {}\n", path.display()));
    Ok(())
}

/// The combinations of all columns but the fine one that occur, and that of each finest class.
fn groups(listing: &Listing) -> (Vec<String>, Vec<u32>) {
    let columns: Vec<_> = listing.columns.iter().filter(|column| column.name != "fine").collect();
    let name = |class: usize| {
        let words = columns.iter().map(|it| it.classes[it.of[class] as usize].as_str());
        words.collect::<Vec<_>>().join(" × ")
    };
    let each: Vec<String> = (0..listing.classes.len()).map(name).collect();
    let mut names: Vec<String> = each.clone();
    names.sort();
    names.dedup();
    let of = each.iter().map(|name| names.partition_point(|it| it < name) as u32).collect();
    (names, of)
}

fn counts(opened: &Opened, column: &str, names: &[String], of: &[u32]) -> String {
    let splits: Vec<String> = opened.splits.iter().map(|(split, _)| split.to_string()).collect();
    let mut rows: Vec<(String, Vec<usize>)> =
        names.iter().map(|name| (name.clone(), vec![0; splits.len()])).collect();
    for (at, (_, items)) in opened.splits.iter().enumerate() {
        for item in items {
            rows[of[opened.fine[*item as usize] as usize] as usize].1[at] += 1;
        }
    }
    grid(column, &splits, rows)
}

/// The first training images of each group.
fn first_of_each(opened: &Opened, of: &[u32], groups: usize) -> io::Result<Images> {
    let mut taken = vec![0; groups];
    let (mut pixels, mut ids) = (Vec::new(), Vec::new());
    let items = opened.split(Split::Train).or(opened.split(Split::Pool)).unwrap_or_default();
    for item in items {
        let group = of[opened.fine[*item as usize] as usize];
        if taken[group as usize] < SHOWN {
            taken[group as usize] += 1;
            ids.push(group);
            pixels.extend_from_slice(&opened.pixels.image(*item as usize, opened.shape.size())?);
        }
    }
    let (height, width, channels) =
        (opened.shape.height, opened.shape.width, opened.shape.channels);
    Ok(Images { height, width, channels, pixels, labels: vec![(GROUP.to_owned(), ids)] })
}
