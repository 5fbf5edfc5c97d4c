//! The middle, for every image.

use super::{Augment, ChannelStats, Crop, Image};
use crate::catalog::{Count, Misfit, Picture};
use crate::component;
use crate::seed::Stream;

component! {
    /// Keeps a square in the middle of the image.
    ///
    /// A fixed transform: it also applies at evaluation (torchvision's `CenterCrop`, but that a crop
    /// larger than the image is refused, where torchvision adds a black border).
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment middles {
    ///   data = digits(labels=coarse)
    ///   augment { middle = center_crop(size=6 px) }
    ///   encoder = mlp()
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Augment as dyn Augment, version 1, fixed true, picture picture;
    center_crop => CenterCrop {
        /// Pixels of the side of the square.
        size: Count,
    }
}

fn picture(crop: &CenterCrop, before: Picture) -> Result<Picture, Misfit> {
    let (size, shape) = (crop.size.get(), before.shape);
    let shorter = shape.height.min(shape.width);
    if size <= shorter {
        return Ok(before.sized(size, size));
    }
    Err(Misfit {
        param: Some("size"),
        message: "a crop is larger than the image".to_owned(),
        label: format!("a square of {size} pixels"),
        help: format!("write at most {shorter}, or `resize(size={size})` before it"),
    })
}

impl Augment for CenterCrop {
    fn apply(&self, image: &mut Image, _stats: &ChannelStats, _stream: Stream) {
        let size = self.size.get();
        let start = |side: usize| ((side - size) as f64 / 2.0).round_ties_even() as usize;
        let (top, left) = (start(image.shape.height), start(image.shape.width));
        image.crop(Crop { top, left, height: size, width: size });
    }
}
