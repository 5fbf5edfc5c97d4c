//! One group more often than the others.

use super::{Course, Drawn, Sampler};
use crate::catalog::{ParamType, Type, Value};
use crate::component;
use crate::seed::Stream;

/// How many times as often; the pile it makes is held in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times(usize);

impl ParamType for Times {
    const TYPE: Type = Type::Int { name: "count", min: 1, max: 1000 };

    fn to_value(&self) -> Value {
        Value::Int(self.0 as i64)
    }

    fn from_value(value: &Value) -> Self {
        match value {
            Value::Int(value) => Self(*value as usize),
            other => unreachable!("the checker promised `{other}` to be a count"),
        }
    }
}

component! {
    /// Draws the images of one group so many times as often as the others.
    ///
    /// An epoch draws from a pile that holds every training image once, and those of `group` `times`
    /// times, without putting any back; when the pile is used up, from a new one. So an epoch is as
    /// many steps as with `shuffled`, each a full batch, and no pass over the data; an image that
    /// comes again comes in another augmentation. With `times=1`, or where the group has no image,
    /// every image comes once.
    ///
    /// With `groups = errors(on=first)` this is the second training of *Just Train Twice* (Liu et al.,
    /// 2021, arXiv:2107.09044), whose λ_up is `times`. Groups of the dataset are named as they stand
    /// in the plan, such as `group="waterbird × land"`; then group labels are read.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment rare_birds {
    ///   data = waterbirds(labels=bird, groups=[bird, background], size=32)
    ///   encoder = resnet(depth=8, width=16)
    ///   loss { class = cross_entropy() }
    ///   train {
    ///     optimizer = adamw(lr=1e-3)
    ///     sampler = upweighted(group="waterbird × land", times=20)
    ///     batch = 128
    ///     for = 20 epochs
    ///   }
    ///   eval { birds = classify() }
    /// }
    /// ```
    Sampler as dyn Sampler, version 1, needs [Groups];
    upweighted => Upweighted {
        /// The name of the group.
        group: String = "wrong".to_owned(),
        /// How many times as often its images are drawn.
        times: Times = Times(20),
    }
}

impl Sampler for Upweighted {
    fn epoch(&self, course: &Course, stream: &Stream) -> Vec<Vec<Drawn>> {
        let chosen = course.group_names.iter().position(|name| *name == self.group);
        let is_chosen = |at: usize| course.groups.get(at).map(|it| *it as usize) == chosen;
        let copies = |at: usize| {
            let count = if chosen.is_some() && is_chosen(at) { self.times.0 } else { 1 };
            std::iter::repeat_n(at as u32, count)
        };
        let pile: Vec<u32> = (0..course.classes.len()).flat_map(copies).collect();
        let orders = (0..).flat_map(|pass| stream.named("pile").at(pass).permutation(pile.len()));
        let mut seen = vec![0; course.classes.len()];
        let drawn = orders.take(course.steps * course.batch).map(|place| {
            let at = pile[place as usize];
            seen[at as usize] += 1;
            Drawn { at, again: seen[at as usize] - 1 }
        });
        let drawn: Vec<Drawn> = drawn.collect();
        drawn.chunks(course.batch).map(<[Drawn]>::to_vec).collect()
    }
}
