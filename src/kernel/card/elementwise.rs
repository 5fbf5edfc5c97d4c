//! Maps of single elements.

use candle_core::Result;

use super::{Arg, Grid, Made, Operand, Source};

/// `x + y`, element by element.
pub(crate) fn add(x: Operand, y: Operand) -> Result<Made> {
    let (card, len) = (x.card(), x.len());
    let to = card.room(len, x.dtype())?;
    let args = [x.at(), y.at(), to.at(), Arg::Long(len as i64)];
    let grid = Grid::chunks(len, x.dtype());
    card.launch((Source::ELEMENTWISE, "add"), x.dtype(), grid, &args)?;
    Ok(to.made(x.shape()))
}
