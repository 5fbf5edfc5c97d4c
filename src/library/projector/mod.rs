//! Projectors: embeddings to what contrastive terms compare.

mod mlp_projector;

use candle_core::Result;

use super::encoder::Network;
use crate::catalog::Entry;
use crate::tensor::Scope;

/// Every projector, in the order the reference lists them.
pub static PROJECTORS: &[&Entry<dyn Projector>] = &[&mlp_projector::ENTRY];

/// A declared projector.
pub trait Projector: Send + Sync {
    /// The network for embeddings of width `dim`, its variables made in `scope`.
    ///
    /// # Errors
    /// When its variables cannot be made.
    fn build(&self, dim: usize, scope: &Scope) -> Result<Box<dyn Network>>;
}
