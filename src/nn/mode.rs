//! Whether layers learn or are asked.

use crate::seed::Stream;

/// How a forward pass is meant.
#[derive(Debug, Clone)]
pub enum Mode {
    /// For a step of training, whose randomness comes from this stream: dropout drops, and batch
    /// normalisation uses and records the statistics of the batch.
    Train(Stream),
    /// For looking at a trained network as its training saw it: dropout drops, by this stream, but
    /// nothing is recorded and normalisation uses what was.
    Drop(Stream),
    /// For evaluation: nothing is random and nothing is recorded. A gradient still flows, so this
    /// is also how a layer trains with frozen statistics.
    Eval,
}

impl Mode {
    /// The stream of the layer at `path`, where something is random.
    pub fn stream(&self, path: &str) -> Option<Stream> {
        match self {
            Self::Train(stream) | Self::Drop(stream) => Some(stream.named(path)),
            Self::Eval => None,
        }
    }
}
