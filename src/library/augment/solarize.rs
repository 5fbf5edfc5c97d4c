//! Bright values inverted.

use super::{Augment, ChannelStats, Image};
use crate::catalog::Fraction;
use crate::component;
use crate::seed::Stream;

component! {
    /// Inverts the values that are at least as bright as a threshold.
    ///
    /// It belongs before `normalize`, where 1 is white (torchvision's `RandomSolarize`, whose threshold
    /// of 128 is 0.5 here; BYOL: Grill et al., 2020, appendix B).
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment solarized {
    ///   data = digits(labels=coarse)
    ///   augment { sun = solarize(p=20%) }
    ///   encoder = mlp()
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Augment as dyn Augment, version 1, needs [Unit];
    solarize => Solarize {
        /// From which brightness on values are inverted.
        threshold: Fraction = 0.5,
        /// How often it happens.
        p: Fraction = 0.2,
    }
}

impl Augment for Solarize {
    fn apply(&self, image: &mut Image, _stats: &ChannelStats, mut stream: Stream) {
        if stream.uniform() < self.p.get() {
            image.solarize(self.threshold.get() as f32);
        }
    }
}
