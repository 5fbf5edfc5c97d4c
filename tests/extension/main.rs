//! A program of one's own: all of balance, with a loss term, a dataset and an encoder that it does
//! not come with. Each has a file, and a word in `library`; the checker, the pages of `explain`,
//! suggestions, costs, digests and the store follow from what it declares.
//!
//! ```text
//! cargo run --release --example extension -- run tests/extension/stripes.exp
//! ```

mod components;

use std::process::ExitCode;

fn main() -> ExitCode {
    balance::cli::main(&components::library())
}
