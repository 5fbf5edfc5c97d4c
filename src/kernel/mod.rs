//! Training operations on the CPU, each with its gradient written by hand: channels last, in f32
//! (fast) or f64 (exact), and with the same bits at any number of threads.
//!
//! Work is cut into pieces whose borders depend on shapes alone, and partial sums are added in the
//! order of the pieces; so the number of threads decides only who computes what.

mod batch_norm;
mod channels;
mod conv;
mod lanes;
mod matrix;
mod pieces;
mod real;
mod values;
mod wide;

pub use batch_norm::{BatchNorm, BatchNormed, batch_norm, channel_affine};
pub use conv::{Conv2d, conv2d};
