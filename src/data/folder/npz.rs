//! Arrays of images and labels as NumPy's `savez` writes them.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::DeflateDecoder;
use zip::ZipArchive;

use super::Defect;
use super::cache::Shape;
use crate::data::images::Split;
use crate::digest::Sha256;

/// Most bytes of an array.
const LARGEST: u64 = 1 << 34;

/// Images with their labels, in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrays {
    /// The shape of every image.
    pub shape: Shape,
    /// All images, one after the other.
    pub pixels: Vec<u8>,
    /// For each image its split, its label and its group.
    pub rows: Vec<(Split, i64, Option<i64>)>,
    /// SHA-256 of all of this.
    pub digest: String,
}

/// One array of the file.
pub(in crate::data) struct Array {
    pub(in crate::data) dims: Vec<usize>,
    /// Its type as NumPy writes it: `<f4`.
    pub(in crate::data) kind: String,
    pub(in crate::data) bytes: Vec<u8>,
}

/// Every array of the file `path`, by name.
pub(in crate::data) fn every(path: &Path) -> Result<Vec<(String, Array)>, Defect> {
    let mut file = open(path)?;
    let names: Vec<String> = file.file_names().flatten().map(|it| it.into_owned()).collect();
    let names = names.iter().filter_map(|name| name.strip_suffix(".npy"));
    names.map(|name| Ok((name.to_owned(), array(&mut file, "path", name)?))).collect()
}

/// The arrays `images`, `labels` and perhaps `groups` of the file `path`; each either as it is
/// called, or in parts called `…_train`, `…_val` and `…_test`.
///
/// # Errors
/// When an array is missing, of another type or shape than is needed, or the file is damaged.
pub fn npz(
    path: &Path,
    images: &str,
    labels: &str,
    groups: Option<&str>,
) -> Result<Arrays, Defect> {
    let mut file = open(path)?;
    let names: Vec<String> = file.file_names().flatten().map(|it| it.into_owned()).collect();
    let has = |name: &str| names.iter().any(|known| known.strip_suffix(".npy") == Some(name));
    let parts: Vec<(Split, &str)> = match has(images) {
        true => vec![(Split::Pool, "")],
        false => [(Split::Train, "_train"), (Split::Val, "_val"), (Split::Test, "_test")]
            .into_iter()
            .filter(|(_, end)| has(&format!("{images}{end}")))
            .collect(),
    };
    if parts.is_empty() {
        let message = format!("the file has no array `{images}`");
        let arrays: Vec<&str> = names.iter().map(|name| name.trim_end_matches(".npy")).collect();
        return Err(Defect::new("images", message, "not in this file")
            .help(format!("its arrays are {}", arrays.join(", "))));
    }
    let mut all: Option<Arrays> = None;
    for (split, end) in parts {
        let part = Part {
            split,
            images: array(&mut file, "images", &format!("{images}{end}"))?,
            labels: array(&mut file, "labels", &format!("{labels}{end}"))?,
            groups: match groups {
                Some(name) => Some(array(&mut file, "group", &format!("{name}{end}"))?),
                None => None,
            },
        };
        part.append(&mut all)?;
    }
    let all = all.filter(|all| !all.rows.is_empty());
    let mut all = all.ok_or_else(|| Defect::new("path", "the file has no images", "read here"))?;
    all.digest = digest(&all);
    Ok(all)
}

fn digest(all: &Arrays) -> String {
    let mut hasher = Sha256::default();
    hasher.update(format!("{:?} {:?}\n", all.shape, all.rows).as_bytes());
    hasher.update(&all.pixels);
    hasher.finish()
}

/// The arrays of one split.
struct Part {
    split: Split,
    images: Array,
    labels: Array,
    groups: Option<Array>,
}

impl Part {
    fn append(self, all: &mut Option<Arrays>) -> Result<(), Defect> {
        let shape = self.images.shape()?;
        let count = self.images.dims[0];
        let labels = self.labels.integers("labels", count)?;
        let groups = self.groups.map(|groups| groups.integers("group", count)).transpose()?;
        let all = all.get_or_insert_with(|| Arrays {
            shape,
            pixels: Vec::new(),
            rows: Vec::new(),
            digest: String::new(),
        });
        if all.shape != shape {
            let message = "the splits have images of different shapes";
            let text = |it: Shape| format!("{} × {} × {}", it.height, it.width, it.channels);
            let label = format!("{} and {}", text(all.shape), text(shape));
            return Err(Defect::new("images", message, label));
        }
        all.pixels.extend(self.images.bytes);
        let group = |at: usize| groups.as_ref().map(|groups| groups[at]);
        let rows = labels.into_iter().enumerate();
        all.rows.extend(rows.map(|(at, label)| (self.split, label, group(at))));
        Ok(())
    }
}

impl Array {
    /// The shape of the images this holds.
    fn shape(&self) -> Result<Shape, Defect> {
        if self.kind != "|u1" {
            let label = format!("they are of type `{}`", self.kind);
            return Err(Defect::new("images", "images are numbers of 0 to 255", label)
                .help("save them with `dtype=np.uint8`"));
        }
        match self.dims[..] {
            [_, 0, _, ..] | [_, _, 0, ..] => {
                let label = format!("this is {:?}", self.dims);
                Err(Defect::new("images", "images have a pixel at least", label))
            }
            [_, height, width] => Ok(Shape { height, width, channels: 1 }),
            [_, height, width, channels @ (1 | 3)] => Ok(Shape { height, width, channels }),
            _ => Err(Defect::new(
                "images",
                "images have the shape N × height × width (× 1 or 3)",
                format!("this is {:?}", self.dims),
            )),
        }
    }

