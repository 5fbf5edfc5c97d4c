//! Activation functions.

use candle_core::{CpuStorage, CudaStorage, CustomOp2, DType, Layout, Result, Shape, Tensor, bail};

use super::dropout::Draws;
use super::linear::column_sums;
use super::{Arg, Grid, Made, Operand, Source, leaf, on};
use crate::kernel::tape::apply2;

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

/// GELU of rows `x` plus `bias` [columns], times drawn factors if there are any: drawn as they are
/// used, and again on the way back.
///
/// # Errors
/// When rows have another length, or are not on a card.
pub fn gelu_of_sums(x: &Tensor, bias: &Tensor, draws: Option<Draws>) -> Result<Tensor> {
    let is_alike = bias.rank() == 1 && x.dims().last() == bias.dims().first();
    if !is_alike || bias.dtype() != DType::F32 {
        bail!("a bias {:?} of {:?} for rows of {:?}", bias.dtype(), bias.dims(), x.dims());
    }
    let draws = draws.unwrap_or(Draws::NONE);
    apply2(&x.contiguous()?, &bias.contiguous()?, GeluOfSums { draws })
}

struct GeluOfSums {
    draws: Draws,
}

impl GeluOfSums {
    fn apply(&self, x: Operand, bias: Operand, dy: Option<Operand>) -> Result<Made> {
        let (card, dtype, len) = (x.card(), x.dtype(), x.len());
        if let Some(other) = dy.map(|dy| dy.dtype()).filter(|other| *other != dtype) {
            bail!("a gradient in {other:?} of activations in {dtype:?}");
        }
        let y = card.room(len, dtype)?;
        let slope = dy.map_or(Arg::NONE, |dy| dy.at());
        let sizes = [Arg::Long(len as i64), Arg::size(bias.len())];
        let arrays = [x.at(), bias.at(), slope, y.at()];
        let args = [&arrays[..], &sizes, &self.draws.args()].concat();
        let grid = Grid::chunks(len, dtype);
        card.launch((Source::ACTIVATION, "gelu_of_sums"), dtype, grid, &args)?;
        Ok(y.made(x.shape()))
    }
}

impl CustomOp2 for GeluOfSums {
    fn name(&self) -> &'static str {
        "gelu-of-sums"
    }

    fn cpu_fwd(
        &self,
        _x: &CpuStorage,
        _x_layout: &Layout,
        _bias: &CpuStorage,
        _bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("these factors are drawn on a card alone")
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        bias: &CudaStorage,
        bias_layout: &Layout,
    ) -> Result<Made> {
        self.apply(Operand::new(x, x_layout)?, Operand::new(bias, bias_layout)?, None)
    }

    fn bwd(
        &self,
        x: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dx = on([x, bias, dy], |[x, bias, dy]| self.apply(x, bias, Some(dy))).map(leaf)?;
        let of_bias = || {
            on([&dx], |[of_dx]| {
                let (columns, dtype) = (bias.elem_count(), of_dx.dtype());
                let size = [of_dx.len() / columns.max(1), columns];
                Ok(column_sums(of_dx.card(), of_dx.at(), dtype, size)?.tensor(columns))
            })
        };
        let of_bias = bias.track_op().then(of_bias).transpose()?;
        Ok((x.track_op().then_some(dx), of_bias))
    }
}
