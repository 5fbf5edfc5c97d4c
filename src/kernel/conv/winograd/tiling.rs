//! Images cut into 2×2 tiles of outputs, row of tiles by row of tiles.

use std::ops::Range;

use super::POINTS;
use crate::kernel::conv::geometry::Geometry;
use crate::kernel::pieces::{ranges, shares};

/// Numbers of transformed tiles that fit the second cache (1 MiB of `f32`).
const BUFFER: usize = 256 * 1024;

#[derive(Clone, Copy)]
pub(super) struct Tiling {
    batch: usize,
    height: usize,
    width: usize,
}

impl Tiling {
    pub(super) fn new(geometry: &Geometry) -> Self {
        Self { batch: geometry.batch, height: geometry.height, width: geometry.width }
    }

    pub(super) fn pixels(&self) -> usize {
        self.batch * self.height * self.width
    }

    fn rows_per_image(&self) -> usize {
        self.height.div_ceil(2)
    }

    fn tiles_per_row(&self) -> usize {
        self.width.div_ceil(2)
    }

    fn rows(&self) -> usize {
        self.batch * self.rows_per_image()
    }

    /// Rows of tiles whose transforms for `size` channels and filters stay in the cache.
    pub(super) fn rows_per_piece(&self, size: (usize, usize)) -> usize {
        let tiles = (BUFFER / POINTS / (size.0 + size.1)).clamp(64, 512);
        (tiles / self.tiles_per_row()).max(1)
    }

    pub(super) fn pieces(&self, size: (usize, usize)) -> Vec<Piece> {
        let rows = ranges(self.rows(), self.rows_per_piece(size));
        rows.into_iter().map(|rows| self.piece(rows)).collect()
    }

    /// The rows of tiles in about `count` shares, each worth the sum that it needs.
    pub(super) fn shares(&self, count: usize) -> Vec<Range<usize>> {
        shares(self.rows(), count, 128usize.div_ceil(self.tiles_per_row()))
    }

    pub(super) fn piece(&self, rows: Range<usize>) -> Piece {
        Piece { tiling: *self, rows }
    }
}

/// A run of rows of tiles, possibly of several images.
pub(super) struct Piece {
    tiling: Tiling,
    rows: Range<usize>,
}

impl Piece {
    /// The number of tiles.
    pub(super) fn tiles(&self) -> usize {
        self.rows.len() * self.tiling.tiles_per_row()
    }

    /// The pixels its outputs cover.
    pub(super) fn pixels(&self) -> Range<usize> {
        self.first_pixel(self.rows.start)..self.first_pixel(self.rows.end)
    }

    /// Each tile, in order.
    #[inline(always)]
    pub(super) fn each(&self) -> impl Iterator<Item = Tile> {
        let Tiling { height, width, .. } = self.tiling;
        let (per_image, per_row) = (self.tiling.rows_per_image(), self.tiling.tiles_per_row());
        self.rows.clone().flat_map(move |row| {
            let (image, y) = (row / per_image, row % per_image * 2);
            (0..per_row).map(move |column| Tile { image, y, x: column * 2, height, width })
        })
    }

    fn first_pixel(&self, row: usize) -> usize {
        let Tiling { height, width, .. } = self.tiling;
        let (image, y) = (row / self.tiling.rows_per_image(), row % self.tiling.rows_per_image());
        (image * height + 2 * y) * width
    }
}

/// One 2×2 tile of outputs; at the lower and right borders part of it may lie outside.
pub(super) struct Tile {
    image: usize,
    y: usize,
    x: usize,
    height: usize,
    width: usize,
}

impl Tile {
    /// The index of the pixel `(down, right)` of the tile's upper left, or none outside.
    #[inline(always)]
    pub(super) fn pixel(&self, down: isize, right: isize) -> Option<usize> {
        let (y, x) = (self.y.wrapping_add_signed(down), self.x.wrapping_add_signed(right));
        let within = y < self.height && x < self.width;
        within.then(|| (self.image * self.height + y) * self.width + x)
    }
}
