//! What evaluations compute of embeddings: numbers in, numbers out, and the same bits at any number
//! of threads. No N × N matrix is ever formed.
//!
//! Work is cut into blocks whose borders depend on sizes alone, and partial sums are added in the
//! order of the blocks.

pub mod agreement;
pub mod assignment;
pub mod calibration;
pub mod kmeans;
pub mod mixture;
pub mod nearest;
mod points;
pub mod retrieval;
pub mod silhouette;
mod spread;
pub mod subclasses;

pub use points::Points;
