//! Augmentations: named transforms of one image, in order.

mod color_jitter;
mod cutout;
mod grayscale;
mod hflip;
mod image;
mod noise;
mod normalize;
mod random_crop;
mod resized_crop;
mod rotation;
mod shift;

use crate::catalog::{Entry, ImageShape};
use crate::seed::Stream;

pub use image::Image;

/// Every transform, in the order the reference lists them.
pub static AUGMENTS: &[&Entry<dyn Augment>] = &[
    &resized_crop::ENTRY,
    &random_crop::ENTRY,
    &hflip::ENTRY,
    &rotation::ENTRY,
    &shift::ENTRY,
    &color_jitter::ENTRY,
    &grayscale::ENTRY,
    &noise::ENTRY,
    &cutout::ENTRY,
    &normalize::ENTRY,
];

/// Mean and standard deviation of each channel over the training images, on the [0, 1] scale.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelStats {
    pub mean: Vec<f32>,
    pub std: Vec<f32>,
}

/// A declared transform.
pub trait Augment: Send + Sync {
    /// Whether it draws; random transforms never apply at evaluation.
    fn is_random(&self) -> bool {
        true
    }

    /// The shape it gives for images of shape `input`.
    fn output(&self, input: ImageShape) -> ImageShape {
        input
    }

    /// Transforms one image in place; `stream` is addressed by seed, stage, epoch, item, view and
    /// the transform's name.
    fn apply(&self, image: &mut Image, stats: &ChannelStats, stream: Stream);
}
