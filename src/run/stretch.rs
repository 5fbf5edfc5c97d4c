//! How far an encoder carries images apart, measured against the bound it is to keep.

use candle_core::{DType, Result, Tensor};
use serde::{Deserialize, Serialize};

use super::event::RunError;
use super::train::EVAL_BATCH;
use crate::graph::Model;
use crate::plan::Stage;

/// How far an image is moved towards the next, besides being compared with all others.
const STEP: f64 = 0.01;
/// What rounding may add to a measured ratio.
const ROUNDING: f64 = 1e-3;

/// The distance of two embeddings over that of their images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stretch {
    /// What it is at most, by the norms of the layers.
    pub bound: f64,
    /// The largest that was found.
    pub observed: f64,
}

impl Stretch {
    /// The stretch of the encoder of `model`, among the first of `items`; none where `stage` has no
    /// bound.
    ///
    /// # Errors
    /// When it is more than the bound.
    pub(super) fn of(
        stage: &Stage,
        model: &Model,
        items: &[u32],
        images: impl Fn(&[u32]) -> Result<Tensor>,
    ) -> std::result::Result<Option<Self>, RunError> {
        let Some(bound) = stage.model.lipschitz else { return Ok(None) };
        let images = images(&items[..items.len().min(EVAL_BATCH)])?;
        let stretch = Self::measured(&images, bound, |images| model.embed(images))?;
        if stretch.is_kept() {
            return Ok(Some(stretch));
        }
        Err(RunError::failed(
            format!("distances are stretched by {}, beyond {bound}", stretch.observed),
            "this is a fault of balance: please report it with the file",
        ))
    }

    /// Compares each of `images` with every other, and with itself moved a little towards the next.
    fn measured(
        images: &Tensor,
        bound: f64,
        embed: impl Fn(&Tensor) -> Result<Tensor>,
    ) -> Result<Self> {
        let rows = images.dim(0)?;
        let next = Tensor::cat(&[images.narrow(0, 1, rows - 1)?, images.narrow(0, 0, 1)?], 0)?;
        let moved = (images + ((next - images)? * STEP)?)?;
        let (inputs, outputs) = (numbers(images)?, numbers(&embed(images)?)?);
        let (near, near_outputs) = (numbers(&moved)?, numbers(&embed(&moved)?)?);
        let mut observed: f64 = 0.0;
        for a in 0..rows {
            let nearby = ratio([&inputs[a], &near[a]], [&outputs[a], &near_outputs[a]]);
            let others =
                (0..a).map(|b| ratio([&inputs[a], &inputs[b]], [&outputs[a], &outputs[b]]));
            observed = others.fold(observed.max(nearby), f64::max);
        }
        Ok(Self { bound, observed })
    }

    /// Whether the bound holds, but for rounding.
    fn is_kept(&self) -> bool {
        self.observed <= self.bound * (1.0 + ROUNDING)
    }
}

fn numbers(rows: &Tensor) -> Result<Vec<Vec<f32>>> {
    rows.flatten_from(1)?.to_dtype(DType::F32)?.to_vec2()
}

/// 0 for two images that are the same.
fn ratio(inputs: [&[f32]; 2], outputs: [&[f32]; 2]) -> f64 {
    let length = distance(inputs);
    if length > 0.0 { distance(outputs) / length } else { 0.0 }
}

fn distance([a, b]: [&[f32]; 2]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2));
    squares.sum::<f64>().sqrt()
}
