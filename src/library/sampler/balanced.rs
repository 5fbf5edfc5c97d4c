//! Equal shares of every class or group.

use std::collections::BTreeMap;

use super::walk::Walk;
use super::{Course, Drawn, Sampler};
use crate::catalog::{Count, Port};
use crate::seed::Stream;
use crate::{choice, component};

choice! {
    /// What a batch has equal shares of.
    By {
        /// The classes of the labels that the data declare.
        Class = "class",
        /// The groups of the dataset.
        Group = "group",
    }
}

component! {
    /// Draws batches with equal shares of every class or group, however rare it is.
    ///
    /// A batch of `b` items holds as many classes as fit with `at_least` items each, `b / at_least`
    /// or all of them, and shares its items evenly among these: a share differs from another by one
    /// item at most. Classes take turns, and so do the images of a class: none comes again before
    /// every other of its class has come, and a batch holds no image twice unless its share is
    /// larger than the class. So an epoch is as many steps as with `shuffled`, each a full batch,
    /// and no pass over the data: images of a rare class come several times, each time in another
    /// augmentation, and of a frequent class an epoch sees a part.
    ///
    /// `at_least=2` gives every anchor of a contrastive term a partner of its class.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment paired {
    ///   data = cifar100(labels=fine)
    ///   encoder = resnet(depth=18)
    ///   views = 2
    ///   loss { supcon = supcon(); cnce = 0.5 * class_infonce() }
    ///   train {
    ///     optimizer = adamw(lr=1e-3)
    ///     sampler = balanced(by=class, at_least=4)
    ///     batch = 128
    ///     for = 50 epochs
    ///   }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Sampler as dyn Sampler, version 1, also also;
    balanced => Balanced {
        /// What a batch has equal shares of: the classes of the data's labels, or groups, those of the
        /// data or those that the stage has found by an earlier one.
        by: By = By::Class,
        /// How many items a class has at least in a batch that holds it.
        at_least: Count = 1,
    }
}

fn also(balanced: &Balanced) -> &'static [Port] {
    if balanced.by == By::Group { &[Port::Groups] } else { &[] }
}

impl Sampler for Balanced {
    fn epoch(&self, course: &Course, stream: &Stream) -> Vec<Vec<Drawn>> {
        let mut strata = strata(
            match self.by {
                By::Class => course.classes,
                By::Group => course.groups,
            },
            stream,
        );
        let held = (course.batch / self.at_least.get()).clamp(1, strata.len().max(1));
        let mut turns = Walk::new(strata.len(), stream.named("turns"));
        let batch = |step| {
            let mut batch = Vec::with_capacity(course.batch);
            for (place, (turn, _)) in turns.take(held).into_iter().enumerate() {
                let share = course.batch / held + usize::from(place < course.batch % held);
                batch.extend(strata[turn as usize].take(share));
            }
            // Whoever divides a batch finds every class in each part.
            let order = stream.named("batch").at(step as u64).permutation(batch.len());
            order.into_iter().map(|at| batch[at as usize]).collect()
        };
        (0..course.steps).map(batch).collect()
    }
}

/// The training images of one class or group.
struct Stratum {
    members: Vec<u32>,
    walk: Walk,
}

impl Stratum {
    fn take(&mut self, count: usize) -> Vec<Drawn> {
        let taken = self.walk.take(count).into_iter();
        taken.map(|(at, again)| Drawn { at: self.members[at as usize], again }).collect()
    }
}

/// The images of each class or group that has any.
fn strata(ids: &[u32], stream: &Stream) -> Vec<Stratum> {
    let mut members: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (at, id) in ids.iter().enumerate() {
        members.entry(*id).or_default().push(at as u32);
    }
    let stream = stream.named("stratum");
    let stratum = |(id, members): (u32, Vec<u32>)| Stratum {
        walk: Walk::new(members.len(), stream.at(u64::from(id))),
        members,
    };
    members.into_iter().map(stratum).collect()
}
