//! Images laid out for sliding: padded with zeros, and in an order that puts what neighbouring
//! windows need side by side.

use super::slide::Tap;
use crate::kernel::real::Real;
use crate::kernel::wide::wide;

/// The layout [block, row, phase, column, channel] of a padded image: channels in blocks, and
/// columns sorted by their phase modulo the stride, so that windows one stride apart are adjacent.
pub(super) struct Frame {
    height: usize,
    width: usize,
    channels: usize,
    /// Channels of a block.
    block: usize,
    stride: usize,
    /// Zeros above and to the left.
    before: usize,
    rows: usize,
    /// Columns of each phase.
    columns: usize,
}

impl Frame {
    /// The frame of images [`height`,`width`,`channels`] for windows that reach as far as `taps`
    /// from each of `windows` positions in a direction.
    pub(super) fn new(
        [height, width, channels]: [usize; 3],
        stride: usize,
        windows: [usize; 2],
        taps: &[Tap],
    ) -> Self {
        let least = taps.iter().map(|tap| tap.down.min(tap.right)).min().unwrap_or(0);
        let before = (-least).max(0) as usize;
        let end = |windows: usize, offset: fn(&Tap) -> isize| {
            let most = taps.iter().map(offset).max().unwrap_or(0).max(0) as usize;
            windows.saturating_sub(1) * stride + most + 1
        };
        let rows = end(windows[0], |tap| tap.down).max(height) + before;
        let columns = end(windows[1], |tap| tap.right).max(width) + before;
        let block = if channels.is_multiple_of(16) { 16 } else { 1 };
        let columns = columns.div_ceil(stride);
        Self { height, width, channels, block, stride, before, rows, columns }
    }

    /// The number of elements of an image.
    pub(super) fn image_len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// The number of elements of a framed image.
    pub(super) fn len(&self) -> usize {
        self.blocks() * self.block_len()
    }

    pub(super) fn blocks(&self) -> usize {
        self.channels / self.block
    }

    /// Channels of a block: 16, or 1 where 16 do not divide them.
    pub(super) fn block(&self) -> usize {
        self.block
    }

    /// The number of elements of one block.
    pub(super) fn block_len(&self) -> usize {
        self.rows * self.row_len()
    }

    /// How far the windows of one row of windows are from those of the next.
    pub(super) fn window_row(&self) -> usize {
        self.stride * self.row_len()
    }

    /// How far a tap is from where the window's position is.
    pub(super) fn offset(&self, tap: &Tap) -> usize {
        let (row, column) = (self.place(tap.down), self.place(tap.right));
        let phase = column % self.stride;
        row * self.row_len() + (phase * self.columns + column / self.stride) * self.block
    }

    /// Fills `to` with the framed `image`.
    pub(super) fn fill<T: Real>(&self, image: &[T], to: &mut [T]) {
        match self.block {
            1 => fill::<T, 1>(self, image, to),
            _ => fill::<T, 16>(self, image, to),
        }
    }

    fn place(&self, offset: isize) -> usize {
        (offset + self.before as isize) as usize
    }

    fn row_len(&self) -> usize {
        self.stride * self.columns * self.block
    }
}

wide! {
    fn fill<T: Real, const BLOCK: usize>(frame: &Frame, image: &[T], to: &mut [T]) {
        to.fill(T::ZERO);
        let Frame { stride, before, .. } = *frame;
        for (index, to) in to.chunks_exact_mut(frame.block_len()).enumerate() {
            let rows = to.chunks_exact_mut(frame.row_len()).skip(before);
            for (row, to) in image.chunks_exact(frame.width * frame.channels).zip(rows) {
                let (blocks, _) = row.as_chunks::<BLOCK>();
                for (phase, to) in to.chunks_exact_mut(frame.columns * BLOCK).enumerate() {
                    // The first image column of this phase, and how many of the phase are padding.
                    let x = (phase + stride * before - before) % stride;
                    let padding = (x + before) / stride;
                    let blocks = blocks.iter().skip(x * frame.blocks() + index);
                    let (to, _) = to.as_chunks_mut::<BLOCK>();
                    let blocks = blocks.step_by(stride * frame.blocks());
                    for (to, block) in to[padding..].iter_mut().zip(blocks) {
                        *to = *block;
                    }
                }
            }
        }
    }
}
