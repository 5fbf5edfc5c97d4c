//! Whether the machine can afford a plan: memory, time and disk, before any is spent.

use std::cmp::Reverse;

use super::amount::{bytes, flop, grouped, time};
use super::cost::{Cost, Layers};
use super::training::Training;
use super::{Plan, Trial, plural};
use crate::catalog::{Duration, MachineFacts};
use crate::diag::{Diagnostic, Spanned, codes};
use crate::resolve::{Design, Experiment, Stage as Declared};

/// A training that holds more memory than the machine has.
pub(super) fn memory(
    declared: &Declared,
    (training, layers): (&Training, &Layers),
    cost: &Cost,
    machine: &MachineFacts,
) -> Option<Diagnostic> {
    let available = machine.memory.filter(|available| cost.peak_bytes > *available)?;
    let items = match training.views {
        1 => plural(training.batch, "image"),
        views => format!("{} in {views} views", plural(training.batch, "image")),
    };
    let parameters = plural_grouped(cost.parameters, "parameter");
    let help = match training.largest_batch(layers, available) {
        Some(batch) => format!("the largest batch that fits is {batch}"),
        None => "not even `batch = 1` fits; a narrower network may".to_owned(),
    };
    let (needed, there) = (bytes(cost.peak_bytes), bytes(available));
    let message = format!("this training needs {needed} of memory, and the machine has {there}");
    Some(
        Diagnostic::new(&codes::MEMORY, message)
            .at(declared.train.batch.span, format!("a step on {items}"))
            .at(declared.encoder.span, format!("{parameters} with the loss"))
            .help(help),
    )
}

fn plural_grouped(count: u64, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{} {word}s", grouped(count)) }
}

/// A run that takes longer than its experiment allows.
pub(super) fn duration(
    experiment: &Experiment,
    (plan, trial): (&Plan, &Trial),
    machine: &MachineFacts,
) -> Option<Diagnostic> {
    let (limit, rate) = (experiment.machine.limit.as_ref()?, machine.flops_per_second?);
    let stages: f64 = trial.stages.iter().map(|at| plan.stages[*at].cost.flops).sum();
    let measured: f64 = trial.evaluations.iter().map(|at| plan.evaluations[*at].cost.flops).sum();
    let seconds = (stages + measured) / rate;
    if seconds <= limit.node {
        return None;
    }
    let message = format!("a run takes about {}, longer than its limit", time(seconds));
    let work = format!("{} at {}/s", flop(stages + measured), flop(rate));
    let length = &experiment.stages.first()?.train.length;
    let share = ((limit.node - measured / rate) / (stages / rate)).max(0.0);
    let diagnostic = Diagnostic::new(&codes::TIME, message)
        .at(limit.span, format!("{} are allowed", time(limit.node)))
        .at(length.span, work);
    Some(match shorter(length, share) {
        Some(shorter) => diagnostic.help(format!("`for = {shorter}` keeps to it")),
        None => diagnostic.help("a narrower network, or fewer evaluations, take less"),
    })
}

/// A duration that is `share` as long, if anything is left of it.
fn shorter(length: &Spanned<Duration>, share: f64) -> Option<Duration> {
    let amount = (length.node.amount * share).floor();
    (amount >= 1.0).then_some(Duration { amount, ..length.node })
}

/// Results that do not fit on a disk with so many bytes free, where that is known.
pub fn disk(design: &Design, plan: &Plan, free: Option<u64>) -> Option<Diagnostic> {
    let (needed, free) = (plan.disk_bytes(), free?);
    if needed <= free {
        return None;
    }
    let (needed, free) = (bytes(needed), bytes(free));
    let message = format!("the results need {needed} of disk, and {free} are free");
    let trainings = plural(plan.stages.len(), "training");
    Some(
        Diagnostic::new(&codes::DISK, message)
            .at(design.name.span, format!("{trainings}, each with its checkpoint"))
            .help("`--store FOLDER` keeps results on another disk"),
    )
}

impl Plan {
    /// Bytes of memory that so many of its trainings and evaluations hold beside each other, at
    /// most.
    pub fn memory_bytes(&self, jobs: usize) -> u64 {
        self.peaks().into_iter().take(jobs).fold(0, u64::saturating_add)
    }

    /// How many of its trainings and evaluations hold no more than so many bytes, whichever they
    /// are; one at least.
    pub fn jobs_within(&self, bytes: u64) -> usize {
        let fits = |jobs: &usize| self.memory_bytes(*jobs) <= bytes;
        (1..=self.peaks().len()).take_while(fits).last().unwrap_or(1)
    }

    /// The memory of each training and evaluation, the most first.
    fn peaks(&self) -> Vec<u64> {
        let trained = self.stages.iter().map(|stage| stage.cost.peak_bytes);
        let measured = self.evaluations.iter().map(|it| it.cost.peak_bytes);
        let mut peaks: Vec<u64> = trained.chain(measured).collect();
        peaks.sort_unstable_by_key(|bytes| Reverse(*bytes));
        peaks
    }

    /// Bytes on disk when everything is trained, and while the largest training is.
    pub fn disk_bytes(&self) -> u64 {
        let kept = self.stages.iter().map(|stage| stage.cost.disk_bytes);
        let scratch = self.stages.iter().map(|stage| stage.cost.scratch_bytes).max();
        kept.fold(scratch.unwrap_or(0), u64::saturating_add)
    }
}
