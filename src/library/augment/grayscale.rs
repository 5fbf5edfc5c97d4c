//! Colour taken away.

use super::{Augment, ChannelStats, Image, Stroke};
use crate::catalog::{Fraction, ImageShape};
use crate::component;
use crate::seed::Stream;

component! {
    /// Replaces red, green and blue by their luminance.
    ///
    /// The channels stay three; images of another number of channels are left as they are
    /// (torchvision's `RandomGrayscale`).
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment gray {
    ///   data = digits(labels=coarse)
    ///   augment { gray = grayscale(p=20%) }
    ///   encoder = mlp()
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Augment as dyn Augment, version 1;
    grayscale => Grayscale {
        /// How often it happens.
        p: Fraction = 0.2,
    }
}

impl Augment for Grayscale {
    fn apply(&self, image: &mut Image, _stats: &ChannelStats, stream: Stream) {
        self.draw(stream).make(image);
    }

    fn stroke(&self, _: ImageShape, _: &ChannelStats, stream: Stream) -> Option<Stroke> {
        Some(self.draw(stream))
    }
}

impl Grayscale {
    fn draw(&self, mut stream: Stream) -> Stroke {
        if stream.uniform() < self.p.get() { Stroke::Gray } else { Stroke::None }
    }
}
