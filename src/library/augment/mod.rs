//! Augmentations: named transforms of one image, in order.

use crate::catalog::{Entry, ImageShape};
use crate::seed::Stream;

/// Every transform, in the order the reference lists them.
pub static AUGMENTS: &[&Entry<dyn Augment>] = &[];

/// An image with channels last; values in [0, 1] until it is normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    pub shape: ImageShape,
    /// `height * width * channels` numbers.
    pub values: Vec<f32>,
}

/// Mean and standard deviation of each channel over the training images, on the [0, 1] scale.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelStats {
    pub mean: Vec<f32>,
    pub std: Vec<f32>,
}

/// A declared transform.
pub trait Augment: Send + Sync {
    /// Whether it draws; random transforms never apply at evaluation.
    fn is_random(&self) -> bool;

    /// The shape it gives for images of shape `input`.
    fn output(&self, input: ImageShape) -> ImageShape {
        input
    }

    /// Transforms one image in place; `stream` is addressed by seed, stage, epoch, item, view and
    /// the transform's name.
    fn apply(&self, image: &mut Image, stats: &ChannelStats, stream: Stream);
}
