//! What convolutional encoders share: convolutions with He's initial weights, and the normalisation
//! of their channels.

use candle_core::{Result, Tensor};

use crate::catalog::{self, At, Misfit};
use crate::choice;
use crate::kernel;
use crate::nn::{BatchNorm, Conv2d, GroupNorm, Mode};
use crate::tensor::{Init, Scope};

choice! {
    /// What channels are normalised by.
    Norm {
        /// The mean and variance of the batch, recorded for evaluation.
        Batch = "batch",
        /// The mean and variance of groups of channels of the image itself.
        Group = "group",
    }
}

/// A convolution with He's initial weights for its outputs (He et al., 2015, eq. 14).
pub(super) fn conv(
    scope: &Scope,
    [from, to]: [usize; 2],
    side: usize,
    stride: usize,
) -> Result<Conv2d> {
    let std = (2.0 / (side * side * to) as f64).sqrt();
    // The layer takes the weight it finds, so this draw is the one that counts.
    scope.var("weight", (side, side, from, to), Init::Normal { std })?;
    Conv2d::new(scope, [from, to], side, kernel::Conv2d { stride, padding: side / 2 })
}

/// How the channels of a network are normalised.
#[derive(Debug, Clone, Copy)]
pub(super) struct Norms {
    pub norm: Norm,
    /// Groups of channels, where groups are normalised.
    pub groups: usize,
}

impl Norms {
    /// The layer of [`Normalization::forward`], declared.
    pub(super) fn layer(self, network: catalog::Network, added: Option<At>) -> catalog::Network {
        match self.norm {
            Norm::Batch => network.batch_norm(added),
            Norm::Group => network.group_norm(added),
        }
    }

    pub(super) fn build(self, scope: &Scope, channels: usize) -> Result<Normalization> {
        Ok(match self.norm {
            Norm::Batch => Normalization::Batch(BatchNorm::new(scope, channels)?),
            Norm::Group => Normalization::Group(GroupNorm::new(scope, channels, self.groups)?),
        })
    }

    /// Whether the groups divide each of these numbers of channels.
    pub(super) fn fits(self, channels: &[usize]) -> std::result::Result<(), Misfit> {
        let groups = self.groups;
        let uneven = channels.iter().find(|channels| *channels % groups != 0);
        let Some(uneven) = uneven.filter(|_| self.norm == Norm::Group) else { return Ok(()) };
        let divides = |groups: &usize| channels.iter().all(|channels| channels % groups == 0);
        let fitting: Vec<_> = (1..=64).filter(divides).map(|it| it.to_string()).collect();
        Err(Misfit {
            param: Some("groups"),
            message: format!("{uneven} channels cannot be divided among {groups} groups"),
            label: format!("{uneven} / {groups} leaves {} over", uneven % groups),
            help: format!("numbers of groups that fit: {}", fitting.join(", ")),
        })
    }
}

/// A normalisation of channels with its variables.
pub(super) enum Normalization {
    Batch(BatchNorm),
    Group(GroupNorm),
}

impl Normalization {
    /// Normalises `x`, adds `residual`, and rectifies if `relu`.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        residual: Option<&Tensor>,
        relu: bool,
        mode: &Mode,
    ) -> Result<Tensor> {
        match self {
            Self::Batch(norm) => norm.forward(x, residual, relu, mode),
            Self::Group(norm) => norm.forward(x, residual, relu),
        }
    }
}
