//! The layouts in which datasets with groups, and Tiny ImageNet, were published.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::images::walk;
use super::listing::{Column, Item, Listing, Row};
use super::table::{Table, there};
use super::{Defect, below};
use crate::data::description::Description;
use crate::data::images::Split;
use crate::diag::closest;

/// `waterbirds`: `metadata.csv` and a folder of images for each species.
///
/// The columns are the species, whether it is a bird of land or of water, and the place it was put
/// into. The finest classes are species by place, whether each occurs or not.
///
/// # Errors
/// When the table lacks a column, or says what cannot be.
pub fn waterbirds(folder: &Path, species: &[&str], is_water: &[u8]) -> Result<Listing, Defect> {
    let table = Table::read(&folder.join("metadata.csv"))?;
    let column = |name| table.column("labels", name);
    let (image, y, place, split) =
        (column("img_filename")?, column("y")?, column("place")?, column("split")?);
    let mut items = Vec::new();
    for (line, cells) in &table.rows {
        let path = &cells[image];
        let wrong = |what: String| {
            Defect::new("labels", format!("line {line} of metadata.csv cannot be used"), what)
        };
        let name = species_of(path).unwrap_or_default();
        let at = species.iter().position(|known| *known == name);
        let at = at.ok_or_else(|| wrong(format!("`{path}` is of no known species")))?;
        if cells[y] != is_water[at].to_string() {
            return Err(wrong(format!("`y` is {} for `{name}`", cells[y])));
        }
        let place = match cells[place].as_str() {
            "0" => 0,
            "1" => 1,
            other => return Err(wrong(format!("`place` is {other}"))),
        };
        let split = match cells[split].as_str() {
            "0" => Split::Train,
            "1" => Split::Val,
            "2" => Split::Test,
            other => return Err(wrong(format!("`split` is {other}"))),
        };
        items.push(Item { path: path.clone(), split, class: 2 * at as u32 + place });
    }
    let (classes, columns) = waterbird_columns(species, is_water);
    Ok(Listing { folder: folder.into(), items, classes, columns })
}

/// `Black_footed_Albatross` of `001.Black_footed_Albatross/image.jpg`.
fn species_of(path: &str) -> Option<&str> {
    Some(path.split('/').next()?.split_once('.')?.1)
}

/// The finest classes of Waterbirds, and its label columns.
pub(super) fn waterbird_columns(species: &[&str], is_water: &[u8]) -> (Vec<String>, Vec<Column>) {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let finest = 0..2 * species.len() as u32;
    let columns = vec![
        Column {
            name: "fine".to_owned(),
            classes: owned(species),
            of: finest.clone().map(|id| id / 2).collect(),
        },
        Column {
            name: "bird".to_owned(),
            classes: owned(&["landbird", "waterbird"]),
            of: finest.clone().map(|id| u32::from(is_water[id as usize / 2])).collect(),
        },
        Column {
            name: "background".to_owned(),
            classes: owned(&["land", "water"]),
            of: finest.map(|id| id % 2).collect(),
        },
    ];
    let joined = |name: &&str| ["land", "water"].map(|place| format!("{name} × {place}"));
    (species.iter().flat_map(joined).collect(), columns)
}

/// `celeba`: `img_align_celeba/`, `list_attr_celeba.txt` and `list_eval_partition.txt`.
///
/// The columns are the attribute that is learned and the one that is hidden.
///
/// # Errors
/// When a file is missing or does not have its published form.
pub fn celeba(folder: &Path, attribute: &str, hidden: &str) -> Result<Listing, Defect> {
    let text = read(&folder.join("list_attr_celeba.txt"))?;
    let mut lines = text.lines().skip(1);
    let names: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
    let at = |param, wanted: &str| {
        names.iter().position(|name| *name == wanted).ok_or_else(|| no_attribute(param, wanted))
    };
    let (attribute_at, hidden_at) = (at("attribute", attribute)?, at("hidden", hidden)?);
    let partition_text = read(&folder.join("list_eval_partition.txt"))?;
    let splits = partition(&partition_text)?;
    let mut rows = Vec::new();
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let wrong =
            |what: String| Defect::new("attribute", "list_attr_celeba.txt cannot be read", what);
        if cells.len() != names.len() + 1 {
            return Err(wrong(format!("`{line}` has {} values", cells.len().saturating_sub(1))));
        }
        let split = splits.get(cells[0]).copied();
        let split = split.ok_or_else(|| wrong(format!("`{}` is in no split", cells[0])))?;
        let value = |name: &str, at: usize| match cells[at + 1] {
            "1" => Ok(name.to_owned()),
            "-1" => Ok(format!("not {name}")),
            other => Err(wrong(format!("`{name}` of `{}` is {other}", cells[0]))),
        };
        let (own, other) = (value(attribute, attribute_at)?, value(hidden, hidden_at)?);
        let path = format!("img_align_celeba/{}", cells[0]);
        rows.push(Row { path, split, labels: vec![own, other] });
    }
    there(folder, &rows)?;
    Ok(Listing::of_rows(folder.into(), &[attribute, hidden], rows))
}

/// The classes that two attributes of CelebA make; no images.
///
/// # Errors
/// When it does not have one of them.
pub fn celeba_classes(attribute: &str, hidden: &str) -> Result<Listing, Defect> {
    for (param, wanted) in [("attribute", attribute), ("hidden", hidden)] {
        if !CELEBA_ATTRIBUTES.contains(&wanted) {
            return Err(no_attribute(param, wanted));
        }
    }
    let values = |name: &str| [name.to_owned(), format!("not {name}")];
    let rows = values(attribute).into_iter().flat_map(|own| {
        values(hidden).map(|other| Row {
            path: String::new(),
            split: Split::Train,
            labels: vec![own.clone(), other],
        })
    });
    let listing = Listing::of_rows(Default::default(), &[attribute, hidden], rows.collect());
    Ok(Listing { items: Vec::new(), ..listing })
}

