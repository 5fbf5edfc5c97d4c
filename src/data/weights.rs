//! Files of weights: safetensors, as PyTorch's users keep them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use safetensors::SafeTensors;

use crate::digest::blake3;

/// What a file of weights holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// BLAKE3 of its content.
    pub digest: String,
    /// The shape of each tensor.
    pub tensors: BTreeMap<String, Vec<usize>>,
}

/// Reads the file `path` through.
///
/// # Errors
/// When it is not there, or not a safetensors file: why, in words.
pub fn weights(path: &Path) -> Result<Weights, String> {
    let bytes = bytes(path)?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|error| format!("this is not a whole safetensors file: {error}"))?;
    let shape = |(name, view): (&str, _)| {
        let view: safetensors::tensor::TensorView = view;
        (name.to_owned(), view.shape().to_vec())
    };
    Ok(Weights { digest: blake3(&bytes), tensors: file.iter().map(shape).collect() })
}

/// The content of the file `path`, which must be what `digest` says.
///
/// # Errors
/// When it cannot be read, or was changed since: why, in words.
pub fn weights_content(path: &Path, digest: &str) -> Result<Vec<u8>, String> {
    let bytes = bytes(path)?;
    match blake3(&bytes) == digest {
        true => Ok(bytes),
        false => Err("the file was changed since the experiment was planned".to_owned()),
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::IsADirectory => "this is a folder".to_owned(),
        _ => error.to_string(),
    })
}
