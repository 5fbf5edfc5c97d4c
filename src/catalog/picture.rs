//! What images are between two transforms, as far as the next one depends on it.

use super::{Bound, ImageShape, Misfit};

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
