//! Downloading a file, and going on with it after an interruption.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::Agent;
use ureq::http::{Response, StatusCode, header};

use super::{Progress, Report, check_archive};
use crate::data::description::WebFile;
use crate::data::error::{DataError, Fault};

/// Attempts in a row that may bring nothing before the source is given up.
const PATIENCE: u32 = 3;

/// Downloads `file` into `folder` and returns its path.
///
/// What has come is kept as `NAME.part` and gone on with, by this call or a later one, and gets its
/// name when length and digest are right. Fails when the server refuses the file or has another.
pub(super) fn download(
    file: &WebFile,
    folder: &Path,
    progress: &mut Report,
) -> Result<PathBuf, DataError> {
    let name = file.url.rsplit('/').next().unwrap_or(file.url);
    let (path, part) = (folder.join(name), folder.join(format!("{name}.part")));
    if path.is_file() && check_archive(file.url, &path, &file.archive).is_ok() {
        return Ok(path);
    }
    let mut transfer = Transfer { file, name, part: &part, agent: agent(), progress };
    let resumed = transfer.length() > 0;
    transfer.complete()?;
    let mut checked = check_archive(file.url, &part, &file.archive);
    if checked.is_err() && resumed {
        // The beginning may be of another file: once more from the start.
        remove(&part)?;
        transfer.complete()?;
        checked = check_archive(file.url, &part, &file.archive);
    }
    if let Err(error) = checked {
        remove(&part)?;
        return Err(error);
    }
    fs::rename(&part, &path).map_err(|error| DataError::refused("write", &path, &error))?;
    Ok(path)
}

fn remove(part: &Path) -> Result<(), DataError> {
    match fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(DataError::refused("remove", part, &error))
        }
        _ => Ok(()),
    }
}

fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .accept_encoding("identity")
        .timeout_resolve(Some(Duration::from_secs(20)))
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .timeout_per_read(Some(Duration::from_secs(60)))
        .build()
        .into()
}

/// Why an attempt ended early.
enum Stop {
    /// The connection failed; another attempt may bring more.
    Cut(String),
    /// No further attempt would help.
    Final(DataError),
}

struct Transfer<'a, 'p> {
    file: &'a WebFile,
    name: &'a str,
    part: &'a Path,
    agent: Agent,
    progress: &'a mut Report<'p>,
}

impl Transfer<'_, '_> {
    fn length(&self) -> u64 {
        fs::metadata(self.part).map_or(0, |data| data.len())
    }

    /// Attempts until the file is here. Only more than there ever was renews the patience: a
    /// server that has a shorter file would otherwise be asked for ever.
    fn complete(&mut self) -> Result<(), DataError> {
        let (mut most, mut patience) = (self.length(), PATIENCE);
        loop {
            let reason = match self.attempt(self.length()) {
                Ok(()) => return Ok(()),
                Err(Stop::Final(error)) => return Err(error),
                Err(Stop::Cut(reason)) => reason,
            };
            patience = if self.length() > most { PATIENCE } else { patience - 1 };
            most = most.max(self.length());
            if patience == 0 {
                return Err(unreachable(self.file.url, &reason));
            }
        }
    }

    fn attempt(&mut self, have: u64) -> Result<(), Stop> {
        let total = self.file.archive.size;
        if have == total {
            return Ok(());
        }
        let have = if have > total { 0 } else { have };
        let mut request = self.agent.get(self.file.url);
        if have > 0 {
            request = request.header(header::RANGE, format!("bytes={have}-"));
        }
        let response = request.call().map_err(|error| Stop::Cut(error.to_string()))?;
        let start = self.start(&response, have)?;
        self.receive(response.into_body().into_reader(), start)
    }

    /// The place in the file where the body of `response` begins.
    fn start<T>(&self, response: &Response<T>, asked: u64) -> Result<u64, Stop> {
        let range = response.headers().get(header::CONTENT_RANGE);
        let range = range.and_then(|value| value.to_str().ok()).unwrap_or_default();
        match response.status() {
            StatusCode::OK => Ok(0),
            StatusCode::PARTIAL_CONTENT if range.starts_with(&format!("bytes {asked}-")) => {
                Ok(asked)
            }
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                // What is here does not fit what is there: the next attempt starts anew.
                remove(self.part).map_err(Stop::Final)?;
                Err(Stop::Cut(format!("the server does not go on at byte {asked}")))
            }
            status => Err(Stop::Final(unreachable(self.file.url, &format!("answered {status}")))),
        }
    }

    fn receive(&mut self, mut body: impl Read, start: u64) -> Result<(), Stop> {
        let refused = |error| Stop::Final(DataError::refused("write", self.part, &error));
        let mut output = self.output(start).map_err(refused)?;
        let total = self.file.archive.size;
        let mut done = start;
        let mut block = vec![0; 1 << 16];
        (self.progress)(Progress::Bytes { file: self.name, done, total });
        while done < total {
            let room = block.len().min((total - done) as usize);
            let cut = |why: &str| Stop::Cut(format!("ended at byte {done} of {total}{why}"));
            let count =
                body.read(&mut block[..room]).map_err(|error| cut(&format!(": {error}")))?;
            if count == 0 {
                return Err(cut(""));
            }
            output.write_all(&block[..count]).map_err(refused)?;
            done += count as u64;
            (self.progress)(Progress::Bytes { file: self.name, done, total });
        }
        Ok(())
    }

    fn output(&self, start: u64) -> io::Result<File> {
        let file = OpenOptions::new().create(true).append(true).open(self.part)?;
        file.set_len(start)?;
        Ok(file)
    }
}

fn unreachable(url: &str, reason: &str) -> DataError {
    DataError::new(Fault::Unreachable, format!("{url}: {reason}"))
}
