//! The integration tests, one module for each part.

mod gradients;
mod kernels;
mod numeric;
mod params;
