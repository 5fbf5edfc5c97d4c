//! `fmt`: files in the common style, rewritten in place, compared, or from one pipe to another.

use std::io::Read;
use std::path::Path;

use super::workspace::read;
use super::{exit, prompt};
use crate::diag::{Source, Sources, has_errors};
use crate::resolve::{check_edition, decode};
use crate::store;
use crate::syntax::{format, parse};

/// Arguments of `fmt`.
#[derive(clap::Args)]
pub struct FmtArgs {
    /// Experiment files; `-` for standard input to standard output
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Write nothing; list the files that would change, and exit with 1 if there are any
    #[arg(long)]
    check: bool,
    /// Write nothing; show what would change
    #[arg(long)]
    diff: bool,
}

/// Formats every file; one that cannot be read as a whole is left as it is.
pub fn fmt(args: &FmtArgs) -> u8 {
    args.files.iter().map(|name| file(args, name)).max().unwrap_or_default()
}

fn file(args: &FmtArgs, name: &str) -> u8 {
    let mut sources = Sources::default();
    let found = match name {
        "-" => standard_input(),
        name => read(Path::new(name)),
    };
    let text = match decode(Path::new(name), found) {
        Ok(text) => text,
        Err(diagnostic) => {
            prompt::diagnose(&sources, &[diagnostic]);
            return exit::DIAGNOSTICS;
        }
    };
    let shown = if name == "-" { "standard input" } else { name };
    let number = sources.add(Source { name: shown.to_owned(), text: text.clone() });
    let mut wrong = check_edition(&parse(number, &text).0);
    let formatted = format(number, &text).and_then(|formatted| match wrong.is_empty() {
        true => Ok(formatted),
        false => Err(Vec::new()),
    });
    match formatted {
        Ok(formatted) => answer(args, name, [&text, &formatted]),
        Err(unreadable) => {
            wrong.extend(unreadable);
            prompt::diagnose(&sources, &wrong);
            if has_errors(&wrong) { exit::DIAGNOSTICS } else { 0 }
        }
    }
}

fn standard_input() -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn answer(args: &FmtArgs, name: &str, [text, formatted]: [&str; 2]) -> u8 {
    let differs = text != formatted;
    if args.diff && differs {
        prompt::print(&difference(name, text, formatted));
    }
    match (args.check, args.diff, name) {
        (true, false, _) if differs => prompt::print(&format!("{name}\n")),
        (false, false, "-") => prompt::print(formatted),
        (false, false, _) if differs => return replace(name, formatted),
        _ => {}
    }
    if args.check && differs { exit::DIAGNOSTICS } else { 0 }
}

fn difference(name: &str, text: &str, formatted: &str) -> String {
    let difference = similar::TextDiff::from_lines(text, formatted);
    difference.unified_diff().header(name, &format!("{name}, formatted")).to_string()
}

/// Replaces the file, whole or not at all; a link stays a link.
fn replace(name: &str, text: &str) -> u8 {
    let path = std::fs::canonicalize(name).unwrap_or_else(|_| name.into());
    let written = std::fs::metadata(&path).and_then(|before| {
        store::write(&path, text.as_bytes())?;
        std::fs::set_permissions(&path, before.permissions())
    });
    match written {
        Ok(()) => 0,
        Err(error) => {
            prompt::eprint(&format!("{name} cannot be written: {error}\n"));
            exit::FAILED
        }
    }
}
