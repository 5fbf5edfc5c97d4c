//! Upside down.

use super::{Augment, ChannelStats, Image};
use crate::catalog::Fraction;
use crate::component;
use crate::seed::Stream;

component! {
    /// Turns the image upside down.
    ///
    /// Meant for images without an up, such as those of a microscope or from above (torchvision's
    /// `RandomVerticalFlip`).
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment upside_down {
    ///   data = digits(labels=coarse)
    ///   augment { flip = vflip(p=50%) }
    ///   encoder = mlp()
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Augment as dyn Augment, version 1;
    vflip => VFlip {
        /// How often it happens.
        p: Fraction = 0.5,
    }
}

impl Augment for VFlip {
    fn apply(&self, image: &mut Image, _stats: &ChannelStats, mut stream: Stream) {
        if stream.uniform() < self.p.get() {
            image.flip_vertically();
        }
    }
}
