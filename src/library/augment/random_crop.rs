//! A crop of the padded image.

use super::{Augment, ChannelStats, Image};
use crate::catalog::Natural;
use crate::component;
use crate::seed::Stream;

component! {
    /// Pads the image with zeros on every side and cuts out a part of its old size.
    ///
    /// The usual crop for small images (He et al., 2016, section 4.2; torchvision's
    /// `RandomCrop(size, padding)`).
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment padded {
    ///   data = digits(labels=coarse)
    ///   augment { crop = random_crop(padding=1 px) }
    ///   encoder = mlp()
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Augment as dyn Augment, version 1;
    random_crop => RandomCrop {
        /// Pixels added on each side.
        padding: Natural = 4,
    }
}

impl Augment for RandomCrop {
    fn apply(&self, image: &mut Image, _stats: &ChannelStats, mut stream: Stream) {
        let padding = self.padding.get();
        let mut offset = || padding as isize - stream.below(2 * padding + 1) as isize;
        let (down, right) = (offset(), offset());
        image.shift(down, right);
    }
}
