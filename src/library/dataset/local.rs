//! What datasets of image files have in common: from a listing to facts, and to pixels.

use std::path::Path;

use crate::arguments;
use crate::catalog::{ClassMap, Count, DataFault, DatasetFacts, ImageShape};
use crate::choice;
use crate::data::DataError;
use crate::data::folder::{
    Color, Defect, Listing, Look, Opened, Shape, Sizes, a_few, look, open, published,
};
use crate::data::{Fault, Split};
use crate::digest::sha256;

choice! {
    /// What becomes of an image that cannot be decoded.
    Corrupt {
        /// Nothing is trained.
        Error = "error",
        /// It is left out, and named by `check`.
        Skip = "skip",
    }
}

choice! {
    /// What images are turned into.
    Colors {
        /// Red, green and blue.
        Rgb = "rgb",
        /// One channel of grey.
        Grey = "grey",
    }
}

arguments! {
    /// What is made of image files.
    Squares {
        /// Makes squares of this side: the shorter side scaled, the middle cut out; without it all
        /// images have to be of one size.
        size: Option<Count> = None,
        /// What images are turned into.
        color: Colors = Colors::Rgb,
        /// What becomes of an image that cannot be decoded.
        corrupt: Corrupt = Corrupt::Error,
    }
}

impl Squares {
    /// The same, with every image decoded at the first look.
    pub(super) fn wanted(&self) -> Wanted {
        let side = self.size.map(Count::get);
        Wanted { side, colors: self.color, corrupt: self.corrupt, thorough: true }
    }
}

/// What is asked of image files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// The side of squares that are made of them; without it they have to be of one size.
    pub side: Option<usize>,
    pub colors: Colors,
    pub corrupt: Corrupt,
    /// Whether every image is decoded at the first look, and not only before training.
    pub thorough: bool,
}

/// A listing that can be used.
struct Ready {
    listing: Listing,
    shape: Shape,
    digest: String,
    skipped: Vec<String>,
}

/// What is known of listed files.
pub(super) fn facts(
    listing: Result<Listing, Defect>,
    wanted: &Wanted,
    root: &Path,
) -> DatasetFacts {
    match ready(listing, wanted, root) {
        Ok(ready) => DatasetFacts {
            image: ImageShape {
                height: ready.shape.height,
                width: ready.shape.width,
                channels: ready.shape.channels,
            },
            digest: ready.digest,
            skipped: ready.skipped,
            ..labels(&ready.listing)
        },
        Err(defect) => DatasetFacts { faults: vec![fault(defect)], ..DatasetFacts::default() },
    }
}

/// Classes, columns and sizes of a listing; coarse are those of a column of that name, if any.
pub fn labels(listing: &Listing) -> DatasetFacts {
    let map = |column: &crate::data::folder::Column| ClassMap {
        names: column.classes.clone(),
        of_fine: column.of.clone(),
    };
    let columns: Vec<_> =
        listing.columns.iter().map(|column| (column.name.clone(), map(column))).collect();
    let coarse = listing.column("coarse");
    let mut counts = vec![0; listing.classes.len()];
    let is_train = |split| matches!(split, Split::Train | Split::Pool);
    for item in listing.items.iter().filter(|item| is_train(item.split)) {
        counts[item.class as usize] += 1;
    }
    let published = |split| Some(listing.count(split)).filter(|count| *count > 0);
    DatasetFacts {
        fine: listing.classes.clone(),
        coarse: coarse.map_or_else(Default::default, |it| (it.classes.clone(), it.of.clone())),
        columns,
        train: counts.iter().sum(),
        val: published(Split::Val),
        test: published(Split::Test),
        counts,
        ..DatasetFacts::default()
    }
}

/// Listed files, ready to be read image by image.
pub(super) fn opened(
    listing: Result<Listing, Defect>,
    wanted: &Wanted,
    root: &Path,
) -> Result<Opened, DataError> {
    let ready = ready(listing, wanted, root)?;
    let how = (ready.shape, wanted.side, color(wanted.colors));
    open(&ready.listing, how, &ready.digest, &published::cache(root))
}

fn color(colors: Colors) -> Color {
    match colors {
        Colors::Rgb => Color::Rgb,
        Colors::Grey => Color::Grey,
    }
}

fn ready(listing: Result<Listing, Defect>, wanted: &Wanted, root: &Path) -> Result<Ready, Defect> {
    let listing = listing?;
    let is_skipping = wanted.corrupt == Corrupt::Skip;
    let found = look(&listing, wanted.thorough, &published::cache(root))
        .map_err(|error| Defect::new("path", "an image cannot be read", error.message))?;
    if !is_skipping && !found.corrupt.is_empty() {
        return Err(spoilt(&found, listing.items.len()));
    }
    let (height, width) = shape(&found, wanted)?;
    let skipped: Vec<String> = found.corrupt.iter().map(|(path, _)| path.clone()).collect();
    let listing = without(listing, &skipped);
    if !listing.items.iter().any(|item| matches!(item.split, Split::Train | Split::Pool)) {
        return Err(Defect::new("path", "there are no images to train on", "none is of `train`"));
    }
    let digest = match skipped.is_empty() {
        true => found.digest,
        false => sha256(format!("{} without {skipped:?}", found.digest).as_bytes()),
    };
    let channels = color(wanted.colors).channels();
    let skipped = found.corrupt.iter().map(|(path, why)| format!("`{path}` {why}")).collect();
    Ok(Ready { listing, shape: Shape { height, width, channels }, digest, skipped })
}

fn without(listing: Listing, skipped: &[String]) -> Listing {
    let items = listing.items.into_iter();
    Listing { items: items.filter(|item| !skipped.contains(&item.path)).collect(), ..listing }
}

fn spoilt(found: &Look, all: usize) -> Defect {
    let names: Vec<String> =
        found.corrupt.iter().map(|(path, why)| format!("`{path}` {why}")).collect();
    let message = format!("{} of {all} images cannot be decoded", names.len());
    Defect::new("path", message, format!("the first is `{}`", found.corrupt[0].0))
        .help(a_few(&names))
        .help("mend or remove them; `corrupt=skip` leaves them out")
}

/// Height and width of the images that are made.
fn shape(found: &Look, wanted: &Wanted) -> Result<(usize, usize), Defect> {
    match (&found.sizes, wanted.side) {
        (Sizes::None, _) => {
            Err(Defect::new("path", "there are no images", "none that can be decoded"))
        }
        (_, Some(side)) => Ok((side, side)),
        (Sizes::One(height, width), None) => Ok((*height, *width)),
        (Sizes::Mixed([first, second]), None) => {
            let shown = |(name, height, width): &(String, usize, usize)| {
                format!("`{name}` has {height} × {width} pixels")
            };
            let label = format!("{}, {}", shown(first), shown(second));
            Err(Defect::new("path", "the images are of different sizes", label).help(
                "`size=64` makes squares of 64 pixels: the shorter side scaled, the middle cut out",
            ))
        }
    }
}

/// A defect as the checker tells it.
pub(super) fn fault(defect: Defect) -> DataFault {
    let Defect { param, message, label, help } = defect;
    DataFault { param, message, label, help }
}

/// What is known of files that are not there.
pub(super) fn absent(place: &Path) -> DatasetFacts {
    let how = format!(
        "put `{}` there, or mend the path: it starts from the file it is written in",
        place.display()
    );
    DatasetFacts { absent: Some(how), ..DatasetFacts::default() }
}

/// A cache that cannot be read.
pub(super) fn unreadable(error: &std::io::Error) -> DataError {
    DataError::new(Fault::Refused, format!("decoded images cannot be read: {error}"))
}
