//! Results on disk, addressed by what they are results of: one folder for each training and each
//! evaluation, readable by eye, shared by every experiment that needs it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::plan::{Digest, Evaluation, Stage};

/// The folder all results are in.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// A folder held by this process alone until it is dropped.
#[derive(Debug)]
pub struct Held {
    pub path: PathBuf,
    _lock: File,
}

/// Why a folder cannot be held.
#[derive(Debug)]
pub enum HoldError {
    /// Another process is at work in it.
    Busy,
    Io(io::Error),
}

impl Store {
    /// The store at `root`; nothing is written before there is a result.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The folder all results are in.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of a training.
    pub fn stage(&self, stage: &Stage) -> PathBuf {
        self.root.join("stages").join(folder(&stage.name, &stage.digest))
    }

    /// The folder of an evaluation.
    pub fn evaluation(&self, evaluation: &Evaluation) -> PathBuf {
        self.root.join("evaluations").join(folder(&evaluation.name, &evaluation.digest))
    }

    /// The folder of a design's tables.
    pub fn report(&self, design: &str) -> PathBuf {
        self.root.join("reports").join(design)
    }
}

fn folder(name: &str, digest: &Digest) -> String {
    format!("{name}-{}", digest.short())
}

/// Makes `path` and holds it, so that two processes never write one result.
pub fn hold(path: &Path) -> Result<Held, HoldError> {
    fs::create_dir_all(path).map_err(HoldError::Io)?;
    let lock = File::create(path.join("lock")).map_err(HoldError::Io)?;
    match lock.try_lock() {
        Ok(()) => Ok(Held { path: path.to_owned(), _lock: lock }),
        Err(fs::TryLockError::WouldBlock) => Err(HoldError::Busy),
        Err(fs::TryLockError::Error(error)) => Err(HoldError::Io(error)),
    }
}

/// Writes a file so that it is there whole or not at all.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Writes a value as readable JSON, whole or not at all.
pub fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
    text.push('\n');
    write(path, text.as_bytes())
}

/// The value in a JSON file; none when there is no such file.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            io::Error::other(format!("{} is damaged: {error}", path.display()))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
