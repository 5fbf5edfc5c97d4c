//! Channels brought to mean zero and variance one.

use super::{Augment, ChannelStats, Image};
use crate::seed::Stream;
use crate::{choice, component};

choice! {
    /// Whose statistics are meant.
    Stats {
        /// Those of the training images.
        Train = "train",
    }
}

component! {
    /// Takes the mean from each channel and divides by its standard deviation.
    ///
    /// A fixed transform: it also applies at evaluation. A channel that never varies is only
    /// centred.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment centred {
    ///   data = digits(labels=coarse)
    ///   augment { norm = normalize(stats=train) }
    ///   encoder = mlp()
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Augment as dyn Augment, version 1;
    normalize => Normalize {
        /// Whose mean and standard deviation to use.
        stats: Stats = Stats::Train,
    }
}

impl Augment for Normalize {
    fn is_random(&self) -> bool {
        false
    }

    fn apply(&self, image: &mut Image, stats: &ChannelStats, _stream: Stream) {
        let Stats::Train = self.stats;
        let scale = |std: &f32| if *std > 0.0 { 1.0 / *std } else { 1.0 };
        let scales: Vec<f32> = stats.std.iter().map(scale).collect();
        for pixel in image.values.chunks_exact_mut(image.shape.channels) {
            for ((value, mean), scale) in pixel.iter_mut().zip(&stats.mean).zip(&scales) {
                *value = (*value - mean) * scale;
            }
        }
    }
}
