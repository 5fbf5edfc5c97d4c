//! Whether a learning rate's schedule fits the length of its training.

use std::f64::consts::PI;

use super::Division;
use crate::catalog::{Bound, Duration, Value};
use crate::diag::{Diagnostic, Span, codes};
use crate::resolve::{Called, Stage};

/// A schedule on the training it is declared for.
struct Course<'a> {
    schedule: &'a Bound,
    /// Where an argument of the schedule stands.
    place: &'a dyn Fn(&str) -> Span,
    length: Duration,
    length_span: Span,
    steps_per_epoch: usize,
    batch: usize,
    /// The optimizer's learning rate.
    rate: Option<f64>,
}

/// What is wrong with the schedule of a stage whose data is divided like `division`.
pub(super) fn of_stage(stage: &Stage, division: &Division) -> Vec<Diagnostic> {
    let train = &stage.train;
    let batch = train.batch.node;
    let course = Course {
        schedule: &train.schedule.bound,
        place: &|name| train.schedule.place(name),
        length: train.length.node,
        length_span: train.length.span,
        steps_per_epoch: steps_per_epoch(division, batch, train.drop_last),
        batch,
        rate: rate(&train.optimizer.bound),
    };
    course.check()
}

/// The same for a classifier that an evaluation trains.
pub(super) fn of_evaluation(call: &Called, division: &Division) -> Vec<Diagnostic> {
    let bound = &call.bound;
    let (Some(Value::Component(schedule)), Some(Value::Duration(length))) =
        (bound.value("schedule"), bound.value("for"))
    else {
        return Vec::new();
    };
    let batch = match bound.value("batch") {
        Some(Value::Int(batch)) => *batch as usize,
        _ => return Vec::new(),
    };
    let course = Course {
        schedule,
        place: &|_| call.place("schedule"),
        length: *length,
        length_span: call.place("for"),
        steps_per_epoch: steps_per_epoch(division, batch, false),
        batch,
        rate: match bound.value("optimizer") {
            Some(Value::Component(optimizer)) => rate(optimizer),
            _ => None,
        },
    };
    course.check()
}

/// Optimiser steps in one pass over the training images.
pub(super) fn steps_per_epoch(division: &Division, batch: usize, drop_last: bool) -> usize {
    if drop_last { division.train / batch } else { division.train.div_ceil(batch) }
}

fn rate(optimizer: &Bound) -> Option<f64> {
    match optimizer.value("lr") {
        Some(Value::Real(rate)) => Some(*rate),
        _ => None,
    }
}

