//! One training, from its first step or from its checkpoint to its kept state.

use std::path::PathBuf;
use std::sync::Arc;

use candle_core::{DType, Result as TensorResult};
use serde_json::Value;

use super::ahead::{Batches, Maker};
use super::average::Average;
use super::batch::{Prepared, Transforms};
use super::checkpoint::{self, Best, Checkpoint, Progress, State, spoilt};
use super::collapse::{self, Collapse, Lie};
use super::event::{Event, RunError, first_line};
use super::groups::Groups;
use super::learn::Learner;
use super::log::{Epoch, Log};
use super::lost::explained;
use super::machine::Machine;
use super::order::Order;
use super::pool::Pool;
use super::readings::{Reading, Readings, numbers, off};
use super::session::Session;
use super::stretch::Stretch;
use super::trained::Trained;
use super::{validation, weights};
use crate::graph::{Model, build};
use crate::kernel::{Replay, Rounded};
use crate::library;
use crate::library::eval::Split;
use crate::library::optimizer::{Optimizer, Stepper};
use crate::library::schedule::{Horizon, Schedule};
use crate::plan::{Plan, Stage};
use crate::process::awake;
use crate::store::{self, RESULT};

/// Images per forward pass where nothing is learned.
pub(super) const EVAL_BATCH: usize = 256;
/// Seconds from one checkpoint to the next, at least.
const REST: f64 = 0.25;
/// And at least so many times as long as the last checkpoint took.
const SHARE: f64 = 100.0;

/// Trains stage number `at` of `plan`, unless it is done already. Says whether it was done.
pub(super) fn train(session: &mut Session, plan: &Plan, at: usize) -> Result<bool, RunError> {
    let stage = &plan.stages[at];
    let folder = session.around.store.stage(stage);
    let known = || store::result::<Value>(&folder, &stage.digest).map_err(RunError::stale);
    if known()?.is_some() {
        return Ok(true);
    }
    let held = store::hold(&folder).map_err(|error| RunError::hold(&folder, &error))?;
    // Another process may have finished it just before the folder was held.
    if known()?.is_some() {
        held.complete();
        return Ok(true);
    }
    let declared = folder.join("plan.json");
    store::write_json(&declared, stage).map_err(|error| RunError::io(&declared, &error))?;
    let pool = session.pool(&stage.data)?;
    let groups = Groups::find(session, (plan, at), &pool)?;
    if let Some(group) = groups.missing(stage) {
        session.tell(Event::EmptyGroup { stage, group });
    }
    let mut training = Training::begin(session, stage, (&pool, groups))?;
    let (step, of) = (training.progress.step, plan.stages.len());
    session.tell(Event::StageBegins { stage, number: at + 1, of, step });
    let done = training.run(session, &pool).and_then(|()| training.finish(session, &pool));
    let loss = done.map_err(|error| explained(error, stage))?;
    held.complete();
    session.tell(Event::StageEnds { stage, loss });
    Ok(false)
}

struct Training<'a> {
    stage: &'a Stage,
    folder: PathBuf,
    groups: Groups,
    model: Model,
    transforms: Arc<Transforms>,
    stepper: Box<dyn Stepper>,
    rounded: Rounded,
    replay: Replay,
    rate: f64,
    schedule: Box<dyn Schedule>,
    progress: Progress,
    readings: Readings,
    /// That of the last step that was read.
    loss: f64,
    average: Average,
    best: State,
    log: Log,
    machine: Machine,
    /// When to save next.
    due: f64,
    /// Whether it was told that all embeddings are one point.
    is_alarmed: bool,
}

impl<'a> Training<'a> {
    fn begin(
        session: &Session,
        stage: &'a Stage,
        (pool, groups): (&Pool, Groups),
    ) -> Result<Self, RunError> {
        let around = &session.around;
        let folder = around.store.stage(stage);
        let mut model = build(stage, around.library, DType::F32, around.device)?;
        model.balance(&pool.fine_of(Split::Train), &groups.train);
        let optimizer: Box<dyn Optimizer> =
            library::build(&around.library.optimizers, &stage.optimizer);
        let mut stepper = optimizer.start(model.params().vars())?;
        let (digest, content) = (stage.digest.text().to_owned(), pool.content.clone());
        let mut progress = Progress { stage: digest, content, ..Progress::default() };
        let (mut best, mut average) = (State::default(), State::default());
        if let Some(found) = Checkpoint::load(&folder, &stage.digest, around.device)? {
            found.expect_content(&folder, &pool.content)?;
            let found = found.before_its_end();
            let restored = found.restore(&model, &mut *stepper);
            restored.map_err(|error| spoilt(&folder, &first_line(&error)))?;
            (progress, best, average) = (found.progress, found.best, found.average);
        } else if let Some(upstream) = &stage.begins_with {
            weights::hand_on(around, upstream, &model)?;
        } else {
            weights::begin(stage, around.library, &model)?;
        }
        let replay = Replay::new(around.device, model.params().has_filters());
        let terms = model.term_names().len();
        let readings = Readings::new(around.device, terms, stage.method.clip.is_some())?;
        Ok(Self {
            transforms: Arc::new(Transforms::new(stage, around.library, model.needs_clean())),
            rate: optimizer.learning_rate(),
            schedule: library::build(&around.library.schedules, &stage.schedule),
            log: Log::open(&folder, progress.metrics_bytes)?,
            machine: Machine::begin(around, &folder, progress.step),
            due: (around.clock)() + REST,
            is_alarmed: false,
            stage,
            folder,
            groups,
            model,
            stepper,
            progress,
            rounded: Rounded::default(),
            replay,
            readings,
            loss: 0.0,
            average: Average::new(&stage.method, average),
            best,
        })
    }

