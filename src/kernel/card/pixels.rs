//! What pools, averages or repeats pixels of channels-last images.

use candle_core::{DType, Result, Tensor};

use super::{Arg, Card, Grid, Made, Operand, Room, Source, on};
use crate::kernel::MaxPool;

/// A kernel for vectors of channels, and that for single ones.
type Names = [&'static str; 2];

/// Which of two kernels takes arrays of so many channels, and the elements of a thread.
fn fitting(names: Names, dtype: DType, channels: usize, arrays: &[Arg]) -> (&'static str, usize) {
    let vector = 16 / dtype.size_in_bytes();
    match channels.is_multiple_of(vector) && arrays.iter().all(|at| at.is_even()) {
        true => (names[0], vector),
        false => (names[1], 1),
    }
}

/// Queues a kernel with a thread for each vector of an array of `len` elements.
fn over(
    card: Card,
    (names, dtype): (Names, DType),
    arrays: &[Arg],
    (len, channels): (usize, usize),
    sizes: &[usize],
) -> Result<()> {
    let (name, vector) = fitting(names, dtype, channels, arrays);
    let count = len / vector;
    let sizes: Vec<_> = sizes.iter().copied().map(Arg::size).collect();
    let args = [arrays, &[Arg::Long(count as i64)], &sizes].concat();
    card.launch((Source::PIXELS, name), dtype, Grid::over(count), &args)
}

/// The sizes that kernels of a pooling are told.
fn pooled(shape: &[usize], [rows, columns]: [usize; 2], pool: MaxPool) -> [usize; 8] {
    let MaxPool { side, stride, padding } = pool;
    [shape[1], shape[2], shape[3], rows, columns, side, stride, padding]
}

/// The largest of each window, of which there are `windows` along the sides of an image.
pub(crate) fn max_pool(x: Operand, windows: [usize; 2], pool: MaxPool) -> Result<Made> {
    let (batch, _, _, channels) = x.shape().dims4()?;
    let (card, shape) = (x.card(), (batch, windows[0], windows[1], channels));
    let len = batch * windows[0] * windows[1] * channels;
    let y = card.room(len, x.dtype())?;
    let names = ["largest_wide", "largest_narrow"];
    let sizes = pooled(x.shape().dims(), windows, pool);
    over(card, (names, x.dtype()), &[x.at(), y.at()], (len, channels), &sizes)?;
    Ok(y.made(shape))
}

/// What windows hand back to the first of their largest pixels.
pub(crate) fn max_pool_back(
    [x, y, dy]: [&Tensor; 3],
    windows: [usize; 2],
    pool: MaxPool,
) -> Result<Tensor> {
    on([x, y, dy], |[of_x, of_y, of_dy]| {
        let (card, dtype, channels) = (of_x.card(), of_x.dtype(), x.dims()[3]);
        let dx = card.room(of_x.len(), dtype)?;
        let arrays = [of_x.at(), of_y.at(), of_dy.at(), dx.at()];
        let names = ["largest_back_wide", "largest_back_narrow"];
        let sizes = pooled(x.dims(), windows, pool);
        over(card, (names, dtype), &arrays, (of_x.len(), channels), &sizes)?;
        Ok(dx.tensor(x.shape()))
    })
}

/// The mean over the pixels of each image.
pub(crate) fn average(x: Operand) -> Result<Made> {
    let (batch, height, width, channels) = x.shape().dims4()?;
    let (card, dtype) = (x.card(), x.dtype());
    let y = card.room(batch * channels, dtype)?;
    let names = ["average_wide", "average_narrow"];
    let (name, vector) = fitting(names, dtype, channels, &[x.at(), y.at()]);
    let blocks = [batch, (channels / vector).div_ceil(32), 1];
    let args = [x.at(), y.at(), Arg::size(height * width), Arg::size(channels)];
    let grid = Grid { blocks, threads: 256, shared: 0 };
    card.launch((Source::PIXELS, name), dtype, grid, &args)?;
    Ok(y.made((batch, channels)))
}

/// The gradient of the mean over pixels of `x`.
pub(crate) fn average_back(x: &Tensor, dy: &Tensor) -> Result<Tensor> {
    let (_, height, width, channels) = x.dims4()?;
    let names = ["average_back_wide", "average_back_narrow"];
    of_one(dy, x, names, &[height * width, channels])
}

/// Images resized by their nearest pixels.
pub(crate) fn nearest(x: Operand, [height, width]: [usize; 2]) -> Result<Made> {
    let (batch, from_height, from_width, channels) = x.shape().dims4()?;
    let y = x.card().room(batch * height * width * channels, x.dtype())?;
    let names = ["nearest_wide", "nearest_narrow"];
    let sizes = [from_height, from_width, channels, height, width];
    over(x.card(), (names, x.dtype()), &[x.at(), y.at()], (x.len(), channels), &sizes)?;
    Ok(y.made((batch, height, width, channels)))
}

/// The gradient of [`nearest`].
pub(crate) fn nearest_back(x: &Tensor, dy: &Tensor) -> Result<Tensor> {
    let ((_, height, width, channels), to) = (x.dims4()?, dy.dims4()?);
    let names = ["nearest_back_wide", "nearest_back_narrow"];
    of_one(dy, x, names, &[height, width, channels, to.1, to.2])
}

/// The gradient of `x` by a kernel that reads that of the output.
fn of_one(dy: &Tensor, x: &Tensor, names: Names, sizes: &[usize]) -> Result<Tensor> {
    let (len, channels) = (x.elem_count(), x.dims()[3]);
    let made: Room = on([dy], |[dy]| {
        let (card, dtype) = (dy.card(), dy.dtype());
        let dx = card.room(len, dtype)?;
        over(card, (names, dtype), &[dy.at(), dx.at()], (len, channels), sizes)?;
        Ok(dx)
    })?;
    Ok(made.tensor(x.shape()))
}
