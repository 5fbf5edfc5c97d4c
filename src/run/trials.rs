//! All trials of a plan, in its order; a failure leaves out what depends on it and nothing else.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::evaluate::{Evaluated, evaluate};
use super::event::{Event, RunError};
use super::session::Session;
use super::train::train;
use crate::plan::{Plan, Trial};

/// What came of a plan.
#[derive(Debug)]
pub struct Outcome {
    /// One for each trial of the plan, in its order.
    pub trials: Vec<TrialOutcome>,
    /// Whether the user stopped it.
    pub stopped: bool,
}

/// What came of one trial.
#[derive(Debug)]
pub struct TrialOutcome {
    pub cell: usize,
    pub seed: u64,
    /// The evaluations of the file, in its order; absent where something failed.
    pub evaluations: Vec<Option<Evaluated>>,
    /// Why something is absent.
    pub failure: Option<String>,
}

impl Outcome {
    /// Whether a trial failed.
    pub fn has_failed(&self) -> bool {
        self.trials.iter().any(|trial| trial.failure.is_some())
    }
}

/// Runs `plan`: every training and evaluation that has no result yet.
pub fn run(session: &mut Session, plan: &Plan) -> Outcome {
    let mut runner = Runner { session, plan, failed: BTreeMap::new() };
    let mut trials = Vec::new();
    let mut stopped = false;
    for trial in &plan.trials {
        match runner.trial(trial) {
            Ok(outcome) => trials.push(outcome),
            Err(_) => {
                stopped = true;
                break;
            }
        }
    }
    Outcome { trials, stopped }
}

/// The user asked to stop.
struct Stopped;

struct Runner<'a, 'b> {
    session: &'a mut Session<'b>,
    plan: &'a Plan,
    /// Stages that failed, and why; they are not tried again for the next cell.
    failed: BTreeMap<usize, String>,
}

impl Runner<'_, '_> {
    fn trial(&mut self, trial: &Trial) -> Result<TrialOutcome, Stopped> {
        let mut failure = None;
        for stage in &trial.stages {
            if let Some(why) = self.stage(*stage)? {
                failure.get_or_insert(why);
            }
        }
        let mut evaluations = Vec::new();
        for at in &trial.evaluations {
            let (evaluated, why) = self.evaluation(*at)?;
            evaluations.push(evaluated);
            if let Some(why) = why {
                failure.get_or_insert(why);
            }
        }
        Ok(TrialOutcome { cell: trial.cell, seed: trial.seed, evaluations, failure })
    }

    /// Trains a stage; gives the reason when it cannot be.
    fn stage(&mut self, at: usize) -> Result<Option<String>, Stopped> {
        if let Some(why) = self.failed.get(&at) {
            return Ok(Some(why.clone()));
        }
        if self.session.stop.load(Ordering::Relaxed) {
            return Err(Stopped);
        }
        let stage = &self.plan.stages[at];
        let result = train(self.session, (at + 1, self.plan.stages.len()), stage);
        let why = self.settle(&stage.name, result)?;
        if let Err(why) = &why {
            self.failed.insert(at, why.clone());
        }
        Ok(why.err())
    }

    fn evaluation(&mut self, at: usize) -> Result<(Option<Evaluated>, Option<String>), Stopped> {
        let evaluation = &self.plan.evaluations[at];
        if evaluation.on.iter().any(|stage| self.failed.contains_key(stage)) {
            return Ok((None, None));
        }
        let number = (at + 1, self.plan.evaluations.len());
        let result = evaluate(self.session, self.plan, number, evaluation);
        Ok(match self.settle(&evaluation.name, result)? {
            Ok(evaluated) => (Some(evaluated), None),
            Err(why) => (None, Some(why)),
        })
    }

    /// Tells of a failure, and hands on a stop.
    fn settle<T>(
        &mut self,
        what: &str,
        result: Result<T, RunError>,
    ) -> Result<Result<T, String>, Stopped> {
        match result {
            Ok(value) => Ok(Ok(value)),
            Err(RunError::Stopped) => Err(Stopped),
            Err(RunError::Failed { message, help }) => {
                let message = match help {
                    Some(help) => format!("{message}\n  {help}"),
                    None => message,
                };
                self.session.observer.observe(Event::Failed { what, message: &message });
                Ok(Err(message))
            }
        }
    }
}
