//! Small translations.

use super::{Augment, ChannelStats, Image};
use crate::catalog::Fraction;
use crate::component;
use crate::seed::Stream;

component! {
    /// Moves the image by a random number of whole pixels; zeros come in at the border.
    ///
    /// Each direction is drawn apart (torchvision's `RandomAffine(0, translate)`).
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment moved {
    ///   data = digits(labels=coarse)
    ///   augment { move = shift(by=15%) }
    ///   encoder = mlp()
    ///   views = 2
    ///   loss { supcon = 0.5 * supcon(temperature=0.5) }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Augment as dyn Augment, version 1;
    shift => Shift {
        /// The largest distance, as a share of the image's side.
        by: Fraction = 0.1,
    }
}

impl Augment for Shift {
    fn apply(&self, image: &mut Image, _stats: &ChannelStats, mut stream: Stream) {
        let mut draw = |side: usize| {
            let limit = self.by.get() * side as f64;
            stream.between(-limit, limit).round_ties_even() as isize
        };
        let (down, right) = (draw(image.shape.height), draw(image.shape.width));
        image.shift(down, right);
    }
}
