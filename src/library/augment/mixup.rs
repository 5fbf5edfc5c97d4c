//! Means of two images.

use super::{Augment, ChannelStats, Image, Mix, Stroke};
use crate::catalog::{ImageShape, Positive};
use crate::component;
use crate::seed::Stream;

component! {
    /// Mixes each image with the one before it in the batch, in one proportion for all.
    ///
    /// The share `λ` of an image that is its own is drawn once a batch, from Beta(`alpha`, `alpha`);
    /// an image becomes `λ` times itself plus `1 − λ` times the one before it, the first being mixed
    /// with the last, and the target of `cross_entropy` is mixed alike (Zhang et al., 2018;
    /// torchvision's `v2.MixUp`). All views of an image are mixed with those of the same other image.
    ///
    /// It comes after every transform of single images, and never applies at evaluation. Terms that
    /// read one class of an image, or tell images apart, have no meaning beside it.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment mixed {
    ///   data = digits(labels=coarse)
    ///   augment {
    ///     norm = normalize()
    ///     mix = mixup(alpha=0.2)
    ///   }
    ///   encoder = mlp()
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Augment as dyn Augment, version 1, needs [Batch];
    mixup => MixUp {
        /// Both parameters of the Beta distribution: near 0 one image is nearly all of the mixture,
        /// 1 makes every share as likely, and larger numbers tend to halves.
        alpha: Positive = 1.0,
    }
}

impl Augment for MixUp {
    fn apply(&self, _image: &mut Image, _stats: &ChannelStats, _stream: Stream) {}

    fn stroke(&self, _: ImageShape, _: &ChannelStats, _: Stream) -> Option<Stroke> {
        Some(Stroke::None)
    }

    fn mix(&self, _shape: ImageShape, mut stream: Stream) -> Option<Mix> {
        Some(Mix::blended(stream.beta(self.alpha.get())))
    }
}
