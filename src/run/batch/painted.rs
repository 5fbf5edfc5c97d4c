//! Batches that a card paints: the images lie there as bytes, and of each view only what was drawn for
//! it is copied.

use candle_core::{Device, Result};
use rayon::prelude::*;

use super::prepared::Drawn;
use super::{Pool, Transforms};
use crate::catalog::ImageShape;
use crate::kernel::{View, is_paintable};
use crate::library::augment::Pass;
use crate::seed::Stream;

/// Views per parallel piece.
const PIECE: usize = 16;

impl Transforms {
    /// What a card paints to come to what [`Transforms::render`] makes; none where `device` is not one,
    /// the images do not fit there, or a transform of one of the views is beyond a [`Pass`].
    pub(super) fn to_paint(
        &self,
        (pool, device): (&Pool, &Device),
        items: &[u32],
        views: usize,
        stream: impl Fn(usize, usize) -> Option<Stream> + Sync,
    ) -> Result<Option<Drawn>> {
        let is_small = |of: ImageShape| is_paintable([of.height, of.width, of.channels]);
        if !device.is_cuda() || !is_small(pool.shape) || !is_small(self.shape) {
            return Ok(None);
        }
        let Some(views) = self.drawn(pool, items, views, stream) else { return Ok(None) };
        let Some(of) = pool.resident(device)? else { return Ok(None) };
        Ok(Some(Drawn { of, views, size: [self.shape.height, self.shape.width] }))
    }

    /// What is drawn for each view, row by row.
    fn drawn(
        &self,
        pool: &Pool,
        items: &[u32],
        views: usize,
        stream: impl Fn(usize, usize) -> Option<Stream> + Sync,
    ) -> Option<Vec<View>> {
        let mut drawn = vec![View::new(0, [0; 4], [false; 2]); views * items.len()];
        let pieces = drawn.par_chunks_mut(PIECE).enumerate();
        pieces.try_for_each_init(Pass::default, |pass, (piece, drawn)| {
            pass.imagine(pool.shape);
            for (row, view) in drawn.iter_mut().enumerate() {
                let row = piece * PIECE + row;
                let (which, at) = (row / items.len(), row % items.len());
                *view = self.draft(pass, pool, items[at], stream(at, which).as_ref())?;
            }
            Some(())
        })?;
        Some(drawn)
    }

    /// A view of an image, if one pass can make all of it.
    fn draft(
        &self,
        pass: &mut Pass,
        pool: &Pool,
        item: u32,
        stream: Option<&Stream>,
    ) -> Option<View> {
        pass.begin();
        let is_whole = self.steps.iter().all(|step| {
            let Some(stream) = self.drawing(step, stream) else { return true };
            pass.takes(&*step.augment, &pool.stats, stream)
        });
        (is_whole && pass.shape() == self.shape).then(|| pass.view(item)).flatten()
    }
}
