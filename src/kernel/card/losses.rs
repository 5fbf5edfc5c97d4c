//! Cross-entropy of class scores, and sums of losses.

use std::sync::OnceLock;

use candle_core::op::BackpropOp;
use candle_core::{DType, Result, Storage, Tensor};

use super::{Arg, Card, Grid, Made, Operand, Room, Source, on};

/// Rows of a block.
const ROWS: usize = 8;

/// What rows are scored by.
pub(crate) struct Targets<'a> {
    /// The class of each row in each part, part by part.
    pub(crate) labels: Vec<u32>,
    /// How much of a row each part is.
    pub(crate) shares: Vec<f64>,
    /// Of each class; none where all count alike.
    pub(crate) weights: &'a [f64],
    pub(crate) smoothing: f64,
    /// What the sum over rows is multiplied by.
    pub(crate) factor: f64,
}

/// Labels, shares and weights on the card, for the way back.
pub(crate) type Uploaded = OnceLock<Tensor>;

impl Targets<'_> {
    fn upload(&self, card: Card) -> Result<Room> {
        let numbers = self.shares.iter().chain(self.weights);
        let numbers = numbers.map(|number| (*number as f32).to_bits());
        card.upload(&self.labels.iter().copied().chain(numbers).collect::<Vec<u32>>())
    }

    /// Where labels, shares and weights begin in what was uploaded.
    fn at(&self, words: Arg) -> [Arg; 3] {
        let Arg::At(first) = words else { unreachable!("words begin at an address") };
        let from = |index: usize| Arg::At(first + 4 * index as u64);
        let (shares, has_weights) = (self.labels.len(), !self.weights.is_empty());
        let weights = if has_weights { from(shares + self.shares.len()) } else { Arg::NONE };
        [words, from(shares), weights]
    }
}

/// The mean over rows of what each comes to, in f32.
pub(crate) fn cross_entropy(
    logits: Operand,
    targets: &Targets,
    uploaded: &Uploaded,
) -> Result<Made> {
    let (card, (rows, classes)) = (logits.card(), logits.shape().dims2()?);
    let words = targets.upload(card)?;
    let [labels, shares, weights] = targets.at(words.at());
    let values = card.room(rows, DType::F32)?;
    let args = [
        logits.at(),
        labels,
        shares,
        weights,
        values.at(),
        Arg::size(rows),
        Arg::size(classes),
        Arg::size(targets.shares.len()),
        Arg::Float(targets.smoothing as f32),
    ];
    let grid = Grid::of(rows.div_ceil(ROWS), 32 * ROWS);
    card.launch((Source::LOSSES, "cross_entropy"), logits.dtype(), grid, &args)?;
    let count = words.len();
    uploaded.get_or_init(|| words.tensor(count));
    let mean = card.room(1, DType::F32)?;
    let factor = Arg::Float(targets.factor as f32);
    let args = [values.at(), mean.at(), Arg::size(rows), factor];
    card.launch((Source::LOSSES, "scaled_sum"), DType::F32, Grid::of(1, 1024), &args)?;
    Ok(mean.made(()))
}

/// The gradient by the scores, in their type.
pub(crate) fn cross_entropy_back(
    logits: &Tensor,
    by_loss: &Tensor,
    targets: &Targets,
    uploaded: &Uploaded,
) -> Result<Tensor> {
    let words = uploaded.get().expect("the forward pass has run");
    on([logits, by_loss, words], |[of_logits, by_loss, words]| {
        let (card, (rows, classes)) = (of_logits.card(), logits.dims2()?);
        let [labels, shares, weights] = targets.at(words.at());
        let to = card.room(of_logits.len(), logits.dtype())?;
        let args = [
            of_logits.at(),
            labels,
            shares,
            weights,
            by_loss.at(),
            to.at(),
            Arg::size(rows),
            Arg::size(classes),
            Arg::size(targets.shares.len()),
            Arg::Float(targets.smoothing as f32),
            Arg::Float(targets.factor as f32),
        ];
        let grid = Grid::of(rows.div_ceil(ROWS), 32 * ROWS);
        card.launch((Source::LOSSES, "cross_entropy_back"), logits.dtype(), grid, &args)?;
        Ok(to.tensor(logits.shape()))
    })
}

/// Numbers whose squared errors a block adds up.
const SHARE: usize = 4096;

/// The mean of squared errors, of and in f32.
pub(crate) fn squared_error(x: Operand, target: Operand) -> Result<Made> {
    let (card, len) = (x.card(), x.len());
    let blocks = len.div_ceil(SHARE);
    let (sums, mean) = (card.room(blocks, DType::F32)?, card.room(1, DType::F32)?);
    let args = [x.at(), target.at(), sums.at(), Arg::Long(len as i64)];
    card.launch((Source::LOSSES, "squared_errors"), DType::F32, Grid::of(blocks, 256), &args)?;
    let args = [sums.at(), mean.at(), Arg::size(blocks), Arg::Float((1.0 / len as f64) as f32)];
    card.launch((Source::LOSSES, "scaled_sum"), DType::F32, Grid::of(1, 1024), &args)?;
    Ok(mean.made(()))
}

/// The gradient of that by `x`.
pub(crate) fn squared_error_back(x: &Tensor, target: &Tensor, by_loss: &Tensor) -> Result<Tensor> {
    on([x, target, by_loss], |[of_x, target, by_loss]| {
        let (card, len) = (of_x.card(), of_x.len());
        let to = card.room(len, DType::F32)?;
        let arrays = [of_x.at(), target.at(), by_loss.at(), to.at()];
        let factor = Arg::Float((2.0 / len as f64) as f32);
        let args = [&arrays[..], &[Arg::Long(len as i64), factor]].concat();
        card.launch((Source::LOSSES, "squared_errors_back"), DType::F32, Grid::over(len), &args)?;
        Ok(to.tensor(x.shape()))
    })
}

/// `sum + weight · value` of scalars in f32, or without the sum.
pub(crate) fn plus_weighted(sum: Option<Operand>, value: Operand, weight: f64) -> Result<Made> {
    let card = value.card();
    let to = card.room(1, DType::F32)?;
    let sum = sum.map_or(Arg::NONE, |sum| sum.at());
    let args = [sum, value.at(), to.at(), Arg::Float(weight as f32)];
    card.launch((Source::LOSSES, "plus_weighted"), DType::F32, Grid::of(1, 32), &args)?;
    Ok(to.made(()))
}

/// The gradient by the value.
pub(crate) fn plus_weighted_back(by_sum: &Tensor, weight: f64) -> Result<Tensor> {
    on([by_sum], |[by_sum]| {
        let (storage, shape) = plus_weighted(None, by_sum, weight)?;
        Ok(Tensor::from_storage(Storage::Cuda(storage), shape, BackpropOp::none(), false))
    })
}
