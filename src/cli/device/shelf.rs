//! Compiled kernels on disk: compiling them takes seconds, reading them does not.

use std::path::PathBuf;
use std::{env, fs};

use crate::digest::blake3;
use crate::kernel::{Shelf, keep_compiled};
use crate::store;

/// Keeps kernels in the user's folder of things that can be made again.
pub fn keep() {
    keep_compiled(Shelf { read, write });
}

fn read(source: &str) -> Option<String> {
    fs::read_to_string(place(source)?).ok()
}

/// Where it cannot be kept it is compiled again.
fn write(source: &str, compiled: &str) {
    let _ = place(source).map(|place| store::write(&place, compiled.as_bytes()));
}

fn place(source: &str) -> Option<PathBuf> {
    let told = |name| env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    let folder = told("XDG_CACHE_HOME").or_else(|| Some(told("HOME")?.join(".cache")))?;
    Some(folder.join("balance/kernels").join(blake3(source.as_bytes())).with_extension("ptx"))
}
