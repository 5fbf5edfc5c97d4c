//! The integration tests, one module for each part.

mod params;
