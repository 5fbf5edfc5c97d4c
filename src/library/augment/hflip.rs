//! Mirror images.

use super::{Augment, ChannelStats, Image, Stroke};
use crate::catalog::{Fraction, ImageShape};
use crate::component;
use crate::seed::Stream;

component! {
    /// Mirrors the image left to right.
    ///
    /// Wrong for digits and letters, whose mirror images mean something else.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment mirrored {
    ///   data = digits(labels=coarse)
    ///   augment { flip = hflip(p=50%) }
    ///   encoder = mlp()
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Augment as dyn Augment, version 1;
    hflip => HFlip {
        /// How often it happens.
        p: Fraction = 0.5,
    }
}

impl Augment for HFlip {
    fn apply(&self, image: &mut Image, _stats: &ChannelStats, stream: Stream) {
        self.draw(stream).make(image);
    }

    fn stroke(&self, _: ImageShape, _: &ChannelStats, stream: Stream) -> Option<Stroke> {
        Some(self.draw(stream))
    }
}

impl HFlip {
    fn draw(&self, mut stream: Stream) -> Stroke {
        if stream.uniform() < self.p.get() { Stroke::Mirror } else { Stroke::None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::ImageShape;

    #[test]
    fn rows_are_reversed_pixel_by_pixel() {
        let shape = ImageShape { height: 2, width: 3, channels: 2 };
        let mut image = Image { shape, values: (0..12).map(|it| it as f32).collect() };
        let stats = ChannelStats { mean: vec![0.0; 2], std: vec![1.0; 2] };
        HFlip { p: 1.0.into() }.apply(&mut image, &stats, Stream::new(0));
        assert_eq!(image.values, [4., 5., 2., 3., 0., 1., 10., 11., 8., 9., 6., 7.]);
    }
}
