//! The log of a training: one line of JSON for each epoch.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::collapse::Collapse;
use super::event::RunError;

/// The file in a stage's folder.
pub const FILE: &str = "metrics.jsonl";

/// One line: what an epoch came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Counted from one; the last may be cut short.
    pub epoch: usize,
    /// Steps done in all.
    pub step: usize,
    /// At the last step.
    pub learning_rate: f64,
    /// Mean over the epoch's items of the weighted sum.
    pub loss: f64,
    /// The same of each term before its weight.
    pub terms: Map<String, Value>,
    /// What has collapsed, where it was looked for and found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collapse: Option<Collapse>,
    /// `val.TERM.accuracy` of each term with a classifier, after the epoch.
    #[serde(flatten)]
    pub val: Map<String, Value>,
}

/// A log that is written to.
pub struct Log {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Log {
    /// The log in `folder`, without what was written after its first `bytes`: those steps are done
    /// again.
    ///
    /// # Errors
    /// When it cannot be written to, or is shorter than that.
    pub fn open(folder: &Path, bytes: u64) -> Result<Self, RunError> {
        let path = folder.join(FILE);
        let refused = |error: io::Error| RunError::io(&path, &error);
        let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let mut file = open.map_err(refused)?;
        let length = file.metadata().map_err(refused)?.len();
        if length < bytes {
            return Err(RunError::failed(
                format!("{} has {length} bytes, of {bytes} written", path.display()),
                "remove this folder to train the stage again",
            ));
        }
        file.set_len(bytes).and_then(|()| file.seek(SeekFrom::End(0))).map_err(refused)?;
        Ok(Self { path, file, bytes })
    }

    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds a line.
    pub fn append(&mut self, epoch: &Epoch) -> Result<(), RunError> {
        let line = serde_json::to_string(epoch).map_err(io::Error::other);
        let written = line.and_then(|line| {
            self.bytes += line.len() as u64 + 1;
            self.file.write_all(format!("{line}\n").as_bytes())
        });
        written.map_err(|error| RunError::io(&self.path, &error))
    }

    /// Makes sure that it is on the disk before a checkpoint that counts on it.
    pub fn sync(&self) -> Result<(), RunError> {
        self.file.sync_data().map_err(|error| RunError::io(&self.path, &error))
    }

    /// The last line.
    pub fn last(&self) -> Result<Epoch, RunError> {
        let text = fs::read_to_string(&self.path);
        let text = text.map_err(|error| RunError::io(&self.path, &error))?;
        let line = text.lines().last().unwrap_or_default();
        serde_json::from_str(line).map_err(|error| {
            RunError::failed(
                format!("the last line of {} cannot be read: {error}", self.path.display()),
                "remove this folder to train the stage again",
            )
        })
    }
}
