//! A convolution of one image as a linear map of vectors.

use candle_core::{Result, Shape};

use super::geometry::Geometry;
use super::{Conv2d, forward, input_gradient, weight_gradient};
use crate::kernel::real::Real;

/// The convolution of an image of some size by a weight of some shape.
pub(in crate::kernel) struct Operator {
    geometry: Geometry,
}

impl Operator {
    /// For a `weight` [KH,KW,C,F] on images of `height` by `width` pixels.
    pub(in crate::kernel) fn new(
        weight: &Shape,
        conv: Conv2d,
        [height, width]: [usize; 2],
    ) -> Result<Self> {
        let (_, _, channels, _) = weight.dims4()?;
        let image = Shape::from((1, height, width, channels));
        Ok(Self { geometry: Geometry::new(&image, weight, conv)? })
    }

    /// The sizes of the convolution.
    #[cfg(feature = "cuda")]
    pub(in crate::kernel) fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The image of the vector `x`.
    pub(in crate::kernel) fn apply<T: Real>(&self, weight: &[T], x: &[T]) -> Vec<T> {
        forward(x, weight, &self.geometry)
    }

    /// What the transpose makes of `y`.
    pub(in crate::kernel) fn transposed<T: Real>(&self, weight: &[T], y: &[T]) -> Vec<T> {
        input_gradient(weight, y, &self.geometry)
    }

    /// The derivative by the weight of the product of `y` and the image of `x`.
    pub(in crate::kernel) fn slope<T: Real>(&self, x: &[T], y: &[T]) -> Vec<T> {
        weight_gradient(x, y, &self.geometry)
    }
}
