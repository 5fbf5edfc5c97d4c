//! Anchors against columns, a tile of anchors at a time.
//!
//! Factors are sums of two numbers in bf16, the nearest and what is left, so that products are near
//! those in f32 at several times the speed.

use std::cell::Cell;

use candle_core::{DType, Result};

use super::super::{Arg, Factor, Grid, Product, Room, Source};
use super::Work;

/// Dot products that are held at once: half a GiB of them, for fewer and larger products are faster.
const HELD: usize = 128 << 20;

thread_local! {
    static MOST: Cell<usize> = const { Cell::new(HELD) };
}

/// Runs `work` with no more dot products held at once than `most`, or than 128 anchors have.
pub fn holding_at_once<R>(most: usize, work: impl FnOnce() -> R) -> R {
    struct Back(usize);
    impl Drop for Back {
        fn drop(&mut self) {
            MOST.set(self.0);
        }
    }
    let _back = Back(MOST.replace(most));
    work()
}

/// Embeddings, each number the sum of two in bf16, h and what is left l.
pub(super) struct Halves {
    /// Rows h h l.
    left: Room,
    /// Rows h l h l: against `left`, all but the product of what is left; as twice as many rows, a
    /// factor of derivatives.
    both: Room,
}

/// Anchors against columns.
pub(super) struct Pass<'a> {
    pub(super) group: (usize, usize),
    /// Where anchors are, from the row `from` on; the number of the first, and how many they are.
    pub(super) anchors: &'a Halves,
    pub(super) from: usize,
    pub(super) first: usize,
    pub(super) count: usize,
    pub(super) columns: &'a Halves,
    /// Of the columns.
    pub(super) views: usize,
    /// The values of the first anchor are so many places further on.
    pub(super) shift: usize,
    pub(super) onto: bool,
    /// The gradients by anchors and columns, which are added to what is there.
    pub(super) by: Option<[Arg; 2]>,
}

/// What a pass fills, tile by tile.
struct Tiles {
    /// Rows of `pitch` dot products.
    dots: Room,
    pitch: usize,
    /// Where derivatives go if they do not fit in the place of dot products.
    beside: Option<Room>,
    /// Dot products that a block keeps.
    held: usize,
    /// Gradients by columns: [parts, columns, 2, padded].
    by_columns: Option<Room>,
    parts: usize,
}

