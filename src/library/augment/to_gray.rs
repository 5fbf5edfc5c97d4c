//! Colour taken away, from every image.

use super::{Augment, ChannelStats, Image};
use crate::catalog::{Count, ImageShape, Misfit, Picture};
use crate::component;
use crate::seed::Stream;

component! {
    /// Replaces red, green and blue by their luminance in every image.
    ///
    /// A fixed transform: it also applies at evaluation (torchvision's `Grayscale`). With `channels=3` the
    /// three stay, all equal, for an encoder that wants three; a grey image is then repeated, as
    /// torchvision does for Pillow images. Statistics
    /// are those of the colours, so `normalize` belongs before it where one channel is left.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment grey {
    ///   data = digits(labels=coarse)
    ///   augment { gray = to_gray() }
    ///   encoder = mlp()
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Augment as dyn Augment, version 1, fixed true, picture picture;
    to_gray => ToGray {
        /// Channels that are left: 1 or 3.
        channels: Count = 1,
    }
}

fn picture(gray: &ToGray, before: Picture) -> Result<Picture, Misfit> {
    let (channels, from) = (gray.channels.get(), before.shape.channels);
    if ![1, 3].contains(&from) {
        return Err(Misfit {
            param: None,
            message: "only colours have a luminance".to_owned(),
            label: format!("gets images of {from} channels"),
            help: "it takes images of 1 or 3 channels".to_owned(),
        });
    }
    if ![1, 3].contains(&channels) {
        return Err(Misfit {
            param: Some("channels"),
            message: "an image is grey, or red, green and blue".to_owned(),
            label: format!("asks for {channels} channels"),
            help: "write 1 or 3".to_owned(),
        });
    }
    Ok(Picture { shape: ImageShape { channels, ..before.shape }, ..before })
}

impl Augment for ToGray {
    fn apply(&self, image: &mut Image, _stats: &ChannelStats, _stream: Stream) {
        image.gray(self.channels.get());
    }
}
