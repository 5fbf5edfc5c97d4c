//! Maps of single elements, and columns of rows.

use candle_core::{DType, Result};

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

/// `x` in the other type of activations; nothing where that is not what is asked for.
pub(crate) fn in_type(x: Operand, dtype: DType) -> Result<Option<Made>> {
    let name = match (x.dtype(), dtype) {
        (DType::BF16, DType::F32) => "widened",
        (DType::F32, DType::BF16) => "narrowed",
        _ => return Ok(None),
    };
    let (card, len) = (x.card(), x.len());
    let to = card.room(len, dtype)?;
    let args = [x.at(), to.at(), Arg::Long(len as i64)];
    let grid = Grid::chunks(len, DType::BF16);
    card.launch((Source::ELEMENTWISE, name), DType::BF16, grid, &args)?;
    Ok(Some(to.made(x.shape())))
}

/// The elements of `part` from element `first` on, of `all` that are 0 elsewhere.
pub(crate) fn within(part: Operand, first: usize, all: usize) -> Result<Made> {
    let (card, dtype) = (part.card(), part.dtype());
    let to = card.room(all, dtype)?;
    let sizes = [all, first, part.len()].map(|size| Arg::Long(size as i64));
    let args = [&[part.at(), to.at()][..], &sizes].concat();
    card.launch((Source::ELEMENTWISE, "within"), dtype, Grid::over(all), &args)?;
    Ok(to.made(all))
}

/// The first `columns` of rows.
pub(crate) fn first_columns(x: Operand, columns: usize) -> Result<Made> {
    of_columns("first_columns", x, columns, [last(x), columns])
}

/// The gradient of rows of `all` columns by that of their first.
pub(crate) fn first_columns_back(dy: Operand, all: usize) -> Result<Made> {
    of_columns("first_columns_back", dy, all, [all, last(dy)])
}

/// Rows with so many columns, made by a kernel that is told how many of all there are.
fn of_columns(
    name: &'static str,
    x: Operand,
    made: usize,
    [all, first]: [usize; 2],
) -> Result<Made> {
    let (card, len) = (x.card(), x.len() / last(x).max(1) * made);
    let to = card.room(len, x.dtype())?;
    let sizes = [Arg::Long(len as i64), Arg::size(first), Arg::size(all)];
    let args = [&[x.at(), to.at()][..], &sizes].concat();
    card.launch((Source::ELEMENTWISE, name), x.dtype(), Grid::over(len), &args)?;
    let mut shape = x.shape().dims().to_vec();
    shape.pop();
    shape.push(made);
    Ok(to.made(shape))
}

/// The columns of rows.
fn last(rows: Operand) -> usize {
    rows.shape().dims().last().copied().unwrap_or(1)
}
