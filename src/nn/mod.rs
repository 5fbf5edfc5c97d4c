//! Layers: named variables with the kernels that use them, initialised as PyTorch does it.
//!
//! Parameters have PyTorch's names; the kernel of a convolution is laid out [KH,KW,C,F].

mod conv;
mod dropout;
mod linear;
mod mode;
mod norm;
mod spectral;

pub use crate::kernel::{gradients, without_gradients};
pub use conv::Conv2d;
pub use dropout::{DropPath, Dropout, keep_factors, pair_factors, residual};
pub use linear::Linear;
pub use mode::Mode;
pub use norm::{BatchNorm, GroupNorm, LayerNorm};
pub use spectral::Spectral;
