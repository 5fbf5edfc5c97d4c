//! The images of each step of a training, in the order its sampler draws them.

use super::pool::Pool;
use crate::graph::stage_stream;
use crate::library::eval::Split;
use crate::library::sampler::{Course, Drawn, Sampler};
use crate::library::{self, Library};
use crate::plan::Stage;
use crate::seed::Stream;

/// The items of each step of a training.
pub struct Order {
    sampler: Box<dyn Sampler>,
    stream: Stream,
    /// The training images, and the class and the group of each.
    items: Vec<u32>,
    classes: Vec<u32>,
    groups: Vec<u32>,
    group_names: Vec<String>,
    batch: usize,
    per_epoch: usize,
    /// The epoch whose batches are at hand.
    current: Option<(usize, Vec<Vec<Drawn>>)>,
}

/// The images of one step.
pub struct Drawing {
    pub step: usize,
    pub epoch: usize,
    /// Indices into the pool.
    pub items: Vec<u32>,
    /// How often this epoch has drawn each before.
    pub again: Vec<u32>,
    /// The group of each; empty where there are none.
    pub groups: Vec<u32>,
}

impl Order {
    /// The order of `stage` over the training images of `pool`, whose `groups` are these; empty
    /// where there are none.
    pub fn new(stage: &Stage, library: &Library, pool: &Pool, groups: &[u32]) -> Self {
        let items = pool.indices(Split::Train).to_vec();
        let class = |item: &u32| stage.data.classes.of_fine[pool.observed[*item as usize] as usize];
        Self {
            sampler: library::build(&library.samplers, &stage.method.sampler),
            stream: stage_stream(stage, "order"),
            classes: items.iter().map(class).collect(),
            groups: groups.to_vec(),
            group_names: stage.group_names().to_vec(),
            items,
            batch: stage.batch,
            per_epoch: stage.steps_per_epoch,
            current: None,
        }
    }

    /// What is drawn for step number `step`.
    pub fn step(&mut self, step: usize) -> Drawing {
        let (epoch, at) = (step / self.per_epoch, step % self.per_epoch);
        if self.current.as_ref().is_none_or(|(known, _)| *known != epoch) {
            self.current = Some((epoch, self.epoch(epoch)));
        }
        let drawn = self.current.as_ref().map_or(&[][..], |(_, batches)| &batches[at]);
        let group = |drawn: &Drawn| self.groups.get(drawn.at as usize).copied();
        Drawing {
            step,
            epoch,
            items: drawn.iter().map(|drawn| self.items[drawn.at as usize]).collect(),
            again: drawn.iter().map(|drawn| drawn.again).collect(),
            groups: drawn.iter().filter_map(group).collect(),
        }
    }

    fn epoch(&self, epoch: usize) -> Vec<Vec<Drawn>> {
        let course = Course {
            classes: &self.classes,
            groups: &self.groups,
            group_names: &self.group_names,
            batch: self.batch,
            steps: self.per_epoch,
        };
        self.sampler.epoch(&course, &self.stream.at(epoch as u64))
    }
}