/// The error for an attribute that CelebA does not have.
fn no_attribute(param: &'static str, wanted: &str) -> Defect {
    let label = match closest(wanted, CELEBA_ATTRIBUTES.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "not one of its attributes".to_owned(),
    };
    Defect::new(param, format!("CelebA has no attribute `{wanted}`"), label)
        .help(format!("they are {}", CELEBA_ATTRIBUTES.join(", ")))
}

fn partition(text: &str) -> Result<BTreeMap<&str, Split>, Defect> {
    let mut splits = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let split = match line.split_whitespace().collect::<Vec<_>>()[..] {
            [name, "0"] => (name, Split::Train),
            [name, "1"] => (name, Split::Val),
            [name, "2"] => (name, Split::Test),
            _ => {
                let message = "list_eval_partition.txt cannot be read";
                return Err(Defect::new(
                    "attribute",
                    message,
                    format!("`{line}` is no image with 0, 1 or 2"),
                ));
            }
        };
        splits.insert(split.0, split.1);
    }
    Ok(splits)
}

/// The forty attributes of CelebA, as its list has them.
#[rustfmt::skip]
pub const CELEBA_ATTRIBUTES: &[&str] = &[
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs",
    "Big_Lips", "Big_Nose", "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows",
    "Chubby", "Double_Chin", "Eyeglasses", "Goatee", "Gray_Hair", "Heavy_Makeup",
    "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache", "Narrow_Eyes", "No_Beard",
    "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks", "Sideburns",
    "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat",
    "Wearing_Lipstick", "Wearing_Necklace", "Wearing_Necktie", "Young",
];

/// `isic`: `metadata.csv` of the archive with `isic_id`, `benign_malignant` and `patch`, and the
/// images as `images/ISIC_….jpg`. Lesions that are neither benign nor malignant are left out.
///
/// # Errors
/// When the table lacks a column, a value is unknown, or an image is not there.
pub fn isic(folder: &Path) -> Result<Listing, Defect> {
    let table = Table::read(&folder.join("metadata.csv"))?;
    let column = |name| table.column("labels", name);
    let (id, kind, patch) = (column("isic_id")?, column("benign_malignant")?, column("patch")?);
    let mut rows = Vec::new();
    for (line, cells) in &table.rows {
        if !["benign", "malignant"].contains(&cells[kind].as_str()) {
            continue;
        }
        let patch = match cells[patch].to_lowercase().as_str() {
            "0" | "false" | "no" => "no patch",
            "1" | "true" | "yes" => "patch",
            other => {
                let label = format!("line {line} says `{other}`");
                return Err(Defect::new("labels", "`patch` is neither 0 nor 1", label));
            }
        };
        rows.push(Row {
            path: format!("images/{}.jpg", cells[id].trim_end_matches(".jpg")),
            split: Split::Pool,
            labels: vec![cells[kind].clone(), patch.to_owned()],
        });
    }
    there(folder, &rows)?;
    Ok(Listing::of_rows(folder.into(), &["diagnosis", "patch"], rows))
}

/// `tiny_imagenet`: `train/WNID/images/…` and `val/images/…` with `val/val_annotations.txt`.
///
/// The published validation images are the test split: those of the test were published without
/// labels. Classes are WordNet ids in ascending order.
///
/// # Errors
/// When a file is missing, or an annotation names no class.
pub fn tiny_imagenet(folder: &Path, known: &Description) -> Result<Listing, Defect> {
    let mut files = Vec::new();
    walk(&folder.join("train"), 2, &mut files)
        .map_err(|error| Defect::new("labels", "`train` cannot be read", error.to_string()))?;
    let class = |path: &str, name: &str| {
        let found = known.classes.binary_search(&name).map(|at| at as u32);
        found.map_err(|_| {
            let message = format!("`{path}` is of no known class");
            Defect::new("labels", message, format!("`{name}` is none of its WordNet ids"))
        })
    };
    let mut items = Vec::new();
    for file in &files {
        let path = below(folder, file);
        let class = class(&path, path.split('/').nth(1).unwrap_or_default())?;
        items.push(Item { path, split: Split::Train, class });
    }
    for line in read(&folder.join("val/val_annotations.txt"))?.lines() {
        let mut cells = line.split('\t');
        let (Some(name), Some(word)) = (cells.next(), cells.next()) else { continue };
        let class = class(name, word)?;
        items.push(Item { path: format!("val/images/{name}"), split: Split::Test, class });
    }
    let (classes, columns) = tiny_columns(known);
    Ok(Listing { folder: folder.into(), items, classes, columns })
}

/// The classes of Tiny ImageNet and their superclasses.
pub(super) fn tiny_columns(known: &Description) -> (Vec<String>, Vec<Column>) {
    let owned =
        |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
    let coarse = Column {
        name: "coarse".to_owned(),
        classes: owned(known.coarse.classes),
        of: known.coarse.of.iter().map(|id| u32::from(*id)).collect(),
    };
    let fine = Column {
        name: "fine".to_owned(),
        classes: owned(known.classes),
        of: (0..known.classes.len() as u32).collect(),
    };
    (owned(known.classes), vec![fine, coarse])
}

fn read(path: &Path) -> Result<String, Defect> {
    fs::read_to_string(path).map_err(|error| {
        Defect::new("labels", format!("`{}` cannot be read", path.display()), error.to_string())
    })
}
