//! What can be known to be wrong with how batches are drawn and divided, and with what is averaged
//! over a training.

use super::compile::{groups_of, labels_of};
use super::constant::is_word;
use super::found;
use super::grouped::no_groups;
use super::schedule::steps_per_epoch;
use super::{Division, plural};
use crate::catalog::{Bound, ClassMap, DatasetFacts, Labels, Value};
use crate::diag::{Diagnostic, codes};
use crate::resolve::{Average, Stage};

/// What is wrong with the batches of `stage`, whose data are divided like `division`.
pub(super) fn batches(stage: &Stage, known: &DatasetFacts, division: &Division) -> Vec<Diagnostic> {
    let found = [pieces(stage), chunk(stage), late_average(stage, division)];
    let mut found: Vec<Diagnostic> = found.into_iter().flatten().collect();
    if let Some(sampler) = Balance::of(&stage.train.method.sampler.bound) {
        found.extend(sampler.check(stage, known, division));
    }
    found.extend(found::misnamed(stage, known));
    found
}

fn pieces(stage: &Stage) -> Option<Diagnostic> {
    let (batch, pieces) = (&stage.train.batch, stage.train.method.accumulate.as_ref()?);
    (pieces.node > batch.node).then(|| {
        Diagnostic::new(&codes::OUT_OF_RANGE, "a batch has fewer items than pieces")
            .at(pieces.span, format!("{} pieces", pieces.node))
            .at(batch.span, plural(batch.node, "item"))
            .help(
                "`batch` counts the items of a whole step, `accumulate` the pieces it is cut into",
            )
    })
}

fn chunk(stage: &Stage) -> Option<Diagnostic> {
    let (batch, chunk) = (&stage.train.batch, stage.train.method.chunk.as_ref()?);
    (chunk.node > batch.node).then(|| {
        Diagnostic::new(&codes::OUT_OF_RANGE, "a chunk is larger than the batch")
            .at(chunk.span, plural(chunk.node, "item"))
            .at(batch.span, plural(batch.node, "item"))
            .help("a batch that fits into memory needs no `chunk`")
    })
}

/// A mean over epochs of which there is none.
fn late_average(stage: &Stage, division: &Division) -> Option<Diagnostic> {
    let train = &stage.train;
    let average = train.method.average.as_ref()?;
    let Average::Swa(start) = average.node else { return None };
    let per_epoch = steps_per_epoch(division, train.batch.node, train.drop_last);
    let in_steps = |length: &crate::catalog::Duration| length.steps(per_epoch, train.batch.node);
    (in_steps(&start) >= in_steps(&train.length.node)).then(|| {
        Diagnostic::new(&codes::SCHEDULE, "training ends before the average begins")
            .at(average.span, format!("the ends of epochs after {start} are averaged"))
            .at(train.length.span, format!("training ends at {}", train.length.node))
            .help("`swa` is counted from the start of training")
    })
}

/// A sampler that draws equal shares.
pub(super) struct Balance {
    pub by_group: bool,
    pub at_least: usize,
}

impl Balance {
    /// None for another sampler.
    pub fn of(sampler: &Bound) -> Option<Self> {
        let Some(Value::Int(at_least)) = sampler.value("at_least") else { return None };
        let at_least = *at_least as usize;
        Some(Self { by_group: is_word(sampler, "by", "group"), at_least })
    }

    /// How many of `strata` classes or groups a batch holds.
    pub fn held(&self, batch: usize, strata: usize) -> usize {
        (batch / self.at_least).clamp(1, strata.max(1))
    }

    fn word(&self) -> &'static str {
        if self.by_group { "group" } else { "class" }
    }

    fn check(
        &self,
        stage: &Stage,
        known: &DatasetFacts,
        division: &Division,
    ) -> Option<Diagnostic> {
        let data = &stage.data;
        let map = match self.by_group {
            true if stage.groups.is_some() => {
                return self.room(stage, found::names_of(stage, known)?.len());
            }
            false => known.class_map(&labels_of(&data.bound), &Labels::Declared).ok()?,
            true => match known.groups(&groups_of(&data.bound)).ok()? {
                Some(groups) => groups,
                None => return Some(unbalanced(stage)),
            },
        };
        self.room(stage, map.names.len()).or_else(|| self.rare(stage, &map, known, division))
    }

    /// A batch that has no room for two classes.
    fn room(&self, stage: &Stage, strata: usize) -> Option<Diagnostic> {
        let (batch, sampler, word) = (&stage.train.batch, &stage.train.method.sampler, self.word());
        let at = |message: String| {
            Diagnostic::new(&codes::OUT_OF_RANGE, message)
                .at(sampler.place("at_least"), format!("{} of each {word}", self.at_least))
                .at(batch.span, plural(batch.node, "item"))
        };
        if self.at_least > batch.node {
            return Some(at(format!("a batch is too small for one {word}")).help(format!(
                "write a `batch` of {} or more, or a smaller `at_least`",
                self.at_least * strata.clamp(1, 2)
            )));
        }
        if strata < 2 || self.held(batch.node, strata) > 1 {
            return None;
        }
        let room = batch.node / 2;
        let help = match room {
            0 => "write a `batch` of 2 or more".to_owned(),
            room => format!("`at_least={room}` leaves room for two"),
        };
        Some(at(format!("every batch would hold one {word} alone")).help(help))
    }

    /// A class that has fewer images than a batch is to hold of it.
    fn rare(
        &self,
        stage: &Stage,
        map: &ClassMap,
        known: &DatasetFacts,
        division: &Division,
    ) -> Option<Diagnostic> {
        let sizes = sizes(map, known, division.train);
        let rarest = (0..sizes.len()).filter(|at| sizes[*at] > 0).min_by_key(|at| sizes[*at])?;
        let (size, name) = (sizes[rarest], &map.names[rarest]);
        (size < self.at_least).then(|| {
            let word = self.word();
            let message = format!("the {word} `{name}` has fewer images than a batch is to hold");
            Diagnostic::new(&codes::OUT_OF_RANGE, message)
                .at(
                    stage.train.method.sampler.place("at_least"),
                    format!("{} of each {word}", self.at_least),
                )
                .at(stage.data.span, format!("about {} of it to train on", plural(size, "image")))
                .help(format!("the most is `at_least={size}`"))
        })
    }
}

fn unbalanced(stage: &Stage) -> Diagnostic {
    let place = (stage.train.method.sampler.place("by"), "asks for equal shares of each");
    no_groups("there are no groups to balance".to_owned(), place, &stage.data)
        .help("or write `by=class` to balance the classes")
}

/// How many of `train` images are in each class of `map`: by the counts that are known, or as if
/// the finest classes were of one size.
pub(super) fn sizes(map: &ClassMap, known: &DatasetFacts, train: usize) -> Vec<usize> {
    let fine = map.of_fine.len();
    let counts: Vec<f64> = match known.counts.len() == fine {
        true => known.counts.iter().map(|count| *count as f64).collect(),
        false => vec![1.0; fine],
    };
    let all: f64 = counts.iter().sum();
    let mut sizes = vec![0.0; map.names.len()];
    for (class, count) in map.of_fine.iter().zip(counts) {
        sizes[*class as usize] += count / all.max(1.0) * train as f64;
    }
    // A class that has an image is not rounded to none.
    sizes.into_iter().map(|size: f64| if size > 0.0 { (size as usize).max(1) } else { 0 }).collect()
}
