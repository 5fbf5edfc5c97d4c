//! The convolutional layer.

use candle_core::{Result, Tensor};

use super::linear::default_init;
use super::mode::Mode;
use super::spectral::Spectral;
use crate::kernel;
use crate::tensor::Scope;

/// A convolution of channels-last images, with `weight` [K,K,C,F] and, if wanted, `bias` [F]
/// uniform within 1/√(K·K·C) at first.
#[derive(Debug, Clone)]
pub struct Conv2d {
    weight: Tensor,
    bias: Option<Tensor>,
    conv: kernel::Conv2d,
}

impl Conv2d {
    /// A convolution without bias from `channels` to `filters` with a square kernel of `size`
    /// pixels.
    ///
    /// # Errors
    /// When the name at `scope` is taken by a variable of another shape.
    pub fn new(
        scope: &Scope,
        [channels, filters]: [usize; 2],
        size: usize,
        conv: kernel::Conv2d,
    ) -> Result<Self> {
        let init = default_init(size * size * channels);
        let weight = scope.var("weight", (size, size, channels, filters), init)?;
        Ok(Self { weight, bias: None, conv })
    }

    /// The same with a bias.
    ///
    /// # Errors
    /// When the name at `scope` is taken by a variable of another shape.
    pub fn with_bias(self, scope: &Scope) -> Result<Self> {
        let (rows, columns, channels, filters) = self.weight.dims4()?;
        let bias = scope.var("bias", filters, default_init(rows * columns * channels))?;
        Ok(Self { bias: Some(bias), ..self })
    }

    /// The layer with its weight kept at a spectral norm, in a forward pass meant as `mode`.
    ///
    /// # Errors
    /// When `spectral` is that of another layer.
    pub fn constrained(&self, spectral: &Spectral, mode: &Mode) -> Result<Self> {
        Ok(Self { weight: spectral.weight(&self.weight, mode)?, ..self.clone() })
    }

    /// What keeps it, as a map of images of `size` (height and width), at the spectral norm
    /// `bound`, the vectors for it at `scope`.
    ///
    /// # Errors
    /// When the name at `scope` is taken, or the kernel is larger than the padded image.
    pub fn spectral(&self, scope: &Scope, size: [usize; 2], bound: f64) -> Result<Spectral> {
        let map = kernel::Map::Convolution { conv: self.conv, size };
        Spectral::new(scope, &self.weight, map, bound)
    }

    /// [N,OH,OW,F] of `x` [N,H,W,C].
    ///
    /// # Errors
    /// When `x` has other channels or is smaller than the kernel.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = kernel::conv2d(x, &self.weight, self.conv)?;
        let Some(bias) = &self.bias else { return Ok(y) };
        let scale_shift = kernel::stacked(&bias.ones_like()?, bias)?;
        kernel::channel_affine(&y, &scale_shift, None, false)
    }
}
