//! Activation functions.

use candle_core::{Result, Tensor};

use super::{Arg, Grid, Made, Operand, Source, on};

/// The function of a name for each element of `x`.
pub(crate) fn forward(name: &'static str, x: Operand) -> Result<Made> {
    let (card, dtype, len) = (x.card(), x.dtype(), x.len());
    let y = card.room(len, dtype)?;
    let args = [x.at(), y.at(), Arg::Long(len as i64)];
    card.launch((Source::ACTIVATION, name), dtype, Grid::chunks(len, dtype), &args)?;
    Ok(y.made(x.shape()))
}

/// The gradient of its input, by the kernel of a name.
pub(crate) fn backward(name: &'static str, x: &Tensor, dy: &Tensor) -> Result<Tensor> {
    on([x, dy], |[of_x, of_dy]| {
        let (card, dtype, len) = (of_x.card(), of_x.dtype(), of_x.len());
        let dx = card.room(len, dtype)?;
        let args = [of_x.at(), of_dy.at(), dx.at(), Arg::Long(len as i64)];
        card.launch((Source::ACTIVATION, name), dtype, Grid::chunks(len, dtype), &args)?;
        Ok(dx.tensor(x.shape()))
    })
}
