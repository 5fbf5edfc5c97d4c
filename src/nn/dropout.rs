//! Layers that leave things out while training.

use candle_core::{DType, Device, Result, Shape, Tensor};
use rayon::prelude::*;

use super::mode::Mode;
use crate::kernel;
use crate::seed::Stream;
use crate::tensor::Scope;

/// Factors drawn in one piece.
const PIECE: usize = 16 * 1024;

/// Sets elements to 0 with a probability while training, and scales the others up to keep the
/// mean (Srivastava et al. 2014). Uses within one step drop the same elements.
#[derive(Debug, Clone)]
pub struct Dropout {
    probability: f64,
    path: String,
}

impl Dropout {
    /// Drops with `probability` in [0, 1], by draws that belong to `scope`.
    pub fn new(scope: &Scope, probability: f64) -> Self {
        Self { probability, path: scope.path().to_owned() }
    }

    /// `x` with elements dropped in training.
    ///
    /// # Errors
    /// When `x` is not of `f32` or `f64`.
    pub fn forward(&self, x: &Tensor, mode: &Mode) -> Result<Tensor> {
        drop(x, x.dims(), self.probability, (mode, &self.path))
    }

    /// What is drawn on a card.
    #[cfg(feature = "cuda")]
    pub(super) fn draws(&self, mode: &Mode) -> Option<kernel::Draws> {
        draws((mode, &self.path), self.probability)
    }
}

/// Sets whole samples of a residual branch to 0 with a probability while training, and scales the
/// others up (stochastic depth, Huang et al. 2016, arXiv:1603.09382).
#[derive(Debug, Clone)]
pub struct DropPath {
    probability: f64,
    path: String,
}

impl DropPath {
    /// Drops with `probability` in [0, 1], by draws that belong to `scope`.
    pub fn new(scope: &Scope, probability: f64) -> Self {
        Self { probability, path: scope.path().to_owned() }
    }

    /// `x` [N, ...] with samples dropped in training.
    ///
    /// # Errors
    /// When `x` is a scalar or not of `f32` or `f64`.
    pub fn forward(&self, x: &Tensor, mode: &Mode) -> Result<Tensor> {
        drop(x, &[x.dim(0)?], self.probability, (mode, &self.path))
    }
}

/// `x` plus a branch [N, ...], of which `dropout` leaves out elements and `path` then samples.
///
/// # Errors
/// When the shapes differ.
pub fn residual(
    x: &Tensor,
    branch: &Tensor,
    (dropout, path): (&Dropout, &DropPath),
    mode: &Mode,
) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() {
        let of_elements = dropout.draws(mode);
        let of_samples = draws((mode, &path.path), path.probability);
        return kernel::residual(x, branch, [of_elements, of_samples]);
    }
    kernel::sum(x, &path.forward(&dropout.forward(branch, mode)?, mode)?)
}

fn drop(x: &Tensor, shape: &[usize], probability: f64, at: (&Mode, &str)) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() {
        return match draws(at, probability) {
            None => Ok(x.clone()),
            Some(draws) => draws.applied(x, shape),
        };
    }
    match keep_factors(at, probability, (shape, x.dtype()), x.device())? {
        None => Ok(x.clone()),
        Some(factors) => kernel::scaled(x, &factors),
    }
}

/// Factors that are 0 with `probability` and 1/(1 - probability) otherwise, drawn for the layer at
/// a path; none where nothing is dropped. They are drawn on `device`, everywhere the same.
///
/// # Errors
/// When the elements are not floats.
pub fn keep_factors(
    at: (&Mode, &str),
    probability: f64,
    (shape, dtype): (&[usize], DType),
    device: &Device,
) -> Result<Option<Tensor>> {
    #[cfg(feature = "cuda")]
    if device.is_cuda() {
        let draws = draws(at, probability);
        return draws.map(|draws| draws.factors(shape, dtype, device)).transpose();
    }
    let Some(stream) = stream(at, probability) else { return Ok(None) };
    let scale = scale(probability);
    let mut factors = vec![0f32; Shape::from(shape).elem_count()];
    // Each piece has a stream of its own, so that pieces can be drawn in any order.
    factors.par_chunks_mut(PIECE).enumerate().for_each(|(piece, factors)| {
        let mut stream = stream.at(piece as u64);
        factors.fill_with(|| if stream.uniform() < probability { 0.0 } else { scale });
    });
    Tensor::from_vec(factors, shape, &Device::Cpu)?.to_dtype(dtype)?.to_device(device).map(Some)
}

/// Where draws of the layer at a path come from; none where nothing is dropped.
fn stream((mode, path): (&Mode, &str), probability: f64) -> Option<Stream> {
    mode.stream(path).filter(|_| probability > 0.0)
}

/// The factor on what is kept.
fn scale(probability: f64) -> f32 {
    if probability < 1.0 { (1.0 / (1.0 - probability)) as f32 } else { 0.0 }
}

/// The same draws on a card.
#[cfg(feature = "cuda")]
fn draws(at: (&Mode, &str), probability: f64) -> Option<kernel::Draws> {
    let state = stream(at, probability)?.state();
    Some(kernel::Draws::new(state, probability, scale(probability)))
}
