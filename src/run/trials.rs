//! All trials of a plan, in its order; a failure leaves out what depends on it and nothing else.

use super::evaluate::{Evaluated, evaluate};
use super::event::{Event, RunError};
use super::session::Session;
use super::train::train;
use crate::plan::{Digest, Plan, Stage, Trial};

/// What came of a plan.
#[derive(Debug)]
pub struct Outcome {
    /// One for each trial of the plan, in its order; those begun before a stop.
    pub trials: Vec<TrialOutcome>,
    /// Whether the user stopped it.
    pub stopped: bool,
    pub trainings: Tally,
    pub evaluations: Tally,
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

/// How many trainings or evaluations a run took care of, each once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Computed by this run.
    pub done: usize,
    /// Found in the store.
    pub found: usize,
    pub failed: usize,
    /// Left out because what they read failed.
    pub left_out: usize,
}

impl Outcome {
    /// The number of trials of which something failed.
    pub fn failures(&self) -> usize {
        self.trials.iter().filter(|trial| trial.failure.is_some()).count()
    }
}

/// Runs `plan`: every training and evaluation that has no result yet.
pub fn run(session: &mut Session, plan: &Plan) -> Outcome {
    let mut runner = Runner {
        session,
        plan,
        stages: vec![None; plan.stages.len()],
        evaluations: vec![None; plan.evaluations.len()],
        trainings: Tally::default(),
        measured: Tally::default(),
    };
    let mut trials = Vec::new();
    let mut stopped = false;
    for trial in &plan.trials {
        match runner.trial(trial) {
            Ok(outcome) => trials.push(outcome),
            Err(Stopped) => {
                stopped = true;
                break;
            }
        }
    }
    let (trainings, evaluations) = (runner.trainings, runner.measured);
    session.tell(Event::PlanEnds);
    Outcome { trials, stopped, trainings, evaluations }
}

/// The user asked to stop.
struct Stopped;

/// The result of something, or why there is none.
type Settled<T> = Result<T, String>;

struct Runner<'a, 'b> {
    session: &'a mut Session<'b>,
    plan: &'a Plan,
    /// What came of each stage and evaluation so far: several trials may need one.
    stages: Vec<Option<Settled<()>>>,
    evaluations: Vec<Option<Settled<Evaluated>>>,
    trainings: Tally,
    measured: Tally,
}

impl Runner<'_, '_> {
    fn trial(&mut self, trial: &Trial) -> Result<TrialOutcome, Stopped> {
        let plan = self.plan;
        let stages: Vec<&Stage> = trial.stages.iter().map(|at| &plan.stages[*at]).collect();
        self.session.keep_frozen(&stages);
        let mut failure = None;
        for at in &trial.stages {
            if let Err(why) = self.stage(*at)? {
                failure.get_or_insert(why);
            }
        }
        let mut evaluations = Vec::new();
        for at in &trial.evaluations {
            let evaluated = self.evaluation(*at)?;
            if let Err(why) = &evaluated {
                failure.get_or_insert_with(|| why.clone());
            }
            evaluations.push(evaluated.ok());
        }
        Ok(TrialOutcome { cell: trial.cell, seed: trial.seed, evaluations, failure })
    }

    fn stage(&mut self, at: usize) -> Result<Settled<()>, Stopped> {
        if let Some(settled) = &self.stages[at] {
            return Ok(settled.clone());
        }
        self.heed()?;
        let stage = &self.plan.stages[at];
        if let Some(why) = self.failed_before(stage) {
            self.trainings.left_out += 1;
            self.stages[at] = Some(Err(why.clone()));
            return Ok(Err(why));
        }
        let result = train(self.session, self.plan, at);
        let settled = self.settle(&stage.name, stage.seed, result)?;
        count(&mut self.trainings, settled.as_ref().copied());
        let settled = settled.map(|_| ());
        self.stages[at] = Some(settled.clone());
        Ok(settled)
    }

    /// Why something that `stage` needs is not there.
    fn failed_before(&self, stage: &Stage) -> Option<String> {
        let found_by = stage.groups.iter().flat_map(|groups| &groups.by);
        let failed = |digest: &Digest| {
            let at = self.plan.stages.iter().position(|it| it.digest == *digest)?;
            self.stages[at].as_ref()?.as_ref().err().cloned()
        };
        stage.begins_with.iter().chain(found_by).find_map(|it| failed(&it.digest))
    }

    fn evaluation(&mut self, at: usize) -> Result<Settled<Evaluated>, Stopped> {
        if let Some(settled) = &self.evaluations[at] {
            return Ok(settled.clone());
        }
        self.heed()?;
        let evaluation = &self.plan.evaluations[at];
        let mut read = evaluation.on.iter().filter_map(|stage| self.stages[*stage].as_ref());
        let settled = if let Some(Err(why)) = read.find(|it| it.is_err()).cloned() {
            self.measured.left_out += 1;
            Err(why)
        } else {
            let result = evaluate(self.session, self.plan, at);
            let settled = self.settle(&evaluation.name, evaluation.seed, result)?;
            count(&mut self.measured, settled.as_ref().map(|(_, found)| *found));
            settled.map(|(evaluated, _)| evaluated)
        };
        self.evaluations[at] = Some(settled.clone());
        Ok(settled)
    }

    fn heed(&self) -> Result<(), Stopped> {
        if self.session.around.is_stopped() { Err(Stopped) } else { Ok(()) }
    }

    /// Tells of a failure, and hands on a stop.
    fn settle<T>(
        &mut self,
        name: &str,
        seed: u64,
        result: Result<T, RunError>,
    ) -> Result<Settled<T>, Stopped> {
        match result {
            Ok(value) => Ok(Ok(value)),
            Err(RunError::Stopped) => Err(Stopped),
            Err(RunError::Failed { message, help }) => {
                let help = help.as_deref();
                self.session.tell(Event::Failed { name, seed, message: &message, help });
                Ok(Err(message))
            }
        }
    }
}

/// Counts what was found in the store, computed, or failed.
fn count<E>(tally: &mut Tally, found: Result<bool, E>) {
    match found {
        Ok(true) => tally.found += 1,
        Ok(false) => tally.done += 1,
        Err(_) => tally.failed += 1,
    }
}
