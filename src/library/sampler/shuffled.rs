//! Every image once an epoch.

use super::{Course, Drawn, Sampler};
use crate::component;
use crate::seed::Stream;

component! {
    /// Draws every training image once an epoch, in a new random order.
    ///
    /// The last batch of an epoch has the images that are left, unless `drop_last = true` leaves it
    /// out.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment plain {
    ///   data = digits()
    ///   encoder = mlp()
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); sampler = shuffled(); batch = 64; for = 5 epochs }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Sampler as dyn Sampler, version 1;
    shuffled => Shuffled {}
}

impl Sampler for Shuffled {
    fn epoch(&self, course: &Course, stream: &Stream) -> Vec<Vec<Drawn>> {
        let order = stream.clone().permutation(course.classes.len());
        let batches = order.chunks(course.batch).take(course.steps);
        batches.map(|batch| batch.iter().map(|at| Drawn { at: *at, again: 0 }).collect()).collect()
    }
}