impl Course<'_> {
    fn check(&self) -> Vec<Diagnostic> {
        if self.steps() == 0 {
            return Vec::new();
        }
        let found = self.contradiction().or_else(|| self.warmup()).or_else(|| self.cycles());
        found.into_iter().chain(self.late_drops()).collect()
    }

    /// Two arguments that both say how long a cycle is.
    fn contradiction(&self) -> Option<Diagnostic> {
        let period = self.duration("period")?;
        let other = match (self.count("restarts"), self.duration("until")) {
            (1.., _) => "restarts",
            (_, Some(_)) => "until",
            _ if self.in_steps(period) > 0 => return None,
            _ => {
                return Some(
                    Diagnostic::new(&codes::SCHEDULE, "a cycle of the schedule has no length")
                        .at((self.place)("period"), "not one step")
                        .help("leave out `period`: one cycle then takes all of the training"),
                );
            }
        };
        let message = format!("`period` and `{other}` both say how long a cycle is");
        Some(
            Diagnostic::new(&codes::SCHEDULE, message)
                .at((self.place)("period"), format!("{period} each"))
                .at((self.place)(other), "and something else here")
                .help(format!(
                    "leave out `{other}`: cycles of {period} repeat until training ends"
                )),
        )
    }

    /// A warm-up that leaves no time for what it warms up for.
    fn warmup(&self) -> Option<Diagnostic> {
        let warmup = self.duration("warmup").filter(|it| it.amount > 0.0)?;
        let length = self.in_steps(warmup);
        let at = |message: &str| {
            Diagnostic::new(&codes::SCHEDULE, message)
                .at((self.place)("warmup"), format!("the learning rate rises for {warmup}"))
        };
        if let Some(until) = self.duration("until").filter(|it| self.in_steps(*it) <= length) {
            return Some(
                at("the schedule ends before its warm-up does")
                    .at((self.place)("until"), format!("counted from the start: {until}"))
                    .help("write a `warmup` shorter than `until`"),
            );
        }
        if length < self.steps() {
            return None;
        }
        let reached = self.steps() as f64 / (length + 1) as f64;
        Some(
            at("training ends before the warm-up does")
                .at(self.length_span, self.ends_at(reached))
                .help(format!("write a `warmup` shorter than {}", self.length)),
        )
    }

    fn cycles(&self) -> Option<Diagnostic> {
        match (self.duration("until"), self.duration("period")) {
            (Some(until), _) => self.until(until),
            (_, Some(period)) => self.period(period),
            _ => None,
        }
    }

    fn until(&self, until: Duration) -> Option<Diagnostic> {
        let (end, steps) = (self.in_steps(until), self.steps());
        let is_said = self.is_wave() || self.count("restarts") > 0;
        if end > steps {
            let cycles = 1.0 + self.count("restarts") as f64;
            let passed = cycles * self.rest() as f64 / (end - self.warmup_steps()) as f64;
            let share = if cycles > 1.0 { passed.fract() } else { passed };
            let share = if self.is_wave() { 2.0 * share } else { share };
            return Some(self.unfinished(self.place_of("until"), until, share));
        }
        (end < steps && !is_said).then(|| self.ends_early(until))
    }

    fn ends_early(&self, until: Duration) -> Diagnostic {
        let (end, steps) = (self.in_steps(until), self.steps());
        let times = steps as f64 / end as f64;
        let share = (steps - 1 - self.warmup_steps()) as f64 / (end - self.warmup_steps()) as f64;
        let message = "the schedule ends before training does, so the learning rate rises again";
        let takes = match self.warmup_steps() {
            0 => format!("one half-cosine takes {until}"),
            _ => format!("warm-up and half-cosine take {until}"),
        };
        let end_rate = self.ends_at(self.cosine(share));
        let mut diagnostic = Diagnostic::new(&codes::SCHEDULE, message)
            .at((self.place)("until"), takes)
            .at(self.length_span, format!("{} times as long: {end_rate}", short(times)))
            .help("leave out `until`: the horizon then follows `for`");
        let restarts = times.round() as usize - 1;
        if restarts > 0 {
            let help = format!("if you want restarts, say so: `cosine(restarts={restarts})`");
            diagnostic = diagnostic.help(help);
        }
        if self.warmup_steps() == 0 {
            let period = Duration { amount: 2.0 * until.amount, unit: until.unit };
            let help = format!("if it should rise, say so: `cosine(period={period}, wave=true)`");
            diagnostic = diagnostic.help(help);
        }
        diagnostic
    }

    /// Cycles of `period` each, the last of which may be cut off.
    fn period(&self, period: Duration) -> Option<Diagnostic> {
        let (cycle, rest) = (self.in_steps(period), self.rest());
        let fall = if self.is_wave() { cycle.div_ceil(2) } else { cycle };
        if fall > rest {
            let share = rest as f64 / fall as f64;
            return Some(self.unfinished(self.place_of("period"), period, share));
        }
        if self.is_wave() || rest % cycle == 0 {
            return None;
        }
        let share = (rest % cycle) as f64 / cycle as f64;
        let cycles = rest as f64 / cycle as f64;
        let message = "training ends in the middle of a cycle of its schedule";
        Some(
            Diagnostic::new(&codes::UNFINISHED, message)
                .at((self.place)("period"), format!("{} cycles fit", short(cycles)))
                .at(self.length_span, self.ends_at(self.cosine(share)))
                .help(format!(
                    "`restarts={}` instead makes whole cycles: their length then follows `for`",
                    (cycles.round() as usize).max(1) - 1
                )),
        )
    }

    fn unfinished(&self, (name, span): (&str, Span), wanted: Duration, share: f64) -> Diagnostic {
        let message = "training ends before the schedule does, above its lowest learning rate";
        let takes = match self.is_wave() {
            true => format!("falls for the first half of {wanted}"),
            false => format!("the schedule takes {wanted}"),
        };
        Diagnostic::new(&codes::UNFINISHED, message)
            .at(span, takes)
            .at(self.length_span, self.ends_at(self.cosine(share)))
            .help(format!("leave out `{name}`: the horizon then follows `for`"))
    }

    /// Changes at times that training does not reach.
    fn late_drops(&self) -> Option<Diagnostic> {
        let Some(Value::List(times)) = self.schedule.value("at") else { return None };
        let late: Vec<String> = times
            .iter()
            .filter(|at| matches!(at, Value::Duration(at) if self.in_steps(*at) >= self.steps()))
            .map(|at| format!("`{at}`"))
            .collect();
        if late.is_empty() {
            return None;
        }
        let message =
            format!("training ends before the learning rate changes at {}", late.join(", "));
        Some(
            Diagnostic::new(&codes::UNFINISHED, message)
                .at((self.place)("at"), format!("{} of {} never come", late.len(), times.len()))
                .at(self.length_span, "training ends here")
                .help("times are counted from the start of training"),
        )
    }

    fn steps(&self) -> usize {
        self.in_steps(self.length)
    }

    fn warmup_steps(&self) -> usize {
        self.duration("warmup").map_or(0, |warmup| self.in_steps(warmup))
    }

    /// The steps after the warm-up.
    fn rest(&self) -> usize {
        self.steps().saturating_sub(self.warmup_steps())
    }

    fn in_steps(&self, duration: Duration) -> usize {
        duration.steps(self.steps_per_epoch, self.batch)
    }

    fn place_of<'n>(&self, name: &'n str) -> (&'n str, Span) {
        (name, (self.place)(name))
    }

    fn duration(&self, name: &str) -> Option<Duration> {
        match self.schedule.value(name) {
            Some(Value::Duration(duration)) => Some(*duration),
            _ => None,
        }
    }

    fn count(&self, name: &str) -> i64 {
        match self.schedule.value(name) {
            Some(Value::Int(count)) => *count,
            _ => 0,
        }
    }

    fn is_wave(&self) -> bool {
        self.schedule.value("wave") == Some(&Value::Bool(true))
    }

    /// The factor at a share of a half-cosine.
    fn cosine(&self, share: f64) -> f64 {
        let to = match self.schedule.value("to") {
            Some(Value::Real(to)) => *to,
            _ => 0.0,
        };
        to + (1.0 - to) * (1.0 + (PI * share).cos()) / 2.0
    }

    /// What the learning rate is at the end, by its factor.
    fn ends_at(&self, factor: f64) -> String {
        match self.rate {
            Some(rate) => format!("training would end at {}", short(rate * factor)),
            None => format!("training would end at {} of the learning rate", short(factor)),
        }
    }
}

/// A number in three digits, as it is written.
pub(super) fn short(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-2..1e4).contains(&size) {
        let text = format!("{value:.2e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.'));
    }
    let decimals = if size >= 100.0 { 0 } else { 2 + usize::from(size < 1.0) };
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}