impl Work<'_> {
    /// Numbers of a row of halves.
    fn padded(&self) -> usize {
        self.width.next_multiple_of(8)
    }

    pub(super) fn halves(&self, from: Arg, rows: usize) -> Result<Halves> {
        let n = rows * self.padded();
        let left = self.card.room(3 * n, DType::BF16)?;
        let both = self.card.room(4 * n, DType::BF16)?;
        let [width, padded] = [self.width, self.padded()].map(Arg::size);
        let args = [from, left.at(), both.at(), width, padded, Arg::Long(n as i64)];
        self.card.launch((Source::EMBEDDINGS, "halves"), DType::F32, Grid::over(n), &args)?;
        Ok(Halves { left, both })
    }

    pub(super) fn pass(&self, pass: &Pass) -> Result<()> {
        let columns = pass.views * self.table.items;
        let pitch = columns.next_multiple_of(8);
        let tile = match MOST.get() / pitch {
            tile if tile >= pass.count => pass.count,
            tile => (tile / 128 * 128).max(128).min(pass.count),
        };
        let tiles = self.tiles(pass, tile, (columns, pitch))?;
        for start in (0..pass.count).step_by(tile) {
            let count = tile.min(pass.count - start);
            let padded = self.padded();
            let anchors = pass.anchors.left.from((pass.from + start) * 3 * padded);
            self.card.multiply(&Product::new(
                Factor::new(anchors, DType::BF16, 3 * padded),
                Factor::new(pass.columns.both.at(), DType::BF16, 4 * padded).t(),
                Factor::new(tiles.dots.at(), DType::F32, pitch),
                [count, columns, 3 * padded],
            ))?;
            self.differentiate(pass, &tiles, (start, count))?;
            if let Some([by_anchors, _]) = pass.by {
                let to = by_anchors.further(start * self.width, DType::F32);
                self.to_anchors(pass, &tiles, to, count)?;
                self.to_columns(pass, &tiles, (start, count))?;
            }
        }
        let (Some([_, to]), Some(by_columns)) = (pass.by, &tiles.by_columns) else { return Ok(()) };
        self.add(by_columns, to, (tiles.parts, 2), columns)
    }

    fn tiles(&self, pass: &Pass, tile: usize, (columns, pitch): (usize, usize)) -> Result<Tiles> {
        let is_held = 4 * pitch + found(pass) <= self.card.most_shared()?;
        let parts = parts(2 * tile, columns);
        let is_tracked = pass.by.is_some();
        let room = |len: usize, is_needed: bool| {
            is_needed.then(|| self.card.room(len, DType::F32)).transpose()
        };
        Ok(Tiles {
            dots: self.card.room(tile * pitch, DType::F32)?,
            pitch,
            beside: room(tile * pitch, is_tracked && !is_held)?,
            held: if is_held { pitch } else { 0 },
            by_columns: room(parts * columns * 2 * self.padded(), is_tracked)?,
            parts,
        })
    }

    /// The values of some anchors, and derivatives in the place of their dot products.
    fn differentiate(
        &self,
        pass: &Pass,
        tiles: &Tiles,
        (start, count): (usize, usize),
    ) -> Result<()> {
        let [rows, items, _] = self.sizes();
        let (first, terms) = pass.group;
        let args = [
            tiles.dots.at(),
            self.words.at(),
            self.terms(first),
            self.values.from(pass.shift),
            tiles.derivatives(),
            rows,
            items,
            Arg::size(pass.views),
            Arg::size(tiles.pitch),
            Arg::size(pass.first + start),
            Arg::size(terms),
            Arg::Int(i32::from(pass.by.is_some())),
            Arg::Int(i32::from(pass.onto)),
            Arg::size(tiles.held),
        ];
        let shared = 4 * tiles.held + found(pass);
        let grid = Grid { blocks: [count, 1, 1], threads: threads(tiles.pitch), shared };
        self.card.launch((Source::CONTRASTIVE, "anchors"), DType::F32, grid, &args)
    }

    /// Adds what derivatives give the anchors.
    fn to_anchors(&self, pass: &Pass, tiles: &Tiles, to: Arg, count: usize) -> Result<()> {
        let (columns, padded) = (pass.views * self.table.items, self.padded());
        let parts = parts(columns, 2 * count);
        let (share, len) = (columns / parts, 2 * count * 2 * padded);
        let room = self.card.room(parts * len, DType::F32)?;
        self.card.multiply(&Product {
            batch: parts,
            ..Product::new(
                Factor::new(tiles.derivatives(), DType::BF16, tiles.pitch).every(share),
                Factor::new(pass.columns.both.at(), DType::BF16, 4 * padded)
                    .every(share * 4 * padded),
                Factor::new(room.at(), DType::F32, 2 * padded).every(len),
                [2 * count, 2 * padded, share],
            )
        })?;
        self.add(&room, to, (parts, 4), count)
    }

    /// Adds what the derivatives of a tile give the columns to what earlier ones gave.
    fn to_columns(&self, pass: &Pass, tiles: &Tiles, (start, count): (usize, usize)) -> Result<()> {
        let (columns, padded) = (pass.views * self.table.items, self.padded());
        let Some(to) = &tiles.by_columns else { return Ok(()) };
        // The last tile may have fewer rows, which are not cut.
        let parts = if (2 * count).is_multiple_of(tiles.parts) { tiles.parts } else { 1 };
        let share = 2 * count / parts;
        let anchors = pass.anchors.both.from((pass.from + start) * 4 * padded);
        self.card.multiply(&Product {
            batch: parts,
            onto: if start > 0 { 1.0 } else { 0.0 },
            ..Product::new(
                Factor::new(tiles.derivatives(), DType::BF16, tiles.pitch)
                    .t()
                    .every(share * tiles.pitch),
                Factor::new(anchors, DType::BF16, 2 * padded).every(share * 2 * padded),
                Factor::new(to.at(), DType::F32, 2 * padded).every(columns * 2 * padded),
                [columns, 2 * padded, share],
            )
        })
    }

    /// Adds parts of `rows` rows, each of some pieces.
    fn add(
        &self,
        from: &Room,
        to: Arg,
        (parts, pieces): (usize, usize),
        rows: usize,
    ) -> Result<()> {
        let len = rows * self.width;
        let sizes = [parts, pieces, self.width, self.padded()].map(Arg::size);
        let [parts, pieces, width, padded] = sizes;
        let args = [from.at(), to, parts, pieces, width, padded, Arg::Long(len as i64)];
        self.card.launch((Source::EMBEDDINGS, "add_parts"), DType::F32, Grid::over(len), &args)
    }
}

impl Tiles {
    fn derivatives(&self) -> Arg {
        self.beside.as_ref().unwrap_or(&self.dots).at()
    }
}

/// Bytes that `Found`, `Push` and the count of pushes take of each term and view.
fn found(pass: &Pass) -> usize {
    pass.views * (pass.group.1 * (24 + 12) + 4)
}

/// In how many parts sums of `inner` terms are taken, so that the whole card has work where there
/// are few rows.
fn parts(inner: usize, rows: usize) -> usize {
    let is_fit = |parts: &usize| {
        inner.is_multiple_of(8 * parts) && inner / parts >= 512 && rows * parts <= 16384
    };
    (1..=16).rev().find(is_fit).unwrap_or(1)
}

/// Threads of a block that has such a row.
fn threads(columns: usize) -> usize {
    match columns {
        0..=1024 => 128,
        1025..=4096 => 256,
        4097..=16384 => 512,
        _ => 1024,
    }
}
