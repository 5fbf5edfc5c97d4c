//! What a plan has to do, in tasks that wait for each other, and what came of them so far.

use serde_json::Value;

use super::evaluate::Evaluated;
use super::trials::{Outcome, Tally, TrialOutcome};
use crate::plan::{Plan, Stage, Trial};
use crate::store::{self, Store};

/// The result of something, or why there is none.
pub type Settled<T> = Result<T, String>;

/// One training, or the evaluations of a trial that no trial before it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// An index into [`Plan::stages`].
    Stage(usize),
    /// Indices into [`Plan::evaluations`].
    Evaluations(Vec<usize>),
}

/// A piece of work for one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    pub work: Work,
    /// The first trial that asks for it.
    pub trial: usize,
    /// The trainings that are settled before it begins.
    needs: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Taken,
    Done,
}

/// The tasks of a plan, in the order in which one job does them.
pub struct Board<'a> {
    pub plan: &'a Plan,
    tasks: Vec<(Task, State)>,
    stages: Vec<Option<Settled<()>>>,
    evaluations: Vec<Option<Settled<Evaluated>>>,
    trainings: Tally,
    measured: Tally,
}

impl<'a> Board<'a> {
    /// Everything is still to be done.
    pub fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            tasks: tasks(plan).into_iter().map(|task| (task, State::Open)).collect(),
            stages: vec![None; plan.stages.len()],
            evaluations: vec![None; plan.evaluations.len()],
            trainings: Tally::default(),
            measured: Tally::default(),
        }
    }

    /// How many tasks are under way or could be.
    pub fn able(&self) -> usize {
        let is_able = |(task, state): &&(Task, State)| match state {
            State::Open => self.is_ready(task),
            State::Taken => true,
            State::Done => false,
        };
        self.tasks.iter().filter(is_able).count()
    }

    /// Whether a task is under way, and whether one is that cannot be gone on with later.
    pub fn taken(&self) -> (bool, bool) {
        let taken = || self.tasks.iter().filter(|(_, state)| *state == State::Taken);
        (taken().count() > 0, taken().any(|(task, _)| matches!(task.work, Work::Evaluations(_))))
    }

    /// The next task that can be done, which is then taken.
    pub fn take(&mut self) -> Option<Task> {
        let is_open = |(task, state): &(Task, State)| *state == State::Open && self.is_ready(task);
        let at = self.tasks.iter().position(is_open)?;
        let (task, state) = &mut self.tasks[at];
        *state = State::Taken;
        Some(task.clone())
    }

    fn is_ready(&self, task: &Task) -> bool {
        task.needs.iter().all(|at| self.stages[*at].is_some())
    }

    /// Puts a task back, or away when it `is_done`.
    pub fn put(&mut self, task: &Task, is_done: bool) {
        let next = if is_done { State::Done } else { State::Open };
        let places = self.tasks.iter_mut().filter(|(it, _)| it == task);
        places.for_each(|(_, state)| *state = next);
    }

    /// Why training number `at` cannot begin: something that it needs is not there.
    pub fn failed_before(&self, at: usize) -> Option<String> {
        let failed = |at: usize| self.stages[at].as_ref()?.as_ref().err().cloned();
        upstream(self.plan, &self.plan.stages[at]).into_iter().find_map(failed)
    }

    /// Why evaluation number `at` cannot begin: a training that it reads has failed.
    pub fn failed_below(&self, at: usize) -> Option<String> {
        let mut read = self.plan.evaluations[at].on.iter();
        read.find_map(|stage| self.stages[*stage].as_ref()?.as_ref().err().cloned())
    }

    /// Whether it is known what comes of evaluation number `at`.
    pub fn is_measured(&self, at: usize) -> bool {
        self.evaluations[at].is_some()
    }

    /// Notes what came of training number `at`: whether it was found in the store.
    pub fn trained(&mut self, at: usize, came: Settled<bool>) {
        count(&mut self.trainings, came.as_ref().copied());
        self.stages[at] = Some(came.map(|_| ()));
    }

    /// Notes that training number `at` is left out.
    pub fn untrained(&mut self, at: usize, why: String) {
        self.trainings.left_out += 1;
        self.stages[at] = Some(Err(why));
    }

    /// Notes what came of evaluation number `at`, and whether it was found in the store.
    pub fn measured(&mut self, at: usize, came: Settled<(Evaluated, bool)>) {
        count(&mut self.measured, came.as_ref().map(|(_, found)| *found));
        self.evaluations[at] = Some(came.map(|(evaluated, _)| evaluated));
    }

    /// Notes that evaluation number `at` is left out.
    pub fn unmeasured(&mut self, at: usize, why: String) {
        self.measured.left_out += 1;
        self.evaluations[at] = Some(Err(why));
    }

    /// Takes over what another process has done meanwhile of what failed here, as it was held there.
    pub fn adopt(&mut self, store: &Store) {
        let plan = self.plan;
        let untrained = (0..plan.stages.len()).map(|at| self.failed_before(at).is_some());
        let untrained: Vec<bool> = untrained.collect();
        let unmeasured = (0..plan.evaluations.len()).map(|at| self.failed_below(at).is_some());
        let unmeasured: Vec<bool> = unmeasured.collect();
        for (at, stage) in plan.stages.iter().enumerate() {
            let result = || store::result::<Value>(&store.stage(stage), &stage.digest).ok()?;
            if matches!(self.stages[at], Some(Err(_))) && result().is_some() {
                self.trainings.adopt(untrained[at]);
                self.stages[at] = Some(Ok(()));
            }
        }
        for (at, evaluation) in plan.evaluations.iter().enumerate() {
            let result =
                || store::result(&store.evaluation(evaluation), &evaluation.digest).ok()?;
            let Some(Err(_)) = self.evaluations[at] else { continue };
            if let Some(known) = result() {
                self.measured.adopt(unmeasured[at]);
                self.evaluations[at] = Some(Ok(known));
            }
        }
    }

    /// What came of everything. Something is left to do only when the user has stopped it.
    pub fn outcome(&self) -> Outcome {
        let stopped = self.tasks.iter().any(|(_, state)| *state != State::Done);
        let trials = self.plan.trials.iter().map_while(|trial| self.of_trial(trial)).collect();
        Outcome { trials, stopped, trainings: self.trainings, evaluations: self.measured }
    }

    /// What came of a trial; nothing yet when a part of it is to be done.
    fn of_trial(&self, trial: &Trial) -> Option<TrialOutcome> {
        let stages = trial.stages.iter().map(|at| self.stages[*at].as_ref());
        let stages: Vec<&Settled<()>> = stages.collect::<Option<_>>()?;
        let found = trial.evaluations.iter().map(|at| self.evaluations[*at].as_ref());
        let found: Vec<&Settled<Evaluated>> = found.collect::<Option<_>>()?;
        let untrained = stages.into_iter().find_map(|it| it.as_ref().err());
        let failure = untrained.or_else(|| found.iter().find_map(|it| it.as_ref().err())).cloned();
        let evaluations = found.into_iter().map(|it| it.as_ref().ok().cloned()).collect();
        Some(TrialOutcome { cell: trial.cell, seed: trial.seed, evaluations, failure })
    }
}

