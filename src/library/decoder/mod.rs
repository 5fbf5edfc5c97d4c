//! Decoders: embeddings back to images.

mod mlp_decoder;
mod resnet18_decoder;

use candle_core::Result;

use super::encoder::Network;
use crate::catalog::{Entry, ImageShape};
use crate::tensor::Scope;

/// Every decoder, in the order the reference lists them.
pub static DECODERS: &[&Entry<dyn Decoder>] = &[&mlp_decoder::ENTRY, &resnet18_decoder::ENTRY];

/// A declared decoder.
pub trait Decoder: Send + Sync {
    /// The network from embeddings `[rows, dim]` to images `[rows, height, width, channels]`.
    fn build(&self, dim: usize, image: ImageShape, scope: &Scope) -> Result<Box<dyn Network>>;
}
