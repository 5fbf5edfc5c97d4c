//! A batch in pieces, each a batch of its own.

use std::ops::Range;

use candle_core::{Result, Tensor};

use super::Batch;
use crate::library::loss::Mixed;

impl Batch {
    /// The number of items.
    pub fn items(&self) -> usize {
        self.fine.len()
    }

    /// Some of its items, in all their views.
    ///
    /// # Errors
    /// When the device cannot copy.
    pub fn piece(&self, items: &Range<usize>) -> Result<Self> {
        let clean = self.clean.as_ref().map(|clean| clean.narrow(0, items.start, items.len()));
        Ok(Self {
            images: rows(&self.images, (self.items(), self.views), items)?,
            clean: clean.transpose()?,
            fine: self.fine[items.clone()].to_vec(),
            groups: self.groups.get(items.clone()).unwrap_or_default().to_vec(),
            views: self.views,
            mixed: self
                .mixed
                .as_ref()
                .map(|mixed| Mixed { others: mixed.others[items.clone()].to_vec(), ..*mixed }),
        })
    }
}

/// The rows of some items of `all` that stand in `views` views, row `view * all + item`.
pub(super) fn rows(
    x: &Tensor,
    (all, views): (usize, usize),
    items: &Range<usize>,
) -> Result<Tensor> {
    let of_view = |view| x.narrow(0, view * all + items.start, items.len());
    match views {
        1 => of_view(0),
        _ => Tensor::cat(&(0..views).map(of_view).collect::<Result<Vec<_>>>()?, 0),
    }
}

/// Divides `items` items into `pieces` as equal as can be; none is empty.
pub fn shares(items: usize, pieces: usize) -> Vec<Range<usize>> {
    let pieces = pieces.clamp(1, items.max(1));
    (0..pieces).map(|at| at * items / pieces..(at + 1) * items / pieces).collect()
}
