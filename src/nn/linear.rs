//! The fully connected layer.

use candle_core::{Result, Tensor};

#[cfg(feature = "cuda")]
use super::dropout::residual_of_sums;
use super::dropout::{DropPath, Dropout, residual};
use super::mode::Mode;
use super::spectral::Spectral;
use crate::kernel;
use crate::tensor::{Init, Scope};

/// `x Wᵀ + b`, with `weight` [O,I] and `bias` [O] uniform within 1/√I at first.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// A layer from `inputs` to `outputs` features.
    ///
    /// # Errors
    /// When the names at `scope` are taken by variables of other shapes.
    pub fn new(scope: &Scope, inputs: usize, outputs: usize) -> Result<Self> {
        let bias = scope.var("bias", outputs, default_init(inputs))?;
        Ok(Self { bias: Some(bias), ..Self::without_bias(scope, inputs, outputs)? })
    }

    /// A layer without `bias`.
    ///
    /// # Errors
    /// When the name at `scope` is taken by a variable of another shape.
    pub fn without_bias(scope: &Scope, inputs: usize, outputs: usize) -> Result<Self> {
        let weight = scope.var("weight", (outputs, inputs), default_init(inputs))?;
        Ok(Self { weight, bias: None })
    }

    /// The layer of a `weight` [O,I] and a `bias` [O].
    pub fn of(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight, bias }
    }

    /// The layer with its weight kept at a spectral norm, in a forward pass meant as `mode`.
    ///
    /// # Errors
    /// When `spectral` is that of another layer.
    pub fn constrained(&self, spectral: &Spectral, mode: &Mode) -> Result<Self> {
        Ok(Self { weight: spectral.weight(&self.weight, mode)?, bias: self.bias.clone() })
    }

    /// What keeps its weight at the spectral norm `bound`, the vectors for it at `scope`.
    ///
    /// # Errors
    /// When the name at `scope` is taken by a variable of another shape.
    pub fn spectral(&self, scope: &Scope, bound: f64) -> Result<Spectral> {
        Spectral::new(scope, &self.weight, kernel::Map::Matrix, bound)
    }

    /// The layer that gives some of the outputs, from `first` on.
    ///
    /// # Errors
    /// When there are not as many outputs.
    pub fn part(&self, first: usize, outputs: usize) -> Result<Self> {
        let part = |all: &Tensor| all.narrow(0, first, outputs);
        Ok(Self { weight: part(&self.weight)?, bias: self.bias.as_ref().map(part).transpose()? })
    }

    /// [..., O] of `x` [..., I].
    ///
    /// # Errors
    /// When `x` has another number of features.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        kernel::linear(x, &self.weight, self.bias.as_ref(), false)
    }

    /// What `dropout` leaves of GELU of [`Linear::forward`].
    ///
    /// # Errors
    /// When `x` has another number of features.
    pub fn forward_gelu(&self, x: &Tensor, dropout: &Dropout, mode: &Mode) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if let Some(bias) = self.bias.as_ref().filter(|_| x.device().is_cuda()) {
            let y = kernel::linear(x, &self.weight, None, false)?;
            return kernel::gelu_of_sums(&y, bias, dropout.draws(mode));
        }
        dropout.forward(&kernel::gelu(&self.forward(x)?)?, mode)
    }

    /// `x` plus [`Linear::forward`] of `y` as a branch [N, ...], of which `drops` leave out elements
    /// and then samples.
    ///
    /// # Errors
    /// When `y` has another number of features, or `x` another shape than the branch.
    pub fn forward_onto(
        &self,
        x: &Tensor,
        y: &Tensor,
        drops: (&Dropout, &DropPath),
        mode: &Mode,
    ) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let branch = kernel::linear(y, &self.weight, None, false)?;
            return residual_of_sums(x, (&branch, self.bias.as_ref()), drops, mode);
        }
        residual(x, &self.forward(y)?, drops, mode)
    }

    /// As [`Linear::forward`], then rectified.
    ///
    /// # Errors
    /// When `x` has another number of features.
    pub fn forward_relu(&self, x: &Tensor) -> Result<Tensor> {
        kernel::linear(x, &self.weight, self.bias.as_ref(), true)
    }
}

/// PyTorch's default for weights and biases: uniform within one over the root of the fan-in.
pub(super) fn default_init(fan_in: usize) -> Init {
    Init::Uniform { bound: 1.0 / (fan_in.max(1) as f64).sqrt() }
}
