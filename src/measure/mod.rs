//! What evaluations compute of embeddings: numbers in, numbers out, and the same bits at any number
//! of threads. No N × N matrix is ever formed.

pub mod cka;
pub mod eigen;
pub mod moments;
pub mod nearest;
pub mod neural_collapse;
pub mod rank;
pub mod sphere;
pub mod uniformity;