    /// The `count` whole numbers this holds.
    pub(in crate::data) fn integers(
        &self,
        param: &'static str,
        count: usize,
    ) -> Result<Vec<i64>, Defect> {
        let size: usize = self.dims.iter().product();
        if size != count {
            let message = format!("there are {count} images and {size} {param}");
            return Err(Defect::new(param, message, format!("of the shape {:?}", self.dims)));
        }
        let width = self.kind.get(2..).and_then(|it| it.parse::<usize>().ok()).unwrap_or(0);
        let is_signed = self.kind.as_bytes().get(1) == Some(&b'i');
        let is_whole = matches!(self.kind.as_bytes(), [b'<' | b'|', b'i' | b'u' | b'b', ..]);
        if !is_whole || !(1..=8).contains(&width) {
            let label = format!("they are of type `{}`", self.kind);
            return Err(Defect::new(param, "labels are whole numbers", label)
                .help("save them with `dtype=np.int64`"));
        }
        let integer = |bytes: &[u8]| {
            let is_negative = is_signed && bytes[width - 1] >= 0x80;
            let mut wide = [if is_negative { 0xff } else { 0 }; 8];
            wide[..width].copy_from_slice(bytes);
            i64::from_le_bytes(wide)
        };
        Ok(self.bytes.chunks_exact(width).map(integer).collect())
    }
}

fn open(path: &Path) -> Result<ZipArchive<BufReader<File>>, Defect> {
    let refused = |why: String| {
        Defect::new("path", format!("`{}` cannot be read as .npz", path.display()), why)
    };
    let file = File::open(path).map_err(|error| refused(error.to_string()))?;
    ZipArchive::new(BufReader::new(file)).map_err(|error| refused(error.to_string()))
}

fn array(
    file: &mut ZipArchive<BufReader<File>>,
    param: &'static str,
    name: &str,
) -> Result<Array, Defect> {
    let damaged =
        |why: String| Defect::new(param, format!("the array `{name}` cannot be read"), why);
    let index = file.index_for_name(&format!("{name}.npy")).ok_or_else(|| {
        Defect::new(param, format!("the file has no array `{name}`"), "not in this file")
    })?;
    let mut entry = file.by_index_raw(index).map_err(|error| damaged(error.to_string()))?;
    let (size, checksum) = (entry.size(), entry.crc32());
    let is_stored = entry.compression() == zip::CompressionMethod::Stored;
    let mut bytes = Vec::new();
    let read = match is_stored {
        true => entry.by_ref().take(LARGEST).read_to_end(&mut bytes),
        false => DeflateDecoder::new(entry.by_ref()).take(LARGEST).read_to_end(&mut bytes),
    };
    read.map_err(|error| damaged(error.to_string()))?;
    let mut sum = flate2::Crc::new();
    sum.update(&bytes);
    if bytes.len() as u64 != size || sum.sum() != checksum {
        return Err(damaged("its checksum differs".to_owned()));
    }
    match parse(&bytes) {
        Some(Parsed::Array(array)) => Ok(array),
        Some(Parsed::ByColumns) => Err(damaged("its columns lie one after the other".to_owned())
            .help(format!("save `np.ascontiguousarray({name})`"))),
        Some(Parsed::Objects) => Err(damaged("it holds objects of Python".to_owned())
            .help("save numbers, all of one type, as `np.array(…, dtype=np.float32)`")),
        None => Err(damaged("it has no header of NumPy's".to_owned())),
    }
}

/// What a `.npy` file holds.
enum Parsed {
    Array(Array),
    /// In the order of Fortran.
    ByColumns,
    Objects,
}

/// An array from the bytes of a `.npy` file.
fn parse(bytes: &[u8]) -> Option<Parsed> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let (length, start) = match rest.first()? {
        1 => (usize::from(u16::from_le_bytes([*rest.get(2)?, *rest.get(3)?])), 4),
        _ => (u32::from_le_bytes(rest.get(2..6)?.try_into().ok()?) as usize, 6),
    };
    let header = std::str::from_utf8(rest.get(start..start + length)?).ok()?;
    let after = |key: &str| header.split_once(key).map(|(_, rest)| rest.trim_start());
    let kind = after("'descr':")?.strip_prefix('\'')?.split('\'').next()?.to_owned();
    if kind == "|O" {
        return Some(Parsed::Objects);
    }
    // Of one axis both orders are one.
    let is_by_rows = after("'fortran_order':")?.starts_with("False");
    let dims = after("'shape':")?.strip_prefix('(')?.split(')').next()?.split(',');
    let dims = dims.map(str::trim).filter(|it| !it.is_empty());
    let dims: Vec<usize> = dims.map(|it| it.parse().ok()).collect::<Option<_>>()?;
    if !is_by_rows && dims.len() > 1 {
        return Some(Parsed::ByColumns);
    }
    let bytes = rest.get(start + length..)?.to_vec();
    let width: usize = kind.get(2..)?.parse().ok()?;
    // A character of NumPy's texts has four bytes.
    let width = if kind.get(1..2) == Some("U") { width.checked_mul(4)? } else { width };
    let size = dims.iter().try_fold(width, |product, dim| product.checked_mul(*dim))?;
    let is_whole = bytes.len() == size && !dims.is_empty();
    is_whole.then_some(Parsed::Array(Array { dims, kind, bytes }))
}
