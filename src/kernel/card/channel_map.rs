//! Passes over channels-last data that treat every channel alike: sums, and affine maps with an
//! optional residual and rectifier.

use candle_core::{DType, Result, Tensor, bail};

use super::{Arg, Grid, Made, Operand, Room, Source, on};

/// Threads of a block.
const THREADS: usize = 256;
/// Most threads of a block side by side.
const LANES: usize = 32;
/// Blocks that sums are shared among, where there is enough to add up: three for each
/// multiprocessor of an H100 have room at a time.
const BLOCKS: usize = 396;
/// Pixels that a thread maps.
const PIXELS: usize = 8;

/// Images, pixels of each, and channels.
pub(crate) type Sizes = [usize; 3];

/// How a pass is cut among blocks.
#[derive(Clone, Copy)]
struct Cut {
    sizes: Sizes,
    is_wide: bool,
    lanes: usize,
    columns: usize,
    /// Pixels of an image that a block takes.
    length: usize,
}

impl Cut {
    /// A pass over arrays that begin at `arrays`.
    fn new(sizes: Sizes, dtype: DType, arrays: &[Arg]) -> Self {
        let (channels, vector) = (sizes[2], 16 / dtype.size_in_bytes());
        let is_even = |at: &Arg| matches!(at, Arg::At(at) if at % 16 == 0);
        let is_wide = channels % vector == 0 && arrays.iter().all(is_even);
        let groups = channels / if is_wide { vector } else { 1 };
        let lanes = groups.next_power_of_two().min(LANES);
        let length = PIXELS * (THREADS / lanes);
        Self { sizes, is_wide, lanes, columns: groups.div_ceil(lanes), length }
    }

    /// The same for sums, with fewer blocks.
    fn for_sums(self) -> Self {
        let [images, pixels, _] = self.sizes;
        let rows = THREADS / self.lanes;
        let most = (BLOCKS / (self.columns * images).max(1)).max(1);
        let length = pixels.div_ceil(most).max(4 * rows).next_multiple_of(rows);
        Self { length, ..self }
    }

    /// Blocks of an image.
    fn shares(&self) -> usize {
        self.sizes[1].div_ceil(self.length)
    }

    fn grid(&self) -> Grid {
        let blocks = [self.sizes[0] * self.shares(), self.columns, 1];
        Grid { blocks, threads: THREADS, shared: 0 }
    }

    /// The kernel for vectors of channels or that for single ones.
    fn kernel(&self, [wide, narrow]: [&'static str; 2]) -> (&'static Source, &'static str) {
        (Source::CHANNEL_MAP, if self.is_wide { wide } else { narrow })
    }

    /// What every pass is told last.
    fn args(&self) -> [Arg; 5] {
        let [_, pixels, channels] = self.sizes;
        [pixels, channels, self.shares(), self.length, self.lanes].map(Arg::size)
    }
}

/// Two sums for each channel of each image over shares of its pixels, [images, shares, 2, channels].
pub(crate) struct Parts {
    pub(crate) sums: Room,
    pub(crate) shares: usize,
    pub(crate) sizes: Sizes,
}

/// The sums of distances from each image's first pixel, and of their squares.
pub(crate) fn distances(x: Operand, sizes: Sizes) -> Result<Parts> {
    let (card, cut) = (x.card(), Cut::new(sizes, x.dtype(), &[x.at()]).for_sums());
    let shares = cut.shares();
    let sums = card.room(sizes[0] * shares * 2 * sizes[2], DType::F32)?;
    let args = [&[x.at(), sums.at()][..], &cut.args()].concat();
    let kernel = cut.kernel(["distances_wide", "distances_narrow"]);
    card.launch(kernel, x.dtype(), cut.grid(), &args)?;
    Ok(Parts { sums, shares, sizes })
}

/// Factors, summands, and if there are any centers of each channel: [2, C], [3, C], or
/// [images, 3, C].
#[derive(Clone, Copy)]
struct Table<'a> {
    values: Operand<'a>,
    sizes: Sizes,
}

impl Table<'_> {
    fn rows(&self) -> usize {
        self.values.len() / (self.sizes[2] * self.images()).max(1)
    }

    fn images(&self) -> usize {
        if self.values.shape().rank() == 3 { self.sizes[0] } else { 1 }
    }

    fn row(&self, index: usize) -> Arg {
        match self.values.at() {
            Arg::At(at) if index < self.rows() => Arg::At(at + 4 * (index * self.sizes[2]) as u64),
            _ => Arg::NONE,
        }
    }

    /// From the table of an image to that of the next one.
    fn stride(&self) -> Arg {
        let is_one = self.values.shape().rank() < 3;
        Arg::size(if is_one { 0 } else { self.rows() * self.sizes[2] })
    }
}

