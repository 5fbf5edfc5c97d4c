//! Layers that cannot stretch differences by more than they are allowed to.

use candle_core::{Result, Tensor, Var};

use super::mode::Mode;
use crate::kernel::{self, Effort, Map};
use crate::tensor::{Init, Scope};

/// Iterations before the first step, as in PyTorch.
const WARM_UP: usize = 15;
/// Most iterations of an evaluation.
const MOST: usize = 500;

/// Keeps the weight of a layer at a spectral norm (Miyato et al., 2018): it is divided by its
/// largest singular value, that of the convolution itself where it is one.
///
/// The right singular vector is kept as `right`. Each step of training moves it by one iteration,
/// with the numbers of PyTorch's `parametrizations.spectral_norm`. An estimate by iteration comes
/// from below, so an evaluation goes on from it until it stands still, and records nothing.
#[derive(Debug, Clone)]
pub struct Spectral {
    right: Var,
    map: Map,
    bound: f64,
}

impl Spectral {
    /// For a layer with `weight` that acts as `map`, its vector at `scope`.
    ///
    /// # Errors
    /// When the name at `scope` is taken by a variable of another shape, or `map` is of another
    /// weight.
    pub(super) fn new(scope: &Scope, weight: &Tensor, map: Map, bound: f64) -> Result<Self> {
        let shape = match map {
            Map::Matrix => vec![weight.dim(1)?],
            Map::Convolution { size: [height, width], .. } => vec![height, width, weight.dim(2)?],
        };
        let right = scope.drawn_buffer("right", shape, Init::Normal { std: 1.0 })?;
        let found = kernel::singular(weight, map, &right, Effort::Times(WARM_UP))?;
        right.set(&found.right)?;
        Ok(Self { right, map, bound })
    }

    /// `weight` at the spectral norm, with its gradient.
    ///
    /// # Errors
    /// When it is the weight of another layer.
    pub fn weight(&self, weight: &Tensor, mode: &Mode) -> Result<Tensor> {
        let right = self.right.as_detached_tensor();
        let effort = match mode {
            Mode::Train(_) => Effort::Times(1),
            Mode::Drop(_) | Mode::Eval => Effort::Settled(MOST),
        };
        let found = kernel::singular(weight, self.map, &right, effort)?;
        if let Mode::Train(_) = mode {
            self.right.set(&found.right)?;
        }
        kernel::bounded(weight, &found.slope, self.bound)
    }
}
