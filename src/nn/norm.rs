//! Normalisation of batches, of groups of channels, and of layers.

use candle_core::{D, Result, Tensor, Var, bail};

use super::mode::Mode;
use crate::kernel;
use crate::tensor::{Init, Scope};

/// Added to variances, as in PyTorch.
const EPSILON: f64 = 1e-5;

/// The part of the running statistics that each batch replaces, as in PyTorch.
const MOMENTUM: f64 = 0.1;

/// Batch normalisation over the last axis, with `weight` and `bias` trained, and `running_mean`
/// and `running_var` (unbiased) recorded for evaluation.
#[derive(Debug, Clone)]
pub struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    running_mean: Var,
    running_var: Var,
}

impl BatchNorm {
    /// A layer for `channels` channels.
    ///
    /// # Errors
    /// When the names at `scope` are taken by variables of other shapes.
    pub fn new(scope: &Scope, channels: usize) -> Result<Self> {
        Ok(Self {
            weight: scope.var("weight", channels, Init::Const(1.0))?,
            bias: scope.var("bias", channels, Init::Const(0.0))?,
            running_mean: scope.buffer("running_mean", channels, 0.0)?,
            running_var: scope.buffer("running_var", channels, 1.0)?,
        })
    }

    /// Normalises `x` [..., C], adds `residual`, and rectifies if `relu`: with the statistics of
    /// the batch, which are recorded, in training, and with the recorded ones in evaluation.
    ///
    /// # Errors
    /// When shapes do not fit, or a batch to train on has fewer than two values for each channel.
    pub fn forward(
        &self,
        x: &Tensor,
        residual: Option<&Tensor>,
        relu: bool,
        mode: &Mode,
    ) -> Result<Tensor> {
        match mode {
            Mode::Train(_) => self.train(x, residual, relu, 1),
            Mode::Drop(_) | Mode::Eval => self.eval(x, residual, relu),
        }
    }

    /// Normalises `x` [..., C] whose pixels are then repeated, each as often: what is recorded is of
    /// all `copies`.
    ///
    /// # Errors
    /// As [`BatchNorm::forward`].
    pub fn forward_repeated(&self, x: &Tensor, copies: usize, mode: &Mode) -> Result<Tensor> {
        match mode {
            Mode::Train(_) => self.train(x, None, false, copies),
            Mode::Drop(_) | Mode::Eval => self.eval(x, None, false),
        }
    }

    fn train(
        &self,
        x: &Tensor,
        residual: Option<&Tensor>,
        relu: bool,
        copies: usize,
    ) -> Result<Tensor> {
        let count = copies * x.elem_count() / x.dim(D::Minus1)?.max(1);
        if count < 2 {
            bail!("batch normalisation needs at least 2 values for each channel, found {count}");
        }
        let scale_shift = kernel::stacked(&self.weight, &self.bias)?;
        let norm = kernel::BatchNorm { epsilon: EPSILON, relu };
        let running = kernel::Running {
            mean: self.running_mean.clone(),
            variance: self.running_var.clone(),
            share: MOMENTUM,
            unbiased: count as f64 / (count - 1) as f64,
        };
        let normed = kernel::batch_norm_recorded(x, &scale_shift, residual, norm, Some(&running))?;
        Ok(normed.output)
    }

    fn eval(&self, x: &Tensor, residual: Option<&Tensor>, relu: bool) -> Result<Tensor> {
        let mean = self.running_mean.as_detached_tensor();
        let deviation = (self.running_var.as_detached_tensor() + EPSILON)?.sqrt()?;
        let scale = (&self.weight / deviation)?;
        let shift = (&self.bias - (mean * &scale)?)?;
        kernel::channel_affine(x, &kernel::stacked(&scale, &shift)?, residual, relu)
    }
}

/// Group normalisation of the channels of each image, with `weight` and `bias`.
#[derive(Debug, Clone)]
pub struct GroupNorm {
    weight: Tensor,
    bias: Tensor,
    groups: usize,
}

impl GroupNorm {
    /// A layer for `channels` channels in `groups` groups, which must divide them.
    ///
    /// # Errors
    /// When the names at `scope` are taken by variables of other shapes.
    pub fn new(scope: &Scope, channels: usize, groups: usize) -> Result<Self> {
        let weight = scope.var("weight", channels, Init::Const(1.0))?;
        Ok(Self { weight, bias: scope.var("bias", channels, Init::Const(0.0))?, groups })
    }

    /// Normalises `x` [N, ..., C], adds `residual`, and rectifies if `relu`.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward(&self, x: &Tensor, residual: Option<&Tensor>, relu: bool) -> Result<Tensor> {
        let scale_shift = kernel::stacked(&self.weight, &self.bias)?;
        let norm = kernel::GroupNorm { groups: self.groups, epsilon: EPSILON, relu };
        kernel::group_norm(x, &scale_shift, residual, norm)
    }
}

/// Layer normalisation over the last axis, with `weight` and `bias`.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    epsilon: f64,
}

impl LayerNorm {
    /// A layer for rows of `width` elements; PyTorch's `epsilon` is 1e-5.
    ///
    /// # Errors
    /// When the names at `scope` are taken by variables of other shapes.
    pub fn new(scope: &Scope, width: usize, epsilon: f64) -> Result<Self> {
        let weight = scope.var("weight", width, Init::Const(1.0))?;
        Ok(Self { weight, bias: scope.var("bias", width, Init::Const(0.0))?, epsilon })
    }

    /// Normalises each row of `x` [..., C].
    ///
    /// # Errors
    /// When rows have another width.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        kernel::layer_norm(x, &self.weight, &self.bias, self.epsilon)
    }
}
