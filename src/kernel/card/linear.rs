//! The linear map of a fully connected layer: products by cuBLAS, and what is beside them.

use std::sync::OnceLock;

use candle_core::{DType, Result, Tensor};

use super::rounded::Form;
use super::totals::{column_totals, total};
use super::{Arg, Card, Factor, Grid, Made, Operand, Product, Room, Source, on};

/// The weight in the type of activations, for the way back.
pub(crate) type Rounded = OnceLock<Tensor>;

/// Elements that a thread of `finish` takes.
fn wide(dtype: DType) -> usize {
    16 / dtype.size_in_bytes()
}

/// The layer's inputs.
pub(crate) struct Layer<'a> {
    pub(crate) x: Operand<'a>,
    /// [O, I]
    pub(crate) weight: Operand<'a>,
    pub(crate) bias: Option<Operand<'a>>,
    pub(crate) relu: bool,
}

/// `x Wᵀ + b`, rectified if the layer says so; keeps the weight as products read it in `rounded`.
pub(crate) fn forward(layer: &Layer, rounded: &Rounded) -> Result<Made> {
    let Layer { x, weight, bias, relu } = layer;
    let (outputs, inputs) = weight.shape().dims2()?;
    let (card, dtype, rows) = (x.card(), x.dtype(), x.len() / inputs.max(1));
    let y = card.room(rows * outputs, dtype)?;
    let multiply = |weight: Arg| {
        card.multiply(&Product::new(
            Factor::new(x.at(), dtype, inputs),
            Factor::new(weight, dtype, inputs).t(),
            Factor::new(y.at(), dtype, outputs),
            [rows, outputs, inputs],
        ))
    };
    match dtype {
        DType::F32 => multiply(weight.at())?,
        _ => {
            let half =
                Form::Rows.of(*weight, ([outputs, inputs], dtype), || in_type(*weight, dtype))?;
            on([&half], |[half]| multiply(half.at()))?;
            rounded.get_or_init(|| half);
        }
    }
    if bias.is_some() || *relu {
        let args = [
            y.at(),
            bias.map_or(Arg::NONE, |bias| bias.at()),
            Arg::Long(y.len() as i64),
            Arg::size(outputs),
            Arg::Int(i32::from(*relu)),
        ];
        let grid = Grid::over(y.len().div_ceil(wide(dtype)));
        card.launch((Source::LINEAR, "finish"), dtype, grid, &args)?;
    }
    let mut shape = x.shape().dims().to_vec();
    shape.pop();
    shape.push(outputs);
    Ok(y.made(shape))
}

/// Parameters rounded to the type of activations.
fn in_type(values: Operand, dtype: DType) -> Result<Room> {
    let (card, len) = (values.card(), values.len());
    let to = card.room(len, dtype)?;
    let args = [values.at(), to.at(), Arg::Long(len as i64)];
    card.launch((Source::LINEAR, "rounded"), dtype, Grid::over(len), &args)?;
    Ok(to)
}

/// The gradients of input, weight and bias, each if it is wanted.
pub(crate) fn backward(
    [x, weight, y, dy]: [&Tensor; 4],
    bias: Option<&Tensor>,
    relu: bool,
    rounded: &Rounded,
) -> Result<[Option<Tensor>; 3]> {
    let dy = if relu { rectified(y, dy)? } else { dy.contiguous()? };
    let as_read = rounded.get().unwrap_or(weight);
    let (outputs, inputs) = weight.dims2()?;
    on([x, as_read, &dy], |[of_x, of_weight, of_dy]| {
        let (card, dtype, rows) = (of_x.card(), of_x.dtype(), of_x.len() / inputs.max(1));
        let dx = || -> Result<Tensor> {
            let to = card.room(rows * inputs, dtype)?;
            card.multiply(&Product::new(
                Factor::new(of_dy.at(), dtype, outputs),
                Factor::new(of_weight.at(), dtype, inputs),
                Factor::new(to.at(), dtype, inputs),
                [rows, inputs, outputs],
            ))?;
            Ok(to.tensor(x.shape()))
        };
        let dw = || -> Result<Tensor> {
            let to = card.room(outputs * inputs, DType::F32)?;
            card.multiply(&Product::new(
                Factor::new(of_dy.at(), dtype, outputs).t(),
                Factor::new(of_x.at(), dtype, inputs),
                Factor::new(to.at(), DType::F32, inputs),
                [outputs, inputs, rows],
            ))?;
            Ok(to.tensor((outputs, inputs)))
        };
        Ok([
            x.track_op().then(dx).transpose()?,
            weight.track_op().then(dw).transpose()?,
            bias.filter(|bias| bias.track_op()).map(|_| sums_of_columns(&dy)).transpose()?,
        ])
    })
}

