//! The memory of a training, by what it depends on.

use super::cost::Layers;
use super::memory::NUMBER;

/// Batches that wait or are being made while one is computed.
const AHEAD: u64 = 3;

/// A training, as far as its memory depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Training {
    /// Numbers of an image, as the dataset has it.
    pub image: usize,
    /// Numbers of an image, as the encoder sees it.
    pub seen: usize,
    /// Images of the dataset, all splits.
    pub images: usize,
    pub batch: usize,
    pub views: usize,
    pub moments: usize,
    pub validates: bool,
    /// Models that are kept beside the one that is trained: the best, and an average.
    pub kept: u64,
    /// In how many pieces a batch is passed through, or how many items of it at once.
    pub accumulate: Option<usize>,
    pub chunk: Option<usize>,
}

impl Training {
    /// The most bytes it holds at once.
    pub(super) fn peak(&self, layers: &Layers) -> u64 {
        let rows = (self.batch as u64).saturating_mul(self.views as u64);
        let image = self.image as u64;
        let pool = (self.images as u64).saturating_mul(image);
        let seen = self.seen as u64;
        let waiting = AHEAD.saturating_mul(rows).saturating_mul(seen).saturating_mul(NUMBER);
        let mut step = self.step(layers);
        if self.validates {
            let moments = layers.state(self.moments) - layers.model();
            step = step.max(layers.embedding().saturating_add(moments));
        }
        // A checkpoint is copied, and once more as the bytes of its file.
        let saving = layers.state(self.moments).saturating_mul(3);
        let kept = layers.model().saturating_mul(self.kept);
        [pool, waiting, kept, step.max(saving)].into_iter().fold(0, u64::saturating_add)
    }

    /// The most bytes that one step holds at once, with what is held between steps.
    pub(super) fn step(&self, layers: &Layers) -> u64 {
        let rows = |items: usize| (items as u64).saturating_mul(self.views as u64);
        let all = rows(self.batch);
        match (self.accumulate, self.chunk) {
            (Some(pieces), _) => {
                layers.divided(self.moments, all, (rows(self.batch.div_ceil(pieces)), false))
            }
            (None, Some(chunk)) => {
                layers.divided(self.moments, all, (rows(chunk.min(self.batch)), true))
            }
            (None, None) => layers.step(self.moments, all),
        }
    }

    /// The largest batch whose memory is at most `bytes`; none when one item is too many.
    pub(super) fn largest_batch(&self, layers: &Layers, bytes: u64) -> Option<usize> {
        let fits = |batch: usize| Self { batch, ..*self }.peak(layers) <= bytes;
        let (mut low, mut high) = (0, self.batch);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if fits(middle) { low = middle } else { high = middle - 1 }
        }
        (low > 0).then_some(low)
    }
}
