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

/// The file that says that a training or an evaluation is over, and what came of it.
pub const RESULT: &str = "result.json";
/// The file a process locks while it works in a folder.
const LOCK: &str = "lock";
/// How the names of files begin that are not whole yet.
const PARTIAL: &str = ".partial-";

/// A folder held by this process alone until it is dropped.
#[derive(Debug)]
pub struct Held {
    pub path: PathBuf,
    lock: File,
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
        self.trained(&stage.name, &stage.digest)
    }

    /// The folder of the training called `name` and addressed by `digest`.
    pub fn trained(&self, name: &str, digest: &Digest) -> PathBuf {
        self.root.join("stages").join(folder(name, digest))
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

/// The name of the folder of what is called `name` and addressed by `digest`.
pub fn folder(name: &str, digest: &Digest) -> String {
    format!("{name}-{}", digest.short())
}

impl Held {
    /// Gives the folder up with its result in it. Only then may the lock's file go: whoever has
    /// opened it meanwhile finds the result.
    pub fn complete(self) {
        let _ = fs::remove_file(self.path.join(LOCK));
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // To close it is not enough: a program that this one is just starting has it open as well.
        let _ = self.lock.unlock();
    }
}

/// Makes `path` and holds it, so that two processes never write one result.
///
/// # Errors
/// When another process holds it, or the folder cannot be written to.
pub fn hold(path: &Path) -> Result<Held, HoldError> {
    fs::create_dir_all(path).map_err(HoldError::Io)?;
    let lock = File::create(path.join(LOCK)).map_err(HoldError::Io)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Err(HoldError::Busy),
        Err(fs::TryLockError::Error(error)) => return Err(HoldError::Io(error)),
    }
    sweep(path).map_err(HoldError::Io)?;
    Ok(Held { path: path.to_owned(), lock })
}

/// Removes what a killed process left half written.
fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Writes a file so that it is there whole or not at all, even after a power failure.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let mut file = partial(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_folder(folder)
}

fn partial(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PARTIAL);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any other file: readable by whom the user's mask allows.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// A new name is on the disk only when its folder is.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Writes a value as readable JSON, whole or not at all.
pub fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
    text.push('\n');
    write(path, text.as_bytes())
}

/// The result in `folder`; none when there is none yet.
///
/// # Errors
/// When it cannot be read, or is the result of something else than `digest` addresses.
pub fn result<T: DeserializeOwned>(folder: &Path, digest: &Digest) -> Result<Option<T>, String> {
    let path = folder.join(RESULT);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let damaged = |error: serde_json::Error| format!("{} is damaged: {error}", path.display());
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(damaged)?;
    let found = value["digest"].as_str().unwrap_or("none");
    if found != digest.text() {
        let (path, expected) = (path.display(), digest.text());
        return Err(format!("{path} is another's: expected digest {expected}, found {found}"));
    }
    serde_json::from_value(value).map(Some).map_err(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_free_again_though_a_child_still_has_the_lock_open() {
        let folder = tempfile::tempdir().unwrap();
        let held = hold(folder.path()).unwrap();
        assert!(matches!(hold(folder.path()), Err(HoldError::Busy)));
        // What a process has between its fork and its own program.
        let of_child = held.lock.try_clone().unwrap();
        drop(held);
        assert!(hold(folder.path()).is_ok());
        drop(of_child);
    }
}
