//! Windows of images laid out as rows of a matrix, some images at a time.

use candle_core::{DType, Result, Tensor};

use super::totals::column_totals;
use super::{Arg, Card, Factor, Grid, Product, Room, Source};
use crate::kernel::conv::Geometry;

/// Most bytes of windows that are laid out at a time.
const BYTES: usize = 256 << 20;
/// Rows are padded to a multiple of this, so that products may read 16 bytes at a time.
const MULTIPLE: usize = 8;
/// Blocks that a product should be cut among.
const BLOCKS: usize = 264;
/// Fewest windows of a share of a product.
const SHARE: usize = 512;

/// How windows are laid out.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    geometry: Geometry,
    dtype: DType,
    /// Elements of a row.
    pub(super) inner: usize,
}

/// Some neighbouring images.
pub(super) struct Chunk {
    first_image: usize,
    images: usize,
    pub(super) first_window: usize,
    pub(super) windows: usize,
}

/// A matrix of windows: room of its own, or the images themselves.
pub(super) enum Laid {
    Room(Room),
    There(Arg),
}

impl Laid {
    pub(super) fn at(&self) -> Arg {
        match self {
            Self::Room(room) => room.at(),
            Self::There(at) => *at,
        }
    }
}

impl Columns {
    pub(super) fn new(geometry: Geometry, dtype: DType) -> Self {
        let window = geometry.window_len();
        let inner = match geometry.is_pointwise() {
            true => window,
            false => window.next_multiple_of(MULTIPLE),
        };
        Self { geometry, dtype, inner }
    }

    fn windows_of_image(&self) -> usize {
        self.geometry.out_height * self.geometry.out_width
    }

    /// All images, as many at a time as there is room for.
    pub(super) fn chunks(&self) -> Vec<Chunk> {
        let windows = self.windows_of_image();
        let bytes = windows * self.inner * self.dtype.size_in_bytes();
        let most = match self.geometry.is_pointwise() {
            true => self.geometry.batch.max(1),
            false => (BYTES / bytes.max(1)).max(1),
        };
        let chunk = |first_image: usize| {
            let images = most.min(self.geometry.batch - first_image);
            let first_window = first_image * windows;
            Chunk { first_image, images, first_window, windows: images * windows }
        };
        (0..self.geometry.batch).step_by(most).map(chunk).collect()
    }

    /// The windows of a chunk of the images at `x`.
    pub(super) fn laid(&self, card: Card, x: Arg, chunk: &Chunk) -> Result<Laid> {
        let x = x.further(chunk.first_image * self.geometry.image_len(), self.dtype);
        if self.geometry.is_pointwise() {
            return Ok(Laid::There(x));
        }
        let to = card.room(chunk.windows * self.inner, self.dtype)?;
        let names = ["columns_wide", "columns_narrow"];
        self.launch(card, names, [x, to.at()], to.len())?;
        Ok(Laid::Room(to))
    }

    /// Where the windows of a chunk of `dx` are computed.
    pub(super) fn room_for(&self, card: Card, dx: &Room, chunk: &Chunk) -> Result<Laid> {
        Ok(match self.geometry.is_pointwise() {
            true => Laid::There(dx.from(chunk.first_image * self.geometry.image_len())),
            false => Laid::Room(card.room(chunk.windows * self.inner, self.dtype)?),
        })
    }

    /// Adds windows up to the images of `dx` that they are of.
    pub(super) fn gather(&self, card: Card, from: &Laid, dx: &Room, chunk: &Chunk) -> Result<()> {
        let Laid::Room(from) = from else { return Ok(()) };
        let len = self.geometry.image_len();
        let arrays = [from.at(), dx.from(chunk.first_image * len)];
        self.launch(card, ["gather_wide", "gather_narrow"], arrays, chunk.images * len)
    }

    /// Queues the kernel for vectors of channels or that for single ones.
    fn launch(
        &self,
        card: Card,
        [wide, narrow]: [&'static str; 2],
        arrays: [Arg; 2],
        len: usize,
    ) -> Result<()> {
        let vector = 16 / self.dtype.size_in_bytes();
        let is_wide =
            self.geometry.channels.is_multiple_of(vector) && arrays.iter().all(|at| at.is_even());
        let count = if is_wide { len / vector } else { len };
        let args = [&arrays[..], &[Arg::size(count)], &self.sizes()].concat();
        let name = if is_wide { wide } else { narrow };
        card.launch((Source::CONV, name), self.dtype, Grid::over(count), &args)
    }

    /// What kernels are told of sizes.
    fn sizes(&self) -> [Arg; 10] {
        let it = &self.geometry;
        let sides = [it.height, it.width, it.channels, it.kernel_width];
        let windows = [it.out_height, it.out_width, it.stride, it.padding];
        let [a, b, c, d] = sides.map(Arg::size);
        let [e, f, g, h] = windows.map(Arg::size);
        [a, b, c, d, e, f, g, h, Arg::size(it.window_len()), Arg::size(self.inner)]
    }
}

/// The product [inner, F] of all windows, transposed, with the gradient `dy` of what they became.
/// Its sums are long and there may be few of them, so they are cut into shares.
pub(super) fn product_of_columns(
    card: Card,
    columns: &Columns,
    [x, dy]: [Arg; 2],
) -> Result<Tensor> {
    let Columns { geometry, dtype, inner } = *columns;
    let (filters, size) = (geometry.filters, inner * geometry.filters);
    let chunks = columns.chunks();
    let Some(first) = chunks.first() else {
        return Ok(card.zeros(size, DType::F32)?.tensor((inner, filters)));
    };
    let tiles = inner.div_ceil(128) * filters.div_ceil(128);
    let shares = (BLOCKS / tiles).min(first.windows / SHARE).max(1);
    let parts = card.room(shares * size, DType::F32)?;
    for chunk in &chunks {
        let laid = columns.laid(card, x, chunk)?;
        let dy = dy.further(chunk.first_window * filters, dtype);
        let factors = [(laid.at(), inner), (dy, filters)];
        add_product(card, dtype, factors, (&parts, shares), chunk)?;
    }
    Ok(column_totals(card, parts, [shares, size])?.tensor((inner, filters)))
}

/// Adds the products of shares of a chunk's windows to `parts`, or begins them.
fn add_product(
    card: Card,
    dtype: DType,
    [(left, inner), (right, filters)]: [(Arg, usize); 2],
    (parts, shares): (&Room, usize),
    chunk: &Chunk,
) -> Result<()> {
    let share = chunk.windows / shares;
    let product = |first: usize, windows: usize, batch: usize, onto: f32| {
        let left = left.further(first * inner, dtype);
        let right = right.further(first * filters, dtype);
        let product = Product {
            batch,
            onto,
            ..Product::new(
                Factor::new(left, dtype, inner).t().every(windows * inner),
                Factor::new(right, dtype, filters).every(windows * filters),
                Factor::new(parts.at(), DType::F32, filters).every(inner * filters),
                [inner, filters, windows],
            )
        };
        card.multiply(&product)
    };
    if share > 0 {
        product(0, share, shares, f32::from(u8::from(chunk.first_image > 0)))?;
    }
    match chunk.windows - share * shares {
        0 => Ok(()),
        rest => product(share * shares, rest, 1, 1.0),
    }
}