/// What of `dy` passes a rectifier whose output was `y`.
pub(crate) fn rectified(y: &Tensor, dy: &Tensor) -> Result<Tensor> {
    on([y, dy], |[of_y, of_dy]| {
        let (card, len) = (of_y.card(), of_y.len());
        let to = card.room(len, of_y.dtype())?;
        let args = [of_y.at(), of_dy.at(), to.at(), Arg::Long(len as i64)];
        card.launch((Source::LINEAR, "rectified"), of_y.dtype(), Grid::over(len), &args)?;
        Ok(to.tensor(y.shape()))
    })
}

/// Blocks that sums of columns are shared among, where there is enough to add up: two for each
/// multiprocessor of an H100.
const BLOCKS: usize = 264;

/// The sum of each column of `x` [rows, columns], in f32.
pub(crate) fn column_sums(card: Card, x: Arg, dtype: DType, size: [usize; 2]) -> Result<Room> {
    let (parts, shares) = column_shares(card, x, dtype, size)?;
    column_totals(card, parts, [shares, size[1]])
}

/// The sum of each column over shares of the rows, [shares, columns].
fn column_shares(
    card: Card,
    x: Arg,
    dtype: DType,
    [rows, columns]: [usize; 2],
) -> Result<(Room, usize)> {
    let is_wide = columns.is_multiple_of(wide(dtype)) && x.is_even();
    let across = columns.div_ceil(32 * if is_wide { wide(dtype) } else { 1 }).max(1);
    let share = rows.div_ceil(BLOCKS.div_ceil(across)).max(32);
    let shares = rows.div_ceil(share).max(1);
    let parts = card.room(shares * columns, DType::F32)?;
    let args = [x, parts.at(), Arg::size(rows), Arg::size(columns), Arg::size(share)];
    let grid = Grid { blocks: [across, shares, 1], threads: 256, shared: 0 };
    let name = if is_wide { "column_shares_wide" } else { "column_shares_narrow" };
    card.launch((Source::LINEAR, name), dtype, grid, &args)?;
    Ok((parts, shares))
}

/// Room for the sums of columns that the blocks of [`Grid::spans`] write beside what they make of `len`
/// elements; none where they do not, as when their threads have no whole columns.
pub(super) fn room_for_columns(
    card: Card,
    (len, dtype): (usize, DType),
    columns: usize,
) -> Result<Option<Room>> {
    let row = 256 * wide(dtype);
    if !columns.is_multiple_of(wide(dtype)) || !row.is_multiple_of(columns) {
        return Ok(None);
    }
    let [blocks, ..] = Grid::spans(len, dtype).blocks;
    card.room(blocks * columns, DType::F32).map(Some)
}

/// The sum of each column of rows, over all other axes, in f32: from `parts`, where they are there.
/// Perhaps [`late`](super::totals::late).
pub(super) fn totals_of_columns(rows: &Tensor, parts: Option<Room>) -> Result<Tensor> {
    let Some(parts) = parts else { return sums_of_columns(rows) };
    let columns = rows.dims().last().copied().unwrap_or(1);
    let size = [parts.len() / columns.max(1), columns];
    total(Card::from(rows)?, parts, size, columns)
}

/// The sum of each column of rows, over all other axes, in f32; perhaps [`late`](super::totals::late).
pub(super) fn sums_of_columns(rows: &Tensor) -> Result<Tensor> {
    on([rows], |[of_rows]| {
        let columns = rows.dims().last().copied().unwrap_or(1);
        let size = [rows.elem_count() / columns.max(1), columns];
        let card = of_rows.card();
        let (parts, shares) = column_shares(card, of_rows.at(), of_rows.dtype(), size)?;
        total(card, parts, [shares, columns], columns)
    })
}
