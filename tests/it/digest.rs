//! Digests against the values that their authors published.

use std::io::Cursor;

use balance::digest::{Sha256, blake3, blake3_stream, hex, sha256, sha256_stream};

#[test]
fn published_values_are_met() {
    assert_eq!(hex(&[0, 15, 160, 255]), "000fa0ff");
    assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(blake3(b""), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
}

#[test]
fn streams_and_pieces_digest_as_the_whole() {
    let bytes: Vec<u8> = (0..700_000u32).map(|i| (i.wrapping_mul(i) >> 3) as u8).collect();
    assert_eq!(sha256_stream(Cursor::new(&bytes)).unwrap(), (sha256(&bytes), 700_000));
    assert_eq!(blake3_stream(Cursor::new(&bytes)).unwrap(), blake3(&bytes));
    let mut pieces = Sha256::default();
    bytes.chunks(1_000).for_each(|piece| pieces.update(piece));
    assert_eq!(pieces.finish(), sha256(&bytes));
}
