//! Channels brought to mean zero and variance one.

use super::{Augment, ChannelStats, Image, Stroke};
use crate::catalog::{ImageShape, Misfit, Picture};
use crate::seed::Stream;
use crate::{choice, component};

choice! {
    /// Whose statistics are meant.
    Stats {
        /// Those of the training images.
        Train = "train",
        /// Those of ImageNet, for encoders that were trained on it; of three channels.
        Imagenet = "imagenet",
    }
}

component! {
    /// Takes the mean from each channel and divides by its standard deviation.
    ///
    /// A fixed transform: it also applies at evaluation. A channel that never varies is only
    /// centred.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment centred {
    ///   data = digits(labels=coarse)
    ///   augment { norm = normalize(stats=train) }
    ///   encoder = mlp()
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Augment as dyn Augment, version 1, needs [Unit], fixed true, picture picture;
    normalize => Normalize {
        /// Whose mean and standard deviation to use.
        stats: Stats = Stats::Train,
    }
}

/// Mean and standard deviation of each colour of ImageNet, as everyone rounds them.
const IMAGENET: [[f32; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];

fn picture(normalize: &Normalize, before: Picture) -> Result<Picture, Misfit> {
    let channels = before.shape.channels;
    let (measured, whose) = match normalize.stats {
        Stats::Train => (before.measured, "of the training images"),
        Stats::Imagenet => (3, "of ImageNet"),
    };
    if channels == measured {
        return Ok(Picture { is_unit: false, ..before });
    }
    Err(Misfit {
        param: Some("stats"),
        message: format!("images of {} have no statistics here", channels_of(channels)),
        label: format!("those {whose} are of {}", channels_of(measured)),
        help: match before.measured {
            1 => "write `to_gray(channels=3)` before it, or `stats=train`".to_owned(),
            _ => "write `to_gray` behind it, or `to_gray(channels=3)`".to_owned(),
        },
    })
}

fn channels_of(count: usize) -> String {
    if count == 1 { "1 channel".to_owned() } else { format!("{count} channels") }
}

impl Normalize {
    /// What is taken away from each channel, and what it is multiplied with afterwards.
    fn affine(&self, stats: &ChannelStats) -> (Vec<f32>, Vec<f32>) {
        let (mean, std) = match self.stats {
            Stats::Train => (&stats.mean[..], &stats.std[..]),
            Stats::Imagenet => (&IMAGENET[0][..], &IMAGENET[1][..]),
        };
        let scale = |std: &f32| if *std > 0.0 { 1.0 / *std } else { 1.0 };
        (mean.to_vec(), std.iter().map(scale).collect())
    }
}

impl Augment for Normalize {
    fn apply(&self, image: &mut Image, stats: &ChannelStats, _stream: Stream) {
        let (means, scales) = self.affine(stats);
        image.scale(&means, &scales);
    }

    fn stroke(&self, _: ImageShape, stats: &ChannelStats, _: Stream) -> Option<Stroke> {
        let (means, scales) = self.affine(stats);
        Some(Stroke::Scale { means, scales })
    }

    fn undo(&self, image: &mut Image, stats: &ChannelStats) {
        let (means, scales) = self.affine(stats);
        // A grey image made of colours has lost which channel was scaled how: the middle one.
        let only = image.shape.channels != means.len();
        for pixel in image.values.chunks_exact_mut(image.shape.channels) {
            for (at, value) in pixel.iter_mut().enumerate() {
                let at = if only { means.len() / 2 } else { at };
                *value = *value / scales[at] + means[at];
            }
        }
    }
}
