//! Gaussian noise.

use super::{Augment, ChannelStats, Image};
use crate::catalog::NonNegative;
use crate::component;
use crate::seed::Stream;

component! {
    /// Adds independent Gaussian noise to every number of the image.
    ///
    /// Values are cut to [0, 1] afterwards, so it belongs before `normalize` (torchvision's
    /// `GaussianNoise`).
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment noisy {
    ///   data = digits(labels=coarse)
    ///   augment { grain = noise(std=0.1) }
    ///   encoder = mlp()
    ///   views = 2
    ///   loss { supcon = 0.5 * supcon(temperature=0.5) }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Augment as dyn Augment, version 1, needs [Unit];
    noise => Noise {
        /// Standard deviation, on the [0, 1] scale.
        std: NonNegative = 0.1,
    }
}

impl Augment for Noise {
    fn apply(&self, image: &mut Image, _stats: &ChannelStats, mut stream: Stream) {
        let std = self.std.get();
        if std == 0.0 {
            return;
        }
        for values in image.values.chunks_mut(2) {
            for (value, normal) in values.iter_mut().zip(normals(&mut stream)) {
                *value = (f64::from(*value) + std * normal).clamp(0.0, 1.0) as f32;
            }
        }
    }
}

/// Two independent standard normal numbers (Box–Muller).
fn normals(stream: &mut Stream) -> [f64; 2] {
    let radius = (-2.0 * (1.0 - stream.uniform()).ln()).sqrt();
    let (sin, cos) = (std::f64::consts::TAU * stream.uniform()).sin_cos();
    [radius * cos, radius * sin]
}
