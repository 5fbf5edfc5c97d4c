//! Cross-entropy of class scores.

use candle_core::{DType, Result, Tensor};

use super::{Arg, Grid, Made, Operand, Room, Source, on};

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

/// Targets on the card.
struct Uploaded {
    room: Room,
    rows: usize,
    parts: usize,
    has_weights: bool,
}

impl Uploaded {
    fn new(logits: &Operand, targets: &Targets) -> Result<Self> {
        let parts = targets.shares.len();
        let numbers = targets.shares.iter().chain(targets.weights);
        let numbers = numbers.map(|number| (*number as f32).to_bits());
        let words: Vec<u32> = targets.labels.iter().copied().chain(numbers).collect();
        Ok(Self {
            room: logits.card().upload(&words)?,
            rows: targets.labels.len() / parts.max(1),
            parts,
            has_weights: !targets.weights.is_empty(),
        })
    }

    /// Labels, shares and weights.
    fn at(&self) -> [Arg; 3] {
        let shares = self.rows * self.parts;
        let weights = shares + self.parts;
        let weights = if self.has_weights { self.room.from(weights) } else { Arg::NONE };
        [self.room.at(), self.room.from(shares), weights]
    }
}

/// The mean over rows of what each comes to, in f32.
pub(crate) fn cross_entropy(logits: Operand, targets: &Targets) -> Result<Made> {
    let (card, (rows, classes)) = (logits.card(), logits.shape().dims2()?);
    let uploaded = Uploaded::new(&logits, targets)?;
    let [labels, shares, weights] = uploaded.at();
    let values = card.room(rows, DType::F32)?;
    let args = [
        logits.at(),
        labels,
        shares,
        weights,
        values.at(),
        Arg::size(rows),
        Arg::size(classes),
        Arg::size(uploaded.parts),
        Arg::Float(targets.smoothing as f32),
    ];
    let grid = Grid::of(rows.div_ceil(ROWS), 32 * ROWS);
    card.launch((Source::LOSSES, "cross_entropy"), logits.dtype(), grid, &args)?;
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
) -> Result<Tensor> {
    on([logits, by_loss], |[of_logits, by_loss]| {
        let (card, (rows, classes)) = (of_logits.card(), logits.dims2()?);
        let uploaded = Uploaded::new(&of_logits, targets)?;
        let [labels, shares, weights] = uploaded.at();
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
            Arg::size(uploaded.parts),
            Arg::Float(targets.smoothing as f32),
            Arg::Float(targets.factor as f32),
        ];
        let grid = Grid::of(rows.div_ceil(ROWS), 32 * ROWS);
        card.launch((Source::LOSSES, "cross_entropy_back"), logits.dtype(), grid, &args)?;
        Ok(to.tensor(logits.shape()))
    })
}
