//! Augmentations: named transforms of one image, in order, and of a whole batch behind them.

mod affine;
mod center_crop;
mod color_jitter;
mod cutmix;
mod cutout;
mod gaussian_blur;
mod grayscale;
mod hflip;
mod image;
mod mix;
mod mixup;
mod noise;
mod normalize;
mod pass;
#[cfg(test)]
mod quantiles;
mod random_crop;
mod resize;
mod resized_crop;
mod rotation;
mod shift;
mod solarize;
mod stroke;
mod to_gray;
mod vflip;

use crate::catalog::{Entry, ImageShape};
use crate::seed::Stream;

pub use image::{Affine, Change, Crop, Image};
pub use mix::{Mix, before};
pub use pass::Pass;
pub use stroke::Stroke;

/// Every transform, in the order the reference lists them.
pub static AUGMENTS: &[&Entry<dyn Augment>] = &[
    &resized_crop::ENTRY,
    &random_crop::ENTRY,
    &hflip::ENTRY,
    &vflip::ENTRY,
    &rotation::ENTRY,
    &shift::ENTRY,
    &affine::ENTRY,
    &color_jitter::ENTRY,
    &grayscale::ENTRY,
    &gaussian_blur::ENTRY,
    &solarize::ENTRY,
    &noise::ENTRY,
    &cutout::ENTRY,
    &resize::ENTRY,
    &center_crop::ENTRY,
    &to_gray::ENTRY,
    &normalize::ENTRY,
    &mixup::ENTRY,
    &cutmix::ENTRY,
];

/// Mean and standard deviation of each channel over the training images, on the [0, 1] scale.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelStats {
    pub mean: Vec<f32>,
    pub std: Vec<f32>,
}

/// A declared transform. Its [`crate::catalog::Spec`] says whether it draws (what is not `fixed` never
/// applies at evaluation) and what size it makes of an image.
pub trait Augment: Send + Sync {
    /// Transforms one image in place; `stream` is addressed by seed, stage, epoch, item, view and
    /// the transform's name.
    fn apply(&self, image: &mut Image, stats: &ChannelStats, stream: Stream);

    /// What `apply` does to an image of `shape`, given the same stream, where a [`Pass`] can do it.
    fn stroke(&self, _shape: ImageShape, _stats: &ChannelStats, _stream: Stream) -> Option<Stroke> {
        None
    }

    /// Brings values back to 0..=1, to look at the image, where `apply` has left it.
    fn undo(&self, _image: &mut Image, _stats: &ChannelStats) {}

    /// How it mixes the images of a batch, of `shape`, where it declares to read
    /// [`crate::catalog::Port::Batch`]; `stream` is addressed by seed, stage, the transform's name and
    /// the step.
    fn mix(&self, _shape: ImageShape, _stream: Stream) -> Option<Mix> {
        None
    }
}
