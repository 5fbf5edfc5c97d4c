//! A square hole.

use super::{Augment, ChannelStats, Image};
use crate::catalog::Fraction;
use crate::component;
use crate::seed::Stream;

component! {
    /// Sets a square of the image to zero.
    ///
    /// Its centre is any pixel, so part of the square may lie outside (DeVries & Taylor, 2017).
    /// Zero is black before `normalize` and the mean colour after it.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment holes {
    ///   data = digits(labels=coarse)
    ///   augment { hole = cutout(size=25%) }
    ///   encoder = mlp()
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Augment as dyn Augment, version 1;
    cutout => Cutout {
        /// Side of the square, as a share of the image's shorter side.
        size: Fraction = 0.5,
    }
}

impl Augment for Cutout {
    fn apply(&self, image: &mut Image, _stats: &ChannelStats, mut stream: Stream) {
        let shape = image.shape;
        let side = self.size.get() * shape.height.min(shape.width) as f64;
        let side = side.round_ties_even() as usize;
        let mut hole = |length: usize| {
            let start = stream.below(length) as isize - (side / 2) as isize;
            start.max(0) as usize..((start + side as isize).max(0) as usize).min(length)
        };
        let (rows, columns) = (hole(shape.height), hole(shape.width));
        for y in rows {
            let row = y * shape.width;
            let hole = (row + columns.start) * shape.channels..(row + columns.end) * shape.channels;
            image.values[hole].fill(0.0);
        }
    }
}