/// The map of `x` by a table, with what is added, rectified if `relu`.
pub(crate) fn apply(
    x: Operand,
    (table, sizes): (Operand, Sizes),
    residual: Option<Operand>,
    relu: bool,
) -> Result<Made> {
    let (card, dtype, table) = (x.card(), x.dtype(), Table { values: table, sizes });
    if residual.is_some_and(|residual| residual.dtype() != dtype) {
        bail!("what is added to activations in {dtype:?} must be of their type");
    }
    let y = card.room(x.len(), dtype)?;
    let residual = residual.map(|residual| residual.at());
    let added = residual.unwrap_or(x.at());
    let cut = Cut::new(sizes, dtype, &[x.at(), y.at(), added]);
    let kernel = cut.kernel(match residual {
        None => ["affine_wide", "affine_narrow"],
        Some(_) => ["affine_added_wide", "affine_added_narrow"],
    });
    let relu = Arg::Int(i32::from(relu));
    let args = [x.at(), added, table.row(0), table.row(1), table.stride(), y.at(), relu];
    card.launch(kernel, dtype, cut.grid(), &[&args[..], &cut.args()].concat())?;
    Ok(y.made(x.shape()))
}

/// A way back through a map.
#[derive(Clone, Copy)]
pub(crate) struct Back<'a> {
    pub(crate) x: &'a Tensor,
    pub(crate) y: &'a Tensor,
    pub(crate) dy: &'a Tensor,
    /// What is to be added to `dy`; there only where there are a rectifier and something added.
    pub(crate) other: Option<&'a Tensor>,
    pub(crate) scale_shift: &'a Tensor,
    /// What the map was made by.
    pub(crate) table: &'a Tensor,
    pub(crate) relu: bool,
    pub(crate) has_residual: bool,
    pub(crate) sizes: Sizes,
}

/// What the way back is made of, `terms` and the gradient of scales and shifts.
pub(crate) type Terms = [Room; 2];

/// The gradients of input, scales and shifts, and of what is added.
pub(crate) fn backward(
    back: &Back,
    terms: impl FnOnce(Parts, Operand) -> Result<Terms>,
) -> Result<[Tensor; 3]> {
    let Back { x, y, dy, scale_shift, table, sizes, .. } = *back;
    if dy.dtype() != x.dtype() {
        bail!("a gradient in {:?} of activations in {:?}", dy.dtype(), x.dtype());
    }
    on([x, y, dy, table, scale_shift], |[x, y, dy, table, scale_shift]| {
        let table = Table { values: table, sizes };
        let (parts, passed) = match back.other {
            None => slopes(back, [x, y, dy], Arg::NONE, table)?,
            Some(other) => on([other], |[it]| slopes(back, [x, y, dy], it.at(), table))?,
        };
        let [terms, gradient] = terms(parts, scale_shift)?;
        let dy_at = passed.as_ref().map_or(dy.at(), Room::at);
        let is_masked = back.relu && !back.has_residual;
        let dx = combine(x, dy_at, &terms, table, is_masked)?;
        let gradient = gradient.tensor(scale_shift.shape());
        let residual = passed.map_or_else(|| back.dy.clone(), |it| it.tensor(x.shape()));
        Ok([dx.tensor(x.shape()), gradient, residual])
    })
}

/// Sums of `dy` behind the rectifier and of its products with distances from centers; and `dy`, with
/// the `other` part of it, behind the rectifier where it is the gradient of what is added.
fn slopes(
    back: &Back,
    [x, y, dy]: [Operand; 3],
    other: Arg,
    table: Table,
) -> Result<(Parts, Option<Room>)> {
    let (card, dtype, sizes) = (x.card(), x.dtype(), table.sizes);
    let is_passed = back.relu && back.has_residual;
    let passed = is_passed.then(|| card.room(x.len(), dtype)).transpose()?;
    let to = passed.as_ref().map_or(Arg::NONE, Room::at);
    let cut = Cut::new(sizes, dtype, &[x.at(), y.at(), dy.at(), other]).for_sums();
    let shares = cut.shares();
    let sums = card.room(sizes[0] * shares * 2 * sizes[2], DType::F32)?;
    let kernel = cut.kernel(match (back.relu, is_passed) {
        (false, _) => ["slopes_plain_wide", "slopes_plain_narrow"],
        (true, true) => ["slopes_passed_wide", "slopes_passed_narrow"],
        (true, false) => ["slopes_again_wide", "slopes_again_narrow"],
    });
    let rows = [table.row(0), table.row(1), table.row(2), table.stride()];
    let args =
        [&[x.at(), y.at(), dy.at(), other][..], &rows, &[to, sums.at()], &cut.args()].concat();
    card.launch(kernel, dtype, cut.grid(), &args)?;
    Ok((Parts { sums, shares, sizes }, passed))
}

/// `a dy + b (x - center) + c`, with `dy` behind the rectifier if it is not yet.
fn combine(x: Operand, dy: Arg, terms: &Room, table: Table, is_masked: bool) -> Result<Room> {
    let (card, dtype, sizes) = (x.card(), x.dtype(), table.sizes);
    let dx = card.room(x.len(), dtype)?;
    let cut = Cut::new(sizes, dtype, &[x.at(), dy, dx.at()]);
    let kernel = cut.kernel(match is_masked {
        false => ["combine_plain_wide", "combine_plain_narrow"],
        true => ["combine_again_wide", "combine_again_narrow"],
    });
    let is_one = terms.len() == 3 * sizes[2];
    let of_terms = [terms.at(), Arg::size(if is_one { 0 } else { 3 * sizes[2] })];
    let rows = [table.row(0), table.row(1), table.row(2), table.stride(), dx.at()];
    let args = [&[x.at(), dy][..], &of_terms, &rows, &cut.args()].concat();
    card.launch(kernel, dtype, cut.grid(), &args)?;
    Ok(dx)
}
