//! Named arrays of other programs: NumPy's `.npz`, and safetensors.

use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::folder;

/// An array with its name, its shape and its numbers in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedArray {
    pub name: String,
    pub dims: Vec<usize>,
    pub numbers: Numbers,
}

/// What an array holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Numbers {
    Real(Vec<f32>),
    Whole(Vec<i64>),
    Text(Vec<String>),
    /// Of a type that is not read, called so.
    Other(String),
}

/// Every array of the file `path`, a `.npz` or `.safetensors`.
///
/// # Errors
/// When it is not there, of another kind, or damaged: why, in words.
pub fn arrays(path: &Path) -> Result<Vec<NamedArray>, String> {
    match path.extension().and_then(|end| end.to_str()) {
        Some("npz") => numpy(path),
        Some("safetensors") => tensors(path),
        _ => Err("its name ends neither in `.npz` nor in `.safetensors`".to_owned()),
    }
}

fn numpy(path: &Path) -> Result<Vec<NamedArray>, String> {
    let said = |it: folder::Defect| {
        let help: String = it.help.iter().map(|help| format!("; {help}")).collect();
        format!("{}: {}{help}", it.message, it.label)
    };
    let every = folder::every(path).map_err(said)?;
    let named = |(name, array): (String, folder::Array)| NamedArray {
        numbers: numbers(&array),
        dims: array.dims,
        name,
    };
    Ok(every.into_iter().map(named).collect())
}

fn numbers(array: &folder::Array) -> Numbers {
    let bytes = &array.bytes;
    match array.kind.as_str() {
        "<f4" => Numbers::Real(words(bytes, f32::from_le_bytes)),
        "<f8" => Numbers::Real(words(bytes, |it| f64::from_le_bytes(it) as f32)),
        kind if kind.starts_with("<U") => Numbers::Text(texts(bytes, kind)),
        kind => {
            let count = array.dims.iter().product();
            let whole = array.integers("labels", count).map(Numbers::Whole);
            whole.unwrap_or_else(|_| Numbers::Other(kind.to_owned()))
        }
    }
}

/// Texts of as many characters of four bytes as `kind` says, filled up with zeros.
fn texts(bytes: &[u8], kind: &str) -> Vec<String> {
    let width: usize = kind[2..].parse().unwrap_or(0);
    let letter = |it: &[u8]| char::from_u32(u32::from_le_bytes([it[0], it[1], it[2], it[3]]));
    let text = |it: &[u8]| -> String {
        it.chunks_exact(4).filter_map(letter).filter(|it| *it != '\0').collect()
    };
    bytes.chunks_exact(4 * width.max(1)).map(text).collect()
}

fn tensors(path: &Path) -> Result<Vec<NamedArray>, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|error| format!("this is not a whole safetensors file: {error}"))?;
    let named = |(name, view): (&str, TensorView)| NamedArray {
        name: name.to_owned(),
        dims: view.shape().to_vec(),
        numbers: of_tensor(&view),
    };
    let mut arrays: Vec<NamedArray> = file.iter().map(named).collect();
    // The file says no order.
    arrays.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(arrays)
}

fn of_tensor(view: &TensorView) -> Numbers {
    let bytes = view.data();
    match view.dtype() {
        Dtype::F32 => Numbers::Real(words(bytes, f32::from_le_bytes)),
        Dtype::F64 => Numbers::Real(words(bytes, |it| f64::from_le_bytes(it) as f32)),
        Dtype::I64 => Numbers::Whole(words(bytes, i64::from_le_bytes)),
        Dtype::I32 => Numbers::Whole(words(bytes, |it| i64::from(i32::from_le_bytes(it)))),
        Dtype::U32 => Numbers::Whole(words(bytes, |it| i64::from(u32::from_le_bytes(it)))),
        Dtype::U8 | Dtype::BOOL => Numbers::Whole(bytes.iter().map(|it| i64::from(*it)).collect()),
        other => Numbers::Other(format!("{other:?}")),
    }
}

/// Words of `N` bytes, each as `read` reads it.
fn words<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let word = |it: &[u8]| read(it.try_into().expect("a chunk has its size"));
    bytes.chunks_exact(N).map(word).collect()
}
