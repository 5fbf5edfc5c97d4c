//! Decoded images: in memory while they are few, else in a file that is made once and read image by
//! image.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use rayon::prelude::*;

use super::a_few;
use super::listing::{Item, Listing};
use super::photo::{Color, Photo};
use crate::data::error::{DataError, Fault};
use crate::data::images::{Images, Split};
use crate::data::{FINE, Raw};

/// Bytes of pixels that are kept in memory, and decoded at every start.
const SMALL: u64 = 8 << 20;
/// Images that are decoded at a time; they are in memory together.
const BLOCK: usize = 1024;
/// Raised when decoding or scaling gives other pixels.
const VERSION: u32 = 1;

/// Height, width and channels of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Rows of pixels.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// Values in a pixel.
    pub channels: usize,
}

impl Shape {
    /// Values in an image.
    pub fn size(self) -> usize {
        self.height * self.width * self.channels
    }
}

/// The pixels of images of one shape, in order.
#[derive(Debug)]
pub enum Pixels {
    /// All of them, one image after the other.
    Memory(Vec<u8>),
    /// A file of them, one image after the other.
    Disk(File),
}

/// A dataset ready to be read image by image.
#[derive(Debug)]
pub struct Opened {
    /// The shape of every image.
    pub shape: Shape,
    /// The pixels of all images.
    pub pixels: Pixels,
    /// The finest class of every image.
    pub fine: Vec<u32>,
    /// The published splits, each with the numbers of its images.
    pub splits: Vec<(Split, Vec<u32>)>,
    /// SHA-256 of its content.
    pub sha256: String,
}

impl Opened {
    /// The images of `split`, by number.
    pub fn split(&self, split: Split) -> Option<&[u32]> {
        self.splits.iter().find(|(it, _)| *it == split).map(|(_, items)| items.as_slice())
    }

    /// All of it in memory.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn to_raw(&self) -> io::Result<Raw> {
        let Shape { height, width, channels } = self.shape;
        let mut splits = Vec::new();
        for (split, items) in &self.splits {
            let mut pixels = Vec::with_capacity(items.len() * self.shape.size());
            for item in items {
                pixels.extend_from_slice(&self.pixels.image(*item as usize, self.shape.size())?);
            }
            let fine = items.iter().map(|item| self.fine[*item as usize]).collect();
            let labels = vec![(FINE.to_owned(), fine)];
            splits.push((*split, Images { height, width, channels, pixels, labels }));
        }
        Ok(Raw::of(splits, self.sha256.clone()))
    }
}

impl From<Raw> for Opened {
    fn from(raw: Raw) -> Self {
        let first = &raw.splits[0].1;
        let shape = Shape { height: first.height, width: first.width, channels: first.channels };
        let (mut pixels, mut fine, mut splits) = (Vec::new(), Vec::new(), Vec::new());
        for (split, images) in raw.splits {
            let start = fine.len() as u32;
            pixels.extend_from_slice(&images.pixels);
            fine.extend_from_slice(images.fine());
            splits.push((split, (start..fine.len() as u32).collect()));
        }
        Self { shape, pixels: Pixels::Memory(pixels), fine, splits, sha256: raw.sha256 }
    }
}

impl Pixels {
    /// The values of image `index`, of which each has `size`.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn image(&self, index: usize, size: usize) -> io::Result<Cow<'_, [u8]>> {
        match self {
            Self::Memory(all) => Ok(Cow::Borrowed(&all[index * size..][..size])),
            Self::Disk(file) => {
                let mut image = vec![0; size];
                read_at(file, &mut image, (index * size) as u64)?;
                Ok(Cow::Owned(image))
            }
        }
    }
}

#[cfg(unix)]
fn read_at(file: &File, image: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, image, offset)
}

