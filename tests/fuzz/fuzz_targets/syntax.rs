//! Any bytes, read as an experiment file and formatted.

#![no_main]

#[allow(dead_code, reason = "it brings its own texts")]
#[path = "../mutation.rs"]
mod mutation;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    mutation::examine(bytes);
});
