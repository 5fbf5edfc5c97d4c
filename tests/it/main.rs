//! The integration tests, one module for each part.

mod gradients;
mod numeric;
mod params;
