//! The statistics that normalisations divide by. They stay on the card.

use candle_core::{DType, Result, Tensor, bail};

use super::channel_map::{Parts, Sizes, Terms, distances};
use super::{Arg, Card, Grid, Made, Operand, Source, on};
use crate::kernel::Running;

/// Channels of a block.
const COLUMNS: usize = 8;

/// What data are normalised by, on the card.
pub(crate) struct Statistics {
    /// Of a batch its mean and variance [2, C]; of groups mean and inverse deviation [N, 2, G].
    pub(crate) values: Tensor,
    /// Factors, summands and centers of the affine map, [3, C] or [N, 3, C].
    pub(crate) table: Tensor,
}

/// Blocks over channels, with more threads where there is more to add up.
fn over(channels: usize, shares: usize) -> Grid {
    Grid::of(channels.div_ceil(COLUMNS), if shares > 64 { 1024 } else { 256 })
}

/// Blocks over the channels of images.
fn over_images(images: usize, channels: usize) -> Grid {
    Grid { blocks: [images, channels.div_ceil(COLUMNS), 1], threads: 256, shared: 0 }
}

fn launch(card: Card, name: &'static str, dtype: DType, grid: Grid, args: &[Arg]) -> Result<()> {
    card.launch((Source::STATISTICS, name), dtype, grid, args)
}

/// The statistics of a batch, recorded in `running`.
pub(crate) fn of_batch(
    x: Operand,
    scale_shift: Operand,
    epsilon: f64,
    running: Option<&Running>,
) -> Result<Statistics> {
    let (card, channels) = (x.card(), scale_shift.len() / 2);
    let pixels = x.len() / channels;
    let Parts { sums, shares, .. } = distances(x, [1, pixels, channels])?;
    let values = card.room(2 * channels, DType::F32)?;
    let table = card.room(3 * channels, DType::F32)?;
    recording(running, channels, |recorded| {
        let sizes = [pixels, channels, shares].map(Arg::size);
        let arrays = [x.at(), sums.at(), scale_shift.at(), values.at(), table.at()];
        let args = [&arrays[..], &sizes, &[Arg::Float(epsilon as f32)], &recorded].concat();
        launch(card, "of_batch", x.dtype(), over(channels, shares), &args)
    })?;
    Ok(Statistics { values: values.tensor((2, channels)), table: table.tensor((3, channels)) })
}

/// Runs `work` on where running statistics are, if there are any, and how they are moved.
fn recording(
    running: Option<&Running>,
    channels: usize,
    work: impl FnOnce([Arg; 4]) -> Result<()>,
) -> Result<()> {
    let Some(Running { mean, variance, share, unbiased }) = running else {
        return work([Arg::NONE, Arg::NONE, Arg::Float(0.0), Arg::Float(0.0)]);
    };
    on([mean, variance], |[mean, variance]| {
        if [mean.len(), variance.len()] != [channels; 2] {
            bail!("running statistics of {} channels for {channels}", mean.len());
        }
        let [share, unbiased] = [*share, *unbiased].map(|it| Arg::Float(it as f32));
        work([mean.at(), variance.at(), share, unbiased])
    })
}

/// What the way back through a batch's normalisation is made of.
pub(crate) fn of_batch_back(
    parts: &Parts,
    scale_shift: Operand,
    statistics: &Tensor,
    epsilon: f64,
) -> Result<Terms> {
    let (card, [_, pixels, channels]) = (scale_shift.card(), parts.sizes);
    let terms = card.room(3 * channels, DType::F32)?;
    let gradient = card.room(2 * channels, DType::F32)?;
    on([statistics], |[statistics]| {
        let arrays = [parts.sums.at(), scale_shift.at(), statistics.at()];
        let made = [terms.at(), gradient.at()];
        let sizes = [pixels, channels, parts.shares].map(Arg::size);
        let args = [&arrays[..], &made, &sizes, &[Arg::Float(epsilon as f32)]].concat();
        launch(card, "of_batch_back", DType::F32, over(channels, parts.shares), &args)
    })?;
    Ok([terms, gradient])
}

