//! A patch of one image in another.

use super::{Augment, ChannelStats, Image, Mix, Stroke};
use crate::catalog::{ImageShape, Positive};
use crate::component;
use crate::seed::Stream;

component! {
    /// Pastes a box of the image before it in the batch into each image, the same box for all.
    ///
    /// A share `λ` is drawn once a batch, from Beta(`alpha`, `alpha`). The box has the shape of the
    /// image and `1 − λ` of its area, round a centre that may be any pixel, so that part of it may
    /// be cut off at the border; `λ` becomes the share of the pixels that are left, and the target of
    /// `cross_entropy` is mixed by it (Yun et al., 2019; torchvision's `v2.CutMix`). The first image
    /// gets its box from the last. All views of an image get it from those of the same other image.
    ///
    /// It comes after every transform of single images, and never applies at evaluation. Terms that
    /// read one class of an image, or tell images apart, have no meaning beside it.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment patched {
    ///   data = digits(labels=coarse)
    ///   augment {
    ///     norm = normalize()
    ///     mix = cutmix()
    ///   }
    ///   encoder = mlp()
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Augment as dyn Augment, version 1, needs [Batch];
    cutmix => CutMix {
        /// Both parameters of the Beta distribution: near 0 the box is next to nothing or nearly all
        /// of the image, 1 makes every share as likely, and larger numbers tend to halves.
        alpha: Positive = 1.0,
    }
}

impl Augment for CutMix {
    fn apply(&self, _image: &mut Image, _stats: &ChannelStats, _stream: Stream) {}

    fn stroke(&self, _: ImageShape, _: &ChannelStats, _: Stream) -> Option<Stroke> {
        Some(Stroke::None)
    }

    fn mix(&self, shape: ImageShape, mut stream: Stream) -> Option<Mix> {
        let own = stream.beta(self.alpha.get());
        let centre = (stream.below(shape.width), stream.below(shape.height));
        Some(Mix::pasted(own, centre, shape))
    }
}
