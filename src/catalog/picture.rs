//! The shape of images, and what they are between two transforms, as the next one sees them.

use super::{Bound, Misfit};

/// Height, width and channels of an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct ImageShape {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

impl ImageShape {
    /// Numbers in one image.
    pub fn size(self) -> usize {
        self.height * self.width * self.channels
    }
}

impl std::fmt::Display for ImageShape {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "[{}, {}, {}]", self.channels, self.height, self.width)
    }
}

/// Images on their way to the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    pub shape: ImageShape,
    /// Whether values still lie in 0..=1.
    pub is_unit: bool,
    /// Channels of the dataset, whose mean and deviation are known.
    pub measured: usize,
}

impl Picture {
    /// Images as a dataset has them.
    pub fn of_data(shape: ImageShape) -> Self {
        Self { shape, is_unit: true, measured: shape.channels }
    }

    /// The same with another height and width.
    pub fn sized(self, height: usize, width: usize) -> Self {
        Self { shape: ImageShape { height, width, ..self.shape }, ..self }
    }
}

/// From a transform's arguments and what images are before it to what they are behind it.
pub type PictureFn = fn(&Bound, Picture) -> Result<Picture, Misfit>;

impl Bound {
    /// What this transform makes of images; the same without a declaration.
    ///
    /// # Errors
    /// When it does not fit them.
    pub fn picture(&self, before: Picture) -> Result<Picture, Misfit> {
        self.spec.picture.map_or(Ok(before), |picture| picture(self, before))
    }
}
