//! What every layer builds on: the named variables of a model.

pub mod params;

pub use params::{Init, Params, Scope};
