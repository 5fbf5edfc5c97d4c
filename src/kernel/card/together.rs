//! One kernel for many arrays: by itself each would take a card longer to begin than to do.

use candle_core::{DType, Result};

use super::{Arg, Card, Grid, Source};

/// An array of f32 that a kernel reads, and where it writes what it makes of it.
#[derive(Clone, Copy)]
pub(super) struct Array {
    pub(super) from: Arg,
    pub(super) to: Arg,
    pub(super) size: [usize; 2],
    /// Blocks that work on it.
    pub(super) blocks: usize,
}

/// Queues a kernel, with blocks of so many threads, for all of some arrays.
pub(super) fn launch(
    card: Card,
    kernel: (&'static Source, &'static str),
    (dtype, threads): (DType, usize),
    arrays: &[Array],
) -> Result<()> {
    let (mut table, mut blocks) = (Vec::with_capacity(5 * arrays.len()), 0);
    for array in arrays.iter().filter(|array| array.blocks > 0) {
        let [rows, columns] = array.size.map(|size| size as i64);
        table.extend([array.from.address(), array.to.address(), rows, columns, blocks as i64]);
        blocks += array.blocks;
    }
    let count = Arg::size(table.len() / 5);
    let table = card.upload(&table)?;
    card.launch(kernel, dtype, Grid::of(blocks, threads), &[table.at(), count])
}
