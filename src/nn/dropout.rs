//! Layers that leave things out while training.

use candle_core::{DType, Device, Result, Shape, Tensor};
use rayon::prelude::*;

use super::mode::Mode;
use crate::kernel::{self, PairFactors};
use crate::seed::{Stream, threshold};
use crate::tensor::Scope;

/// Factors drawn in one piece.
const PIECE: usize = 16 * 1024;

/// Rows of pairs of a task.
const ROWS: usize = 256;

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
        return residual_of_sums(x, (branch, None), (dropout, path), mode);
    }
    kernel::sum(x, &path.forward(&dropout.forward(branch, mode)?, mode)?)
}

/// The same on a card of a branch to whose rows a bias is added before, if there is one.
#[cfg(feature = "cuda")]
pub(super) fn residual_of_sums(
    x: &Tensor,
    (branch, bias): (&Tensor, Option<&Tensor>),
    (dropout, path): (&Dropout, &DropPath),
    mode: &Mode,
) -> Result<Tensor> {
    let of_samples = draws((mode, &path.path), path.probability);
    kernel::residual(x, branch, bias, [dropout.draws(mode), of_samples])
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
    let mut factors = vec![0f32; Shape::from(shape).elem_count()];
    // Each piece has a stream of its own, so that pieces can be drawn in any order.
    factors.par_chunks_mut(PIECE).enumerate().for_each(|(piece, factors)| {
        draw(factors, stream.at(piece as u64), probability);
    });
    Tensor::from_vec(factors, shape, &Device::Cpu)?.to_dtype(dtype)?.to_device(device).map(Some)
}

/// Draws factors, two of 64 bits.
fn draw(factors: &mut [f32], mut stream: Stream, probability: f64) {
    let (limit, scale) = (threshold(probability), scale(probability));
    for pair in factors.chunks_mut(2) {
        let mut bits = stream.bits();
        for factor in pair {
            *factor = if bits & u64::from(u32::MAX) < limit { 0.0 } else { scale };
            bits >>= 32;
        }
    }
}

/// The same for the pairs [B,H,M,N] of attention on what is like `like`, each row of N with a stream of
/// its own: on a card they are drawn as they are used.
///
/// # Errors
/// When the elements are not floats.
pub fn pair_factors(
    at: (&Mode, &str),
    probability: f64,
    shape: &[usize],
    like: &Tensor,
) -> Result<Option<PairFactors>> {
    #[cfg(feature = "cuda")]
    if like.device().is_cuda() {
        return Ok(draws(at, probability).map(PairFactors::Drawn));
    }
    let Some(stream) = stream(at, probability) else { return Ok(None) };
    let tokens = shape.last().copied().unwrap_or(1).max(1);
    let mut factors = vec![0f32; Shape::from(shape).elem_count()];
    factors.par_chunks_mut(ROWS * tokens).enumerate().for_each(|(task, factors)| {
        for (row, factors) in factors.chunks_mut(tokens).enumerate() {
            draw(factors, stream.at((task * ROWS + row) as u64), probability);
        }
    });
    let factors = Tensor::from_vec(factors, shape, &Device::Cpu)?.to_dtype(like.dtype())?;
    Ok(Some(PairFactors::Given(factors.to_device(like.device())?)))
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
    Some(kernel::Draws::new(state, threshold(probability), scale(probability)))
}
