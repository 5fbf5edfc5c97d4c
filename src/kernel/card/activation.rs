//! Activation functions.

use candle_core::{CpuStorage, CudaStorage, CustomOp2, DType, Layout, Result, Shape, Tensor, bail};

use super::dropout::{Draws, Kept, kept_at};
use super::linear::{room_for_columns, totals_of_columns};
use super::{Arg, Grid, Made, Operand, Room, Source, leaf, on};
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
/// used; which are 0 is kept for the way back.
///
/// # Errors
/// When rows have another length, or are not on a card.
pub fn gelu_of_sums(x: &Tensor, bias: &Tensor, draws: Option<Draws>) -> Result<Tensor> {
    let is_alike = bias.rank() == 1 && x.dims().last() == bias.dims().first();
    if !is_alike || bias.dtype() != DType::F32 {
        bail!("a bias {:?} of {:?} for rows of {:?}", bias.dtype(), bias.dims(), x.dims());
    }
    let draws = draws.unwrap_or(Draws::NONE);
    apply2(&x.contiguous()?, &bias.contiguous()?, GeluOfSums { draws, kept: Kept::new() })
}

struct GeluOfSums {
    draws: Draws,
    kept: Kept,
}

impl GeluOfSums {
    fn launch(&self, name: &'static str, places: &[Arg], x: Operand, columns: usize) -> Result<()> {
        let sizes = [Arg::Long(x.len() as i64), Arg::size(columns)];
        let args = [places, &sizes, &self.draws.args()].concat();
        let grid = Grid::spans(x.len(), x.dtype());
        x.card().launch((Source::ACTIVATION, name), x.dtype(), grid, &args)
    }

    fn forward(&self, x: Operand, bias: Operand) -> Result<Made> {
        let (card, dtype, len) = (x.card(), x.dtype(), x.len());
        let y = card.room(len, dtype)?;
        let kept = self.draws.room_for_kept(card, (len, dtype), &self.kept)?;
        self.launch("gelu_of_sums", &[x.at(), bias.at(), y.at(), kept], x, bias.len())?;
        Ok(y.made(x.shape()))
    }

    /// The gradient of `x`, and sums of its columns if they are wanted and made with it.
    fn backward(
        &self,
        [x, bias, dy]: [Operand; 3],
        wants_sums: bool,
    ) -> Result<(Made, Option<Room>)> {
        if dy.dtype() != x.dtype() {
            bail!("a gradient in {:?} of activations in {:?}", dy.dtype(), x.dtype());
        }
        let (card, form) = (x.card(), (x.len(), x.dtype()));
        let dx = card.room(x.len(), x.dtype())?;
        let is_even = [x.at(), bias.at(), dy.at(), dx.at()].iter().all(|it| it.is_even());
        let parts = match wants_sums && is_even {
            true => room_for_columns(card, form, bias.len())?,
            false => None,
        };
        let to = parts.as_ref().map_or(Arg::NONE, Room::at);
        let places = [x.at(), bias.at(), dy.at(), dx.at(), kept_at(&self.kept)?, to];
        self.launch("gelu_of_sums_back", &places, x, bias.len())?;
        Ok((dx.made(x.shape()), parts))
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
        self.forward(Operand::new(x, x_layout)?, Operand::new(bias, bias_layout)?)
    }

    fn bwd(
        &self,
        x: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let wants_sums = bias.track_op();
        let (dx, parts) = on([x, bias, dy], |all| self.backward(all, wants_sums))?;
        let dx = leaf(dx);
        let of_bias = wants_sums.then(|| totals_of_columns(&dx, parts)).transpose()?;
        Ok((x.track_op().then_some(dx), of_bias))
    }
}