#[cfg(windows)]
fn read_at(file: &File, image: &mut [u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < image.len() {
        let at = offset + done as u64;
        match std::os::windows::fs::FileExt::seek_read(file, &mut image[done..], at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => done += count,
        }
    }
    Ok(())
}

/// The images of `listing` in `color`; `side` makes squares of them, and without it all have to be
/// of `shape`. `digest` names their content, and their pixels in the folder `cache`.
///
/// # Errors
/// When an image cannot be decoded, by name, or the cache cannot be written.
pub fn open(
    listing: &Listing,
    (shape, side, color): (Shape, Option<usize>, Color),
    digest: &str,
    cache: &Path,
) -> Result<Opened, DataError> {
    let maker = Maker { listing, shape, side, color };
    let bytes = (listing.items.len() * shape.size()) as u64;
    let pixels = match bytes <= SMALL {
        true => {
            let mut all = Vec::with_capacity(bytes as usize);
            maker.each_block(&mut |block| {
                all.extend_from_slice(block);
                Ok(())
            })?;
            Pixels::Memory(all)
        }
        false => Pixels::Disk(maker.file(digest, bytes, cache)?),
    };
    let of = |split| {
        let items = listing.items.iter().zip(0..).filter(|(item, _)| item.split == split);
        (split, items.map(|(_, at)| at).collect::<Vec<u32>>())
    };
    let splits = [Split::Pool, Split::Train, Split::Val, Split::Test].map(of);
    let splits = splits.into_iter().filter(|(_, items)| !items.is_empty()).collect();
    let fine = listing.items.iter().map(|item| item.class).collect();
    Ok(Opened { shape, pixels, fine, splits, sha256: digest.to_owned() })
}

/// Makes pixels of files.
struct Maker<'a> {
    listing: &'a Listing,
    shape: Shape,
    side: Option<usize>,
    color: Color,
}

impl Maker<'_> {
    /// The cache file, made if it is not there or not whole.
    fn file(&self, digest: &str, bytes: u64, cache: &Path) -> Result<File, DataError> {
        let Shape { height, width, channels } = self.shape;
        let folder = cache.join("pixels");
        let name = format!("{}-{height}x{width}x{channels}-{VERSION}", &digest[..16]);
        let path = folder.join(name);
        let refused = |error| DataError::refused("write", &path, &error);
        if let Ok(file) = File::open(&path)
            && file.metadata().is_ok_and(|data| data.len() == bytes)
        {
            return Ok(file);
        }
        fs::create_dir_all(&folder).map_err(refused)?;
        let mut scratch = tempfile::NamedTempFile::new_in(&folder).map_err(refused)?;
        let mut writer = BufWriter::with_capacity(1 << 20, scratch.as_file_mut());
        self.each_block(&mut |block| writer.write_all(block).map_err(refused))?;
        writer.flush().map_err(refused)?;
        drop(writer);
        scratch.persist(&path).map_err(|error| refused(error.error))?;
        File::open(&path).map_err(|error| DataError::refused("open", &path, &error))
    }

    /// The pixels of all images in order, some at a time.
    fn each_block(
        &self,
        take: &mut dyn FnMut(&[u8]) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let mut corrupt = Vec::new();
        for block in self.listing.items.chunks(BLOCK) {
            let images: Vec<Result<Vec<u8>, String>> =
                block.par_iter().map(|item| self.image(item)).collect();
            for (item, image) in block.iter().zip(images) {
                match image {
                    Ok(image) if corrupt.is_empty() => take(&image)?,
                    Ok(_) => {}
                    Err(why) => corrupt.push(format!("`{}` {why}", item.path)),
                }
            }
        }
        match corrupt.len() {
            0 => Ok(()),
            count => Err(spoilt(&corrupt, count, self.listing.items.len())),
        }
    }

    fn image(&self, item: &Item) -> Result<Vec<u8>, String> {
        let bytes = fs::read(self.listing.folder.join(&item.path))
            .map_err(|error| format!("cannot be read: {error}"))?;
        let photo = Photo::decode(&bytes, self.color)?;
        let photo = match self.side {
            Some(side) => photo.fit(side),
            None => photo,
        };
        let Shape { height, width, .. } = self.shape;
        match (photo.height, photo.width) == (height, width) {
            true => Ok(photo.pixels),
            false => Err(format!(
                "has {} × {} pixels, others {height} × {width}",
                photo.height, photo.width
            )),
        }
    }
}

fn spoilt(corrupt: &[String], count: usize, all: usize) -> DataError {
    let message = format!("{count} of {all} images cannot be used: {}", a_few(corrupt));
    DataError::new(Fault::Damaged, message)
        .with_help("mend or remove them; `corrupt=skip` leaves out those that cannot be decoded")
}
