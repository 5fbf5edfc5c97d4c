//! The components of this program, and the library that has them beside those of balance.

#[path = "fourier.rs"]
mod fourier;
#[path = "stripes.rs"]
mod stripes;
#[path = "uniformity.rs"]
mod uniformity;

use balance::library::Library;

/// Every component that comes with balance, and those of this program.
pub fn library() -> Library {
    let mut library = Library::standard();
    library.datasets.push(&stripes::ENTRY);
    library.encoders.push(&fourier::ENTRY);
    library.losses.push(&uniformity::ENTRY);
    library
}
