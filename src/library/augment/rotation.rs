//! Small rotations.

use super::{Augment, ChannelStats, Image};
use crate::catalog::NonNegative;
use crate::component;
use crate::seed::Stream;

component! {
    /// Turns the image around its centre by a random angle.
    ///
    /// Bilinear, zeros outside the image (torchvision's `RandomRotation` with bilinear
    /// interpolation). A change that keeps digits and letters what they are.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment turned {
    ///   data = digits(labels=coarse)
    ///   augment { turn = rotation(degrees=15) }
    ///   encoder = mlp()
    ///   views = 2
    ///   loss { supcon = 0.5 * supcon(temperature=0.5) }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Augment as dyn Augment, version 1;
    rotation => Rotation {
        /// The largest angle, in either direction.
        degrees: NonNegative = 10.0,
    }
}

impl Augment for Rotation {
    fn apply(&self, image: &mut Image, _stats: &ChannelStats, mut stream: Stream) {
        let limit = self.degrees.get();
        if limit > 0.0 {
            image.turn(stream.between(-limit, limit));
        }
    }
}
