//! Another size, for every image.

use super::{Augment, ChannelStats, Image};
use crate::catalog::{Count, ImageShape, Misfit, Picture};
use crate::seed::Stream;
use crate::{choice, component};

choice! {
    /// Which side is made as long as is said.
    Which {
        /// The shorter one.
        Shorter = "shorter",
        /// Both: the picture is stretched to a square.
        Both = "both",
    }
}

component! {
    /// Makes the image larger or smaller.
    ///
    /// A fixed transform: it also applies at evaluation. Bilinear; where the image becomes smaller, each
    /// pixel is a weighted mean of all that it covers (torchvision's `Resize` in floating point, with
    /// `antialias` as is its default). With `side=shorter` the longer side follows, so that the picture
    /// keeps its shape.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment resized {
    ///   data = digits(labels=coarse)
    ///   augment { size = resize(size=12 px) }
    ///   encoder = mlp()
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Augment as dyn Augment, version 1, fixed true, picture picture;
    resize => Resize {
        /// Pixels of the side.
        size: Count,
        /// Which side is meant.
        side: Which = Which::Shorter,
    }
}

/// More pixels than a side has.
const LONGEST: usize = 1 << 16;

impl Resize {
    fn output(&self, shape: ImageShape) -> (usize, usize) {
        let (size, ImageShape { height, width, .. }) = (self.size.get(), shape);
        match self.side {
            Which::Both => (size, size),
            Which::Shorter if width <= height => (size * height / width, size),
            Which::Shorter => (size, size * width / height),
        }
    }
}

fn picture(resize: &Resize, before: Picture) -> Result<Picture, Misfit> {
    let (height, width) = resize.output(before.shape);
    if height.max(width) <= LONGEST {
        return Ok(before.sized(height, width));
    }
    Err(Misfit {
        param: Some("size"),
        message: "no image is so large".to_owned(),
        label: format!("makes images of {height} by {width}"),
        help: format!("a side has at most {LONGEST} pixels"),
    })
}

impl Augment for Resize {
    fn apply(&self, image: &mut Image, _stats: &ChannelStats, _stream: Stream) {
        let (height, width) = self.output(image.shape);
        if (height, width) != (image.shape.height, image.shape.width) {
            image.resize(height, width);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_side_follows_rounded_down() {
        let resize = Resize { size: 8.into(), side: Which::Shorter };
        let of = |height, width| resize.output(ImageShape { height, width, channels: 1 });
        assert_eq!([of(5, 9), of(9, 5), of(4, 4)], [(8, 14), (14, 8), (8, 8)]);
        let both = Resize { side: Which::Both, ..resize };
        assert_eq!(both.output(ImageShape { height: 5, width: 9, channels: 1 }), (8, 8));
    }
}
