//! Whether layers learn or are asked.

use crate::seed::Stream;

/// How a forward pass is meant.
#[derive(Debug, Clone)]
pub enum Mode {
    /// For a step of training, whose randomness comes from this stream: dropout drops, and batch
    /// normalisation uses and records the statistics of the batch.
    Train(Stream),
    /// For evaluation: nothing is random and nothing is recorded. A gradient still flows, so this
    /// is also how a layer trains with frozen statistics.
    Eval,
}

impl Mode {
    /// The stream of the layer at `path`, in training.
    pub fn stream(&self, path: &str) -> Option<Stream> {
        match self {
            Self::Train(stream) => Some(stream.named(path)),
            Self::Eval => None,
        }
    }
}
