//! Layer normalisation: rows in registers, statistics in f32.

use candle_core::{DType, Result, Tensor, bail};

use super::totals::total;
use super::{Arg, Grid, Made, Operand, Source, on};
use crate::kernel::tape::known_gradient;

/// Blocks that all rows are shared among, at most: as many as an H100 runs at a time, of short rows.
const FORWARD: usize = 660;
const BACKWARD: usize = 528;

/// Which kernels take rows of some elements: those of a warp, or those of a block.
enum Path {
    Warps([&'static str; 2]),
    Block,
}

impl Path {
    fn new(channels: usize, dtype: DType, places: &[Arg]) -> Self {
        let wide = 16 / dtype.size_in_bytes();
        if !channels.is_multiple_of(wide) || !places.iter().all(|it| it.is_even()) {
            return Self::Block;
        }
        match channels.div_ceil(32 * wide) {
            1 => Self::Warps(["layer_norm_1", "layer_norm_back_1"]),
            2 => Self::Warps(["layer_norm_2", "layer_norm_back_2"]),
            3 | 4 => Self::Warps(["layer_norm_4", "layer_norm_back_4"]),
            _ => Self::Block,
        }
    }

    /// The kernels there and back.
    fn names(&self) -> [&'static str; 2] {
        match self {
            Self::Warps(names) => *names,
            Self::Block => ["layer_norm_any", "layer_norm_back_any"],
        }
    }

    fn blocks(&self, rows: usize, most: usize) -> usize {
        let at_a_time = if let Self::Warps(_) = self { 8 } else { 1 };
        rows.div_ceil(at_a_time).min(most)
    }
}

/// Rows of `x` normalised, scaled and shifted.
pub(crate) fn forward(x: Operand, scale: Operand, shift: Operand, epsilon: f64) -> Result<Made> {
    let (card, dtype, channels) = (x.card(), x.dtype(), scale.len());
    let rows = x.len() / channels.max(1);
    let y = card.room(x.len(), dtype)?;
    let path = Path::new(channels, dtype, &[x.at(), y.at()]);
    let args = [
        x.at(),
        scale.at(),
        shift.at(),
        y.at(),
        Arg::size(rows),
        Arg::size(channels),
        Arg::Float(epsilon as f32),
    ];
    let grid = Grid::of(path.blocks(rows, FORWARD), 256);
    card.launch((Source::LAYER_NORM, path.names()[0]), dtype, grid, &args)?;
    Ok(y.made(x.shape()))
}

/// The gradients of input, scale and shift, that of the input with what is known of it.
pub(crate) fn backward([x, scale, dy]: [&Tensor; 3], epsilon: f64) -> Result<[Tensor; 3]> {
    match known_gradient(x.dtype()) {
        None => gradients([x, scale, dy], Arg::NONE, epsilon),
        Some(known) => on([&known], |[it]| gradients([x, scale, dy], it.at(), epsilon)),
    }
}

fn gradients([x, scale, dy]: [&Tensor; 3], known: Arg, epsilon: f64) -> Result<[Tensor; 3]> {
    on([x, scale, dy], |[of_x, of_scale, of_dy]| {
        let (card, dtype, channels) = (of_x.card(), of_x.dtype(), of_scale.len());
        let most = card.most_shared()? / 8;
        if channels > most {
            bail!("this card normalises rows of at most {most} elements, not of {channels}");
        }
        let rows = of_x.len() / channels.max(1);
        let dx = card.room(of_x.len(), dtype)?;
        let path = Path::new(channels, dtype, &[of_x.at(), of_dy.at(), dx.at(), known]);
        let blocks = path.blocks(rows, BACKWARD);
        let parts = card.room(blocks * 2 * channels, DType::F32)?;
        let args = [
            of_x.at(),
            of_dy.at(),
            known,
            of_scale.at(),
            dx.at(),
            parts.at(),
            Arg::size(rows),
            Arg::size(channels),
            Arg::Float(epsilon as f32),
        ];
        let shared = if let Path::Block = path { 8 * channels } else { 0 };
        let grid = Grid { shared, ..Grid::of(blocks, 256) };
        card.launch((Source::LAYER_NORM, path.names()[1]), dtype, grid, &args)?;
        let sums = total(card, parts, [blocks, 2 * channels], (2, channels))?;
        Ok([dx.tensor(x.shape()), sums.get(0)?, sums.get(1)?])
    })
}
