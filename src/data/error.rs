//! What can be wrong with data outside this program, worded for the person who has to mend it.

use std::fmt;
use std::io;
use std::path::Path;

/// Why a dataset could not be read or fetched: what was found, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataError {
    /// What sort of failure it is, for programs.
    pub kind: Fault,
    /// What was found, with the file, and expected and found values where they exist.
    pub message: String,
    /// What to do, where something can be done.
    pub help: Option<String>,
}

/// The sorts of failure that callers treat differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No dataset has this name.
    Unknown,
    /// The data are not on this machine.
    Missing,
    /// The data are here and are not what they should be.
    Damaged,
    /// No source could give the data.
    Unreachable,
    /// The machine refused: permissions, a full disk, a program that is not installed.
    Refused,
}

impl DataError {
    /// A failure without help.
    pub fn new(kind: Fault, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), help: None }
    }

    /// The same failure with what to do about it.
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// A file that is not what it should be; `what` says in which way.
    pub(crate) fn damaged(file: &Path, what: impl fmt::Display) -> Self {
        Self::new(Fault::Damaged, format!("`{}`: {what}", file.display()))
    }

    /// An operation on `path` that the system refused.
    pub(crate) fn refused(doing: &str, path: &Path, error: &io::Error) -> Self {
        Self::new(Fault::Refused, format!("could not {doing} `{}`: {error}", path.display()))
    }
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for DataError {}
