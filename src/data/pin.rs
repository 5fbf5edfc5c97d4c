//! Comparing content with what is pinned, and the stamp that saves doing it at every start.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::description::{Content, Description};
use super::error::{DataError, Fault};
use super::files;
use super::images::{Images, Split, content_digest};
use crate::digest::sha256_stream;

const STAMP: &str = ".verified";

/// What may stand for a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// A stamp that names the same files with the same lengths and times.
    Stamp,
    /// Nothing: the content is digested.
    Nothing,
}

/// The files of a dataset whose content is compared with what is pinned.
pub(super) struct Pinned<'a> {
    pub(super) description: &'static Description,
    /// Where the stamp is.
    pub(super) folder: &'a Path,
    /// The files in the order of the description.
    pub(super) paths: &'a [PathBuf],
}

impl Pinned<'_> {
    /// The digest of the content and the name of the content it is. Fails when it is none that is
    /// accepted, naming a file that differs.
    pub(super) fn check(
        &self,
        splits: &[(Split, Images)],
        trust: Trust,
    ) -> Result<(String, &'static str), DataError> {
        if trust == Trust::Stamp
            && let Some(known) = self.recall()
        {
            return Ok(known);
        }
        let sha256 = content_digest(splits);
        let content = match self.content_with(&sha256) {
            Some(content) => content,
            None => self.content_of_files(&sha256)?,
        };
        self.remember(&sha256, content.name);
        Ok((sha256, content.name))
    }

    fn content_with(&self, sha256: &str) -> Option<&'static Content> {
        self.description.contents.iter().find(|content| content.sha256 == Some(sha256))
    }

    /// The content whose files these are, for contents that are pinned by their files alone.
    fn content_of_files(&self, sha256: &str) -> Result<&'static Content, DataError> {
        let digests: Vec<String> =
            self.paths.iter().map(|path| file_digest(path)).collect::<Result<_, _>>()?;
        let contents = self.description.contents;
        let whole = contents
            .iter()
            .find(|content| content.sha256.is_none() && content.files == digests.as_slice());
        whole.ok_or_else(|| self.altered(&digests, sha256))
    }

    fn altered(&self, digests: &[String], sha256: &str) -> DataError {
        let alike =
            |content: &Content| content.files.iter().zip(digests).filter(|(a, b)| *a == *b).count();
        let contents = self.description.contents;
        let mut nearest = &contents[0];
        for content in contents {
            nearest = if alike(content) > alike(nearest) { content } else { nearest };
        }
        let differs = nearest.files.iter().zip(digests).zip(self.paths).find(|((a, b), _)| *a != b);
        match differs {
            Some(((expected, found), path)) => DataError::damaged(
                path,
                format!(
                    "differs from what was published: expected SHA-256 {expected}, found {found}"
                ),
            ),
            None => DataError::new(Fault::Damaged, self.altered_content(nearest, sha256)),
        }
    }

    fn altered_content(&self, nearest: &Content, sha256: &str) -> String {
        let name = self.description.name;
        let expected = nearest.sha256.unwrap_or("none");
        format!(
            "the content of `{name}` differs from what was published: expected SHA-256 {expected}, found {sha256}"
        )
    }

    /// The digest and the name of content that was compared before, if no file has changed since.
    pub(super) fn recall(&self) -> Option<(String, &'static str)> {
        let text = fs::read_to_string(self.folder.join(STAMP)).ok()?;
        let rest = text.strip_prefix(&self.state()?)?;
        let (sha256, name) = rest.strip_suffix('\n')?.split_once(' ')?;
        let known = |content: &&Content| {
            content.name == name && content.sha256.is_none_or(|pinned| pinned == sha256)
        };
        let content = self.description.contents.iter().find(known)?;
        Some((sha256.to_owned(), content.name))
    }

    /// Leaves a stamp for content that has been compared. A folder that may not be written to is
    /// no failure: its files are digested every time.
    pub(super) fn remember(&self, sha256: &str, content: &str) {
        if let (Some(state), false) = (self.state(), self.paths.is_empty()) {
            let text = format!("{state}{sha256} {content}\n");
            let _ = fs::write(self.folder.join(STAMP), text);
        }
    }

    /// A line for each file with what changes when the file does.
    fn state(&self) -> Option<String> {
        let mut text = String::from("balance data 1\n");
        for path in self.paths {
            let data = fs::metadata(path).ok()?;
            let time = data.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
            let name = path.strip_prefix(self.folder).unwrap_or(path).display();
            text += &format!("{name} {} {time}\n", data.len());
        }
        Some(text)
    }
}

fn file_digest(path: &Path) -> Result<String, DataError> {
    sha256_stream(files::open(path)?)
        .map(|(digest, _)| digest)
        .map_err(|error| DataError::refused("read", path, &error))
}