    /// The steps that are left.
    fn run(&mut self, session: &mut Session, pool: &Pool) -> Result<(), RunError> {
        let steps = self.progress.step..self.stage.steps;
        let transforms = self.transforms.clone();
        let order = Order::new(self.stage, session.around.library, pool, &self.groups.train);
        let (device, workers) = (session.around.device, session.workers);
        let maker = Maker { order, transforms: &transforms, pool, device, workers };
        let clock = session.around.clock;
        maker.during(steps, clock, |batches| self.steps(session, pool, batches))
    }

    fn steps(
        &mut self,
        session: &mut Session,
        pool: &Pool,
        mut batches: Batches,
    ) -> Result<(), RunError> {
        while let Some(batch) = batches.next() {
            // On a card the other threads have nothing to do.
            let loss = match session.around.device.is_cpu() {
                true => awake(|| self.step(batch?))?,
                false => self.step(batch?)?,
            };
            let step = self.progress.step;
            session.tell(Event::Step { step, loss, waiting: batches.waiting() });
            if step.is_multiple_of(self.stage.steps_per_epoch) || step == self.stage.steps {
                self.end_epoch(pool, session)?;
            }
            if step == self.stage.steps {
                break;
            }
            let stopped = session.around.is_halted();
            if stopped || (session.around.clock)() >= self.due {
                self.save(session)?;
            }
            if stopped {
                return Err(RunError::Stopped);
            }
        }
        Ok(())
    }

    fn step(&mut self, batch: Prepared) -> Result<f64, RunError> {
        let step = self.progress.step;
        self.model.advance(step, &self.stage.horizon());
        let rate = self.rate * self.schedule.factor(step, &self.horizon());
        let Self { stage, model, stepper, rounded, readings, replay, .. } = self;
        let learner = Learner { stage, model, stepper: &mut **stepper, rounded, readings };
        replay.run(batch.items(), || learner.learn(batch, step, rate))?;
        if self.readings.are_due() {
            self.read()?;
        }
        self.average.after_step(&self.model)?;
        self.progress.step += 1;
        Ok(self.loss)
    }

    /// Reads the losses that are noted, and counts them.
    fn read(&mut self) -> Result<(), RunError> {
        for reading in self.readings.read()? {
            self.refuse_nonfinite(&reading)?;
            self.count(&reading);
            self.loss = reading.total;
        }
        Ok(())
    }

    fn horizon(&self) -> Horizon {
        let Stage { steps, steps_per_epoch, batch, .. } = *self.stage;
        Horizon { steps, steps_per_epoch, batch }
    }

    fn count(&mut self, reading: &Reading) {
        let values = reading.terms.iter().copied().chain([reading.total]);
        let progress = &mut self.progress;
        progress.sums.resize(reading.terms.len() + 1, 0.0);
        for (sum, value) in progress.sums.iter_mut().zip(values) {
            *sum += value * reading.items as f64;
        }
        progress.items += reading.items;
    }

    fn refuse_nonfinite(&self, reading: &Reading) -> Result<(), RunError> {
        let Some(what) = reading.trouble(&self.model.term_names()) else { return Ok(()) };
        let step = reading.step;
        let per_epoch = self.stage.steps_per_epoch;
        let (batch, epoch) = (step % per_epoch + 1, step / per_epoch + 1);
        Err(self.diverged(format!("{what} in step {}, batch {batch} of epoch {epoch}", step + 1)))
    }

    fn diverged(&self, what: String) -> RunError {
        let mut help = "a smaller learning rate or a larger temperature may help".to_owned();
        if self.folder.join(checkpoint::FILE).exists() {
            help += &format!("; the last sound state stays in {}", self.folder.display());
        }
        RunError::failed(what, help)
    }

