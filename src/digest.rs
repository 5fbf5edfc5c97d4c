//! Digests of bytes and streams, as lower-case hexadecimal: SHA-256 where a published value is
//! compared, BLAKE3 where only this program reads it.

use std::io::{self, Read};

use sha2::Digest;

/// Lower-case hexadecimal of `bytes`, two characters each.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(nibble).collect()
}

fn nibble(value: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(value)])
}

/// SHA-256 of `bytes` (FIPS 180-4).
pub fn sha256(bytes: &[u8]) -> String {
    hex(&sha2::Sha256::digest(bytes))
}

/// SHA-256 of what is left in `reader`, and its length in bytes; fails where reading does.
pub fn sha256_stream(mut reader: impl Read) -> io::Result<(String, u64)> {
    let mut hasher = Sha256::default();
    let length = each_block(&mut reader, |block| hasher.update(block))?;
    Ok((hasher.finish(), length))
}

/// BLAKE3 of `bytes`.
pub fn blake3(bytes: &[u8]) -> String {
    hex(blake3::hash(bytes).as_bytes())
}

/// BLAKE3 of what is left in `reader`; fails where reading does.
pub fn blake3_stream(mut reader: impl Read) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    each_block(&mut reader, |block| {
        hasher.update(block);
    })?;
    Ok(hex(hasher.finalize().as_bytes()))
}

/// A SHA-256 of bytes that come in pieces.
#[derive(Debug, Clone, Default)]
pub struct Sha256(sha2::Sha256);

impl Sha256 {
    /// Appends `bytes` to what is digested.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything appended, as hexadecimal.
    pub fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

fn each_block(reader: &mut impl Read, mut take: impl FnMut(&[u8])) -> io::Result<u64> {
    let mut block = vec![0; 1 << 18];
    let mut length = 0;
    loop {
        match reader.read(&mut block) {
            Ok(0) => return Ok(length),
            Ok(count) => {
                take(&block[..count]);
                length += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
