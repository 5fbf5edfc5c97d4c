//! What happens during a run, told to whoever shows it; and why a run ends early.

use std::path::Path;

use crate::data::DataError;
use crate::library::eval::{EvalError, Score};
use crate::plan::{Evaluation, Stage};
use crate::store::HoldError;

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event<'a> {
    /// Before training number `number` of `of` begins, a share of the search for its groups is done.
    Grouping {
        stage: &'a Stage,
        number: usize,
        of: usize,
        share: f64,
    },
    /// Training number `number` of `of` begins, at `step` when it goes on from a checkpoint.
    StageBegins {
        stage: &'a Stage,
        number: usize,
        of: usize,
        step: usize,
    },
    /// The group that the sampler of a training names has no images: all are drawn alike.
    EmptyGroup {
        stage: &'a Stage,
        group: &'a str,
    },
    /// A step is done; the loss is its weighted sum. Of the time since the first step, so large a
    /// share was spent waiting for images.
    Step {
        step: usize,
        loss: f64,
        waiting: f64,
    },
    /// After an epoch all embeddings of a training are one point: the mean cosine between those of
    /// two images. Told once.
    OnePoint {
        stage: &'a Stage,
        epoch: usize,
        cosine: f64,
    },
    /// A training ends, with the mean loss of its last epoch.
    StageEnds {
        stage: &'a Stage,
        loss: f64,
    },
    /// Evaluation number `number` of `of` begins.
    EvaluationBegins {
        evaluation: &'a Evaluation,
        number: usize,
        of: usize,
    },
    /// The evaluation needs the embeddings of `of` images, and has those of `done`.
    Embedded {
        done: usize,
        of: usize,
    },
    /// A share of an evaluation is done.
    EvaluationShare(f64),
    EvaluationEnds {
        evaluation: &'a Evaluation,
        scores: &'a [Score],
    },
    /// A training or an evaluation has no result; what does not read it goes on.
    Failed {
        name: &'a str,
        seed: u64,
        message: &'a str,
        help: Option<&'a str>,
    },
    /// From here on `jobs` trainings or evaluations may go on beside each other, on `cores` in all if
    /// these are divided; with what was gained by it, where that has just been measured.
    Divided {
        jobs: usize,
        cores: Option<usize>,
        gain: Option<Gain>,
    },
    /// A plan is through, or stopped.
    PlanEnds,
}

/// How many times the steps of another division of the cores, which has `jobs`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gain {
    pub times: f64,
    pub jobs: usize,
}

/// Who shows what happens.
pub trait Observer {
    /// Called for each event, on the thread that trains.
    fn observe(&mut self, event: Event);

    /// Says that the next event is of job number `job`, counted from 0. One thread at a time.
    fn attend(&mut self, _job: usize) {}
}

/// Shows nothing.
pub struct Silent;

impl Observer for Silent {
    fn observe(&mut self, _: Event) {}
}

/// Why a training or an evaluation has no result.
#[derive(Debug)]
pub enum RunError {
    /// The user asked to stop; what was done is saved.
    Stopped,
    /// The world or the numbers did not play along.
    Failed { message: String, help: Option<String> },
}

impl RunError {
    /// A failure with advice.
    pub fn failed(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), help: Some(help.into()) }
    }

    /// A failure to read or write.
    pub fn io(path: &Path, error: &std::io::Error) -> Self {
        let message = format!("{}: {error}", path.display());
        Self::Failed { message, help: None }
    }

    /// A result that is there and cannot be used.
    pub fn stale(why: String) -> Self {
        Self::failed(why, "remove its folder to compute it again")
    }

    /// A folder that cannot be held.
    pub fn hold(path: &Path, error: &HoldError) -> Self {
        match error {
            HoldError::Io(error) => Self::io(path, error),
            HoldError::Busy => Self::failed(
                format!("another balance is at work in {}", path.display()),
                "wait for it, or stop it: both would compute the same",
            ),
        }
    }
}

impl From<candle_core::Error> for RunError {
    fn from(error: candle_core::Error) -> Self {
        Self::Failed { message: first_line(&error), help: None }
    }
}

/// What candle says, without the backtrace it appends when the environment asks for one.
pub(super) fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

impl From<DataError> for RunError {
    fn from(error: DataError) -> Self {
        Self::Failed { message: error.message, help: error.help }
    }
}

impl From<EvalError> for RunError {
    fn from(error: EvalError) -> Self {
        match error {
            EvalError::Stopped => Self::Stopped,
            EvalError::Failed(message) => Self::Failed { message, help: None },
        }
    }
}
