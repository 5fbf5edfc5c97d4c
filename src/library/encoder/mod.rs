//! Encoders: images to embeddings.

mod channels;
mod cnn;
mod concat;
mod free;
mod frozen;
pub(crate) mod layers;
mod mlp;
mod resnet;
mod stored;
mod transformer;
mod vit;
mod wide_resnet;

use candle_core::{Result, Tensor};

use super::Library;
use crate::catalog::{Entry, ImageShape};
use crate::nn::Mode;
use crate::tensor::Scope;

pub use frozen::{held, part};
pub use stored::{Order, Stored};

/// Every encoder, in the order the reference lists them.
pub static ENCODERS: &[&Entry<dyn Encoder>] = &[
    &mlp::ENTRY,
    &cnn::ENTRY,
    &resnet::ENTRY,
    &wide_resnet::ENTRY,
    &vit::ENTRY,
    &concat::ENTRY,
    &free::ENTRY,
];

/// A declared encoder.
pub trait Encoder: Send + Sync {
    /// The network for images of shape `input`, its variables made in `scope`.
    fn build(&self, input: ImageShape, scope: &Scope) -> Result<Box<dyn Network>>;

    /// The same for an encoder that is made of others, which `library` builds.
    fn build_from(
        &self,
        _library: &Library,
        input: ImageShape,
        scope: &Scope,
    ) -> Result<Box<dyn Network>> {
        self.build(input, scope)
    }

    /// Where a file of PyTorch's keeps the variable `name` of shape `dims`.
    fn stored(&self, name: &str, dims: &[usize], _input: ImageShape) -> Stored {
        Stored::new(name, dims)
    }
}

/// A network on a device.
pub trait Network: Send + Sync {
    /// Images `[rows, height, width, channels]` to embeddings `[rows, dim]`.
    fn forward(&self, images: &Tensor, mode: &Mode) -> Result<Tensor>;
}
