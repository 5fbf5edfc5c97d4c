//! Unpacking what a source sends, told apart by its first bytes.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::process::Command;

use flate2::read::GzDecoder;

use super::package::run;
use crate::data::error::{DataError, Fault};

const GZIP: &[u8] = &[0x1f, 0x8b];
const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z'];
const DEBIAN: &[u8] = b"!<arch>\n";
const ZIP: &[u8] = b"PK\x03\x04";
/// Where a tar archive says that it is one.
const USTAR: std::ops::Range<usize> = 257..262;

/// Unpacks the archive `path` into the folder `into`; a file that is no archive is copied there.
/// Fails when it is damaged, or when the program for its format is not installed.
pub(super) fn unpack(path: &Path, into: &Path) -> Result<(), DataError> {
    let start = first_bytes(path).map_err(|error| DataError::refused("read", path, &error))?;
    if start.starts_with(GZIP) {
        return unpack_gzip(path, into);
    }
    if start.starts_with(XZ) {
        return run(Command::new("tar").arg("-xJf").arg(path).arg("-C").arg(into));
    }
    if start.starts_with(DEBIAN) {
        return run(Command::new("dpkg").arg("-x").arg(path).arg(into));
    }
    if start.starts_with(ZIP) {
        let message = format!("`{}` is a zip archive, which is not read here", path.display());
        return Err(DataError::new(Fault::Refused, message)
            .with_help("unpack it and give the folder: `--from FOLDER`"));
    }
    match is_tar(&start) {
        true => untar(File::open(path), path, into),
        false => copy(path, into),
    }
}

fn unpack_gzip(path: &Path, into: &Path) -> Result<(), DataError> {
    let open = || Ok(GzDecoder::new(BufReader::with_capacity(1 << 18, File::open(path)?)));
    let mut start = Vec::new();
    open()
        .and_then(|reader| reader.take(512).read_to_end(&mut start))
        .map_err(|error| DataError::damaged(path, format!("could not decompress: {error}")))?;
    match is_tar(&start) {
        true => untar(open(), path, into),
        false => copy(path, into),
    }
}

fn first_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    File::open(path)?.take(512).read_to_end(&mut start)?;
    Ok(start)
}

fn is_tar(start: &[u8]) -> bool {
    start.get(USTAR) == Some(b"ustar")
}

fn untar(reader: io::Result<impl Read>, path: &Path, into: &Path) -> Result<(), DataError> {
    reader
        .and_then(|reader| tar::Archive::new(reader).unpack(into))
        .map_err(|error| DataError::damaged(path, format!("could not unpack: {}", cause(&error))))
}

/// What is at the bottom of an error; what lies above only says that unpacking failed.
fn cause(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => cause(source),
        None => error.to_string(),
    }
}

fn copy(path: &Path, into: &Path) -> Result<(), DataError> {
    let name = path.file_name().unwrap_or(path.as_os_str());
    fs::copy(path, into.join(name))
        .map(|_| ())
        .map_err(|error| DataError::refused("copy", path, &error))
}
