//! Finding the files of a dataset on disk and reading them, compressed or not.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::description::{DataFile, Description};
use super::error::{DataError, Fault};

/// The path of each file of `description`, in its order, in `folder` or one of the folders below it
/// that the dataset usually comes in. Fails with what is missing, where it was looked for, and the
/// command that fetches it.
pub(super) fn locate(description: &Description, folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    description
        .files
        .iter()
        .map(|file| {
            find(description, folder, file).ok_or_else(|| missing(description, folder, file))
        })
        .collect()
}

fn find(description: &Description, folder: &Path, file: &DataFile) -> Option<PathBuf> {
    let places = std::iter::once(folder.to_path_buf())
        .chain(description.folders.iter().map(|below| folder.join(below)));
    places
        .flat_map(|place| names(file).map(move |name| place.join(name)))
        .find(|path| path.is_file())
}

/// The names a file goes by: as published, with a dot before `idx` as some tools unpack it, and
/// either of these compressed.
pub(super) fn names(file: &DataFile) -> impl Iterator<Item = String> + use<> {
    let dotted = file.name.replacen("-idx", ".idx", 1);
    let plain = [file.name.to_owned(), dotted];
    let zipped = plain.clone().map(|name| format!("{name}.gz"));
    plain.into_iter().chain(zipped)
}

fn missing(description: &Description, folder: &Path, file: &DataFile) -> DataError {
    let name = description.name;
    let message = format!(
        "the data of `{name}` are not on this machine: no `{}` in `{}`",
        file.name,
        folder.display()
    );
    DataError::new(Fault::Missing, message).with_help(format!(
        "`balance data fetch {name}` fetches them; `BALANCE_DATA` names another folder of datasets"
    ))
}

/// Opens a file, decompressing it when it starts as gzip does, whatever its name.
pub(super) fn open(path: &Path) -> Result<Box<dyn Read>, DataError> {
    opened(path).map_err(|error| DataError::refused("open", path, &error))
}

fn opened(path: &Path) -> io::Result<Box<dyn Read>> {
    let mut file = File::open(path)?;
    let mut start = Vec::new();
    file.by_ref().take(2).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(if start == [0x1f, 0x8b] {
        Box::new(GzDecoder::new(BufReader::with_capacity(1 << 18, file)))
    } else {
        Box::new(file)
    })
}

/// Reads `length` bytes, fewer where the file ends before.
pub(super) fn take(
    reader: &mut dyn Read,
    length: usize,
    path: &Path,
) -> Result<Vec<u8>, DataError> {
    // A length that a damaged header promises must not decide how much memory is taken.
    let mut bytes = Vec::with_capacity(length.min(1 << 28));
    match reader.take(length as u64).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(read_error(path, &error)),
    }
}

/// Whether nothing is left to read; the checksum of a compressed file is compared here.
pub(super) fn ended(reader: &mut dyn Read, path: &Path) -> Result<bool, DataError> {
    match reader.read(&mut [0]) {
        Ok(count) => Ok(count == 0),
        Err(error) => Err(read_error(path, &error)),
    }
}

/// Reads a file of exactly `length` bytes.
pub(super) fn read_exactly(path: &Path, length: u64) -> Result<Vec<u8>, DataError> {
    let mut reader = open(path)?;
    let bytes = take(&mut *reader, length as usize, path)?;
    if bytes.len() as u64 != length {
        return Err(truncated(path, length as usize, bytes.len()));
    }
    match ended(&mut *reader, path)? {
        true => Ok(bytes),
        false => Err(too_long(path, length as usize)),
    }
}

/// The file ends at byte `found` instead of `expected`.
pub(super) fn truncated(path: &Path, expected: usize, found: usize) -> DataError {
    DataError::damaged(
        path,
        format!("the file is truncated: expected {expected} bytes, found {found}"),
    )
}

/// The file goes on after byte `expected`.
pub(super) fn too_long(path: &Path, expected: usize) -> DataError {
    DataError::damaged(path, format!("is too long: expected {expected} bytes, found more"))
}

fn read_error(path: &Path, error: &io::Error) -> DataError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            DataError::damaged(path, "the compressed data end too early: the file is truncated")
        }
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            DataError::damaged(path, format!("the compressed data are damaged: {error}"))
        }
        _ => DataError::refused("read", path, error),
    }
}