/// Everything that the trials of `plan` ask for, each once, in their order.
fn tasks(plan: &Plan) -> Vec<Task> {
    let mut tasks = Vec::new();
    let (mut trained, mut measured) = (vec![false; plan.stages.len()], Vec::new());
    measured.resize(plan.evaluations.len(), false);
    let is_new = |known: &mut [bool], at: usize| !std::mem::replace(&mut known[at], true);
    for (number, trial) in plan.trials.iter().enumerate() {
        for at in trial.stages.iter().copied().filter(|at| is_new(&mut trained, *at)) {
            let needs = upstream(plan, &plan.stages[at]);
            tasks.push(Task { work: Work::Stage(at), trial: number, needs });
        }
        let new = trial.evaluations.iter().copied().filter(|at| is_new(&mut measured, *at));
        let work = Work::Evaluations(new.collect());
        tasks.push(Task { work, trial: number, needs: trial.stages.clone() });
    }
    tasks
}

/// The trainings whose results `stage` begins with or reads.
fn upstream(plan: &Plan, stage: &Stage) -> Vec<usize> {
    let found_by = stage.groups.iter().flat_map(|groups| &groups.by);
    let read = stage.begins_with.iter().chain(found_by);
    read.filter_map(|read| plan.stages.iter().position(|it| it.digest == read.digest)).collect()
}

/// Counts what was found in the store, computed, or failed.
fn count<E>(tally: &mut Tally, found: Result<bool, E>) {
    match found {
        Ok(true) => tally.found += 1,
        Ok(false) => tally.done += 1,
        Err(_) => tally.failed += 1,
    }
}