/// The same of a map whose scales and shifts are known.
pub(crate) fn of_known_back(parts: &Parts, scale_shift: Operand) -> Result<Terms> {
    let (card, [_, _, channels]) = (scale_shift.card(), parts.sizes);
    let terms = card.room(3 * channels, DType::F32)?;
    let gradient = card.room(2 * channels, DType::F32)?;
    let arrays = [parts.sums.at(), scale_shift.at(), terms.at(), gradient.at()];
    let args = [&arrays[..], &[channels, parts.shares].map(Arg::size)].concat();
    launch(card, "of_known_back", DType::F32, over(channels, parts.shares), &args)?;
    Ok([terms, gradient])
}

/// The statistics of groups of channels of images.
pub(crate) fn of_groups(
    x: Operand,
    scale_shift: Operand,
    sizes: Sizes,
    groups: usize,
    epsilon: f64,
) -> Result<Statistics> {
    let (card, [images, pixels, channels]) = (x.card(), sizes);
    let Parts { sums, shares, .. } = distances(x, sizes)?;
    let moments = card.room(images * 2 * channels, DType::F32)?;
    let counts = [pixels, channels, shares].map(Arg::size);
    let args = [&[x.at(), sums.at(), moments.at()][..], &counts].concat();
    launch(card, "of_images", x.dtype(), over_images(images, channels), &args)?;
    let values = card.room(images * 2 * groups, DType::F32)?;
    let table = card.room(images * 3 * channels, DType::F32)?;
    let arrays = [moments.at(), scale_shift.at(), values.at(), table.at()];
    let counts = [images, channels, groups].map(Arg::size);
    let args = [&arrays[..], &counts, &[Arg::Float(epsilon as f32)]].concat();
    launch(card, "of_groups", DType::F32, Grid::over(images * groups), &args)?;
    Ok(Statistics {
        values: values.tensor((images, 2, groups)),
        table: table.tensor((images, 3, channels)),
    })
}

/// What the way back through the normalisation of groups is made of.
pub(crate) fn of_groups_back(
    parts: &Parts,
    scale_shift: Operand,
    statistics: &Tensor,
    groups: usize,
) -> Result<Terms> {
    let (card, [images, pixels, channels]) = (scale_shift.card(), parts.sizes);
    let sums = card.room(images * 2 * channels, DType::F32)?;
    let counts = [channels, parts.shares].map(Arg::size);
    let args = [&[parts.sums.at(), sums.at()][..], &counts].concat();
    launch(card, "of_images_back", DType::F32, over_images(images, channels), &args)?;
    let terms = card.room(images * 3 * channels, DType::F32)?;
    on([statistics], |[statistics]| {
        let arrays = [sums.at(), scale_shift.at(), statistics.at(), terms.at()];
        let counts = [images, pixels, channels, groups].map(Arg::size);
        let args = [&arrays[..], &counts].concat();
        launch(card, "of_groups_back", DType::F32, Grid::over(images * groups), &args)
    })?;
    let gradient = card.room(2 * channels, DType::F32)?;
    let args = [sums.at(), gradient.at(), Arg::size(channels), Arg::size(images)];
    launch(card, "of_scales", DType::F32, over(channels, images), &args)?;
    Ok([terms, gradient])
}

/// Two tensors of parameters as one of `shape`.
pub(crate) fn stacked(x: Operand, y: Operand, shape: Vec<usize>) -> Result<Made> {
    if [x.dtype(), y.dtype()] != [DType::F32; 2] {
        bail!("scales and shifts on a card are f32, not {:?} and {:?}", x.dtype(), y.dtype());
    }
    let (card, len) = (x.card(), x.len());
    let to = card.room(2 * len, DType::F32)?;
    let args = [x.at(), y.at(), to.at(), Arg::size(len)];
    launch(card, "stacked", DType::F32, Grid::over(len), &args)?;
    Ok(to.made(shape))
}
