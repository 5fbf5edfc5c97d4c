//! What evaluations compute of embeddings: numbers in, numbers out, and the same bits at any number
//! of threads. No N × N matrix is ever formed.
//!
//! Work is cut into blocks whose borders depend on sizes alone, and partial sums are added in the
//! order of the blocks.

pub mod agreement;
pub mod assignment;
pub mod calibration;
pub mod cka;
pub mod eigen;
pub mod kmeans;
pub mod lbfgs;
pub mod logistic;
pub mod mixture;
pub mod moments;
pub mod nearest;
pub mod neural_collapse;
mod points;
pub mod rank;
pub mod retrieval;
pub mod roc;
pub mod silhouette;
mod softmax;
pub mod sphere;
mod spread;
pub mod subclasses;
pub mod uniformity;

pub use points::Points;
