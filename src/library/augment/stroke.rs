//! What a transform does to one image, once it has drawn, where one pass can do it together with
//! what stands before and behind it.

use super::{Change, Crop, Image};
#[cfg(feature = "cuda")]
use crate::kernel::Touch;

/// Something that is done to an image.
#[derive(Debug, Clone, PartialEq)]
pub enum Stroke {
    /// Nothing at all.
    None,
    /// A mirror image, left to right.
    Mirror,
    /// The crop in another size; see [`Image::resize_crop`].
    Crop { crop: Crop, height: usize, width: usize },
    /// Changes of colour one after the other; see [`Image::recolor`].
    Recolor([Change; 4]),
    /// Luminance in the place of colours, the channels staying as many.
    Gray,
    /// What is taken away from each channel, and what it is multiplied with afterwards.
    Scale { means: Vec<f32>, scales: Vec<f32> },
}

impl Stroke {
    /// Does it to `image`, alone.
    pub fn make(&self, image: &mut Image) {
        match self {
            Self::None => {}
            Self::Mirror => image.flip_horizontally(),
            Self::Crop { crop, height, width } => image.resize_crop(*crop, *height, *width),
            Self::Recolor(changes) => image.recolor(changes),
            Self::Gray => image.gray(image.shape.channels),
            Self::Scale { means, scales } => image.scale(means, scales),
        }
    }

    /// What it does to pixels, as a card is told.
    #[cfg(feature = "cuda")]
    pub(super) fn touches(&self) -> Vec<Touch<'_>> {
        match self {
            Self::None | Self::Mirror | Self::Crop { .. } => Vec::new(),
            Self::Recolor(changes) => changes.iter().map(|it| it.touch()).collect(),
            Self::Gray => vec![Touch::Gray],
            Self::Scale { means, scales } => vec![Touch::Scale { means, scales }],
        }
    }
}

#[cfg(feature = "cuda")]
impl Change {
    fn touch(self) -> Touch<'static> {
        match self {
            Self::Brightness(factor) => Touch::Brightness(factor),
            Self::Contrast(factor) => Touch::Contrast(factor),
            Self::Saturation(factor) => Touch::Saturation(factor),
            Self::Hue(turn) => Touch::Hue(turn),
        }
    }
}