    fn end_epoch(&mut self, pool: &Pool, session: &mut Session) -> Result<(), RunError> {
        let step = self.progress.step;
        self.average.after_epoch(&self.model, step, self.stage.steps_per_epoch)?;
        let seen = (self.stage, &self.model, &*self.transforms);
        let device = session.around.device;
        let judged = self.average.during(&self.model, || validation::judge(seen, pool, device))?;
        // Whoever reads waits for what a card has to do: the validation is queued there before.
        self.read()?;
        let items = self.progress.items.max(1) as f64;
        let mut means: Vec<f64> = self.progress.sums.iter().map(|sum| sum / items).collect();
        let loss = means.pop().unwrap_or_default();
        let names = self.model.term_names();
        let (by, of) = ((self.stage, &self.model), (pool, &self.groups));
        let accuracies = validation::accuracies(by, &judged, of)?;
        let epoch = step.div_ceil(self.stage.steps_per_epoch);
        let collapse = self.collapse(epoch, pool, session)?;
        self.log.append(&Epoch {
            epoch,
            step,
            learning_rate: self.rate * self.schedule.factor(step - 1, &self.horizon()),
            loss,
            terms: names.into_iter().zip(means.into_iter().map(Value::from)).collect(),
            collapse,
            val: validation::named(&accuracies),
        })?;
        self.progress.metrics_bytes = self.log.bytes();
        self.progress.sums.clear();
        self.progress.items = 0;
        self.keep_if_best(epoch, &accuracies)
    }

    /// What has collapsed, at the epochs that are looked at; the alarm is given once.
    fn collapse(
        &mut self,
        epoch: usize,
        pool: &Pool,
        session: &mut Session,
    ) -> Result<Option<Collapse>, RunError> {
        if !collapse::is_due(self.stage, epoch, self.progress.step) {
            return Ok(None);
        }
        let device = session.around.device;
        let images = |items: &[u32]| self.transforms.untouched(pool, items, device);
        let seen = (self.stage, &self.model, pool);
        let lie = self.average.during(&self.model, || collapse::look(seen, images))?;
        let Some(lie) = lie else { return Ok(None) };
        if lie.is_one_point() && !self.is_alarmed {
            let Lie { cosine, .. } = lie;
            session.tell(Event::OnePoint { stage: self.stage, epoch, cosine });
            self.is_alarmed = true;
        }
        Ok(lie.collapse)
    }

    /// Of equally good states the first is kept.
    fn keep_if_best(&mut self, epoch: usize, found: &[(String, f64)]) -> Result<(), RunError> {
        let Some(chosen) = validation::chosen(self.stage) else { return Ok(()) };
        let found = found.iter().find(|(name, _)| *name == chosen);
        let Some(accuracy) = found.map(|(_, accuracy)| *accuracy) else { return Ok(()) };
        if self.progress.best.as_ref().is_none_or(|best| accuracy > best.accuracy) {
            self.best = self.evaluated()?;
            self.progress.best = Some(Best { epoch, accuracy });
        }
        Ok(())
    }

    /// A copy of the model as it is evaluated: with its average in the place of its weights.
    fn evaluated(&self) -> Result<State, RunError> {
        self.average.during(&self.model, || self.state())
    }

    /// A copy of the model, which must be one that can be gone on from.
    fn state(&self) -> Result<State, RunError> {
        let state = self.model.params().state()?;
        let off = numbers(&state.values().map(off).collect::<TensorResult<Vec<_>>>()?)?;
        match state.keys().zip(off).find(|(_, off)| *off != 0.0) {
            Some((name, _)) => {
                let step = self.progress.step;
                Err(self.diverged(format!("`{name}` is not finite after step {step}")))
            }
            None => Ok(state),
        }
    }

    fn save(&mut self, session: &Session) -> Result<(), RunError> {
        self.read()?;
        let begun = (session.around.clock)();
        let checkpoint = Checkpoint {
            progress: self.progress.clone(),
            model: self.state()?,
            optimizer: self.stepper.state()?,
            best: self.best.clone(),
            last: State::default(),
            average: self.average.state.clone(),
        };
        self.log.sync()?;
        checkpoint.save(&self.folder)?;
        let now = (session.around.clock)();
        self.due = now + REST.max(SHARE * (now - begun));
        self.machine.note(self.progress.step, self.replay.launches(), now)
    }

    /// Leaves the kept state in the checkpoint, beside it the last where that is another, and says
    /// that the training is over. Gives the loss of the last epoch.
    fn finish(&mut self, session: &Session, pool: &Pool) -> Result<f64, RunError> {
        let last = self.evaluated()?;
        let (model, last) = match self.best.is_empty() {
            true => (last, State::default()),
            false => (self.best.clone(), last),
        };
        self.model.params().restore(&model)?;
        let images = |items: &[u32]| self.transforms.untouched(pool, items, session.around.device);
        let stretch = Stretch::of(self.stage, &self.model, pool.indices(Split::Train), images)?;
        let progress = Progress { finished: true, ..self.progress.clone() };
        self.log.sync()?;
        Checkpoint { progress, model, last, ..Checkpoint::default() }.save(&self.folder)?;
        let now = (session.around.clock)();
        self.machine.note(self.progress.step, self.replay.launches(), now)?;
        let parameters = self.model.params().count();
        let (log, best) = (self.log.last()?, self.progress.best.clone());
        let seen = (pool, &self.groups);
        let trained = Trained::of(self.stage, seen, parameters, (log, best), stretch);
        let path = self.folder.join(RESULT);
        store::write_json(&path, &trained).map_err(|error| RunError::io(&path, &error))?;
        Ok(trained.last_epoch.loss)
    }
}
