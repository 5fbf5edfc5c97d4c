//! One training, from its first step or from its checkpoint to its kept state.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, sync_channel};

use candle_core::DType;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::batch::{Order, Transforms};
use super::checkpoint::{Best, Checkpoint, Progress};
use super::event::{Event, RunError};
use super::pool::Pool;
use super::session::Session;
use crate::graph::{Batch, Loss, Model, build, scalar, stage_stream};
use crate::library::eval::Split;
use crate::library::optimizer::{Optimizer, Stepper};
use crate::library::schedule::{Horizon, Schedule};
use crate::library::{self};
use crate::nn::Mode;
use crate::plan::Stage;
use crate::store;

/// Batches made ahead of the step that is computed.
const AHEAD: usize = 2;
/// Checkpoints in a whole training, besides those of interruptions.
const CHECKPOINTS: usize = 20;
/// Images per forward pass where nothing is learned.
pub(super) const EVAL_BATCH: usize = 256;

/// What a finished training leaves beside its state.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
pub struct Trained {
    pub digest: String,
    pub stage: String,
    pub seed: u64,
    pub steps: usize,
    pub parameters: usize,
    /// Means over the last epoch: the weighted sum, and each term before its weight.
    pub loss: f64,
    pub terms: Map<String, Value>,
    /// When the best state was kept: its epoch and accuracy on the validation split.
    pub best: Option<Best>,
    /// SHA-256 of the data's content, as read.
    pub content: String,
}

/// The file that says a training is over.
pub const RESULT: &str = "result.json";

/// Trains `stage`, unless it is done already.
pub fn train(session: &mut Session, at: (usize, usize), stage: &Stage) -> Result<(), RunError> {
    let folder = session.store.stage(stage);
    if folder.join(RESULT).exists() {
        return Ok(());
    }
    let held = store::hold(&folder).map_err(|error| RunError::hold(&folder, &error))?;
    let plan = folder.join("plan.json");
    store::write_json(&plan, stage).map_err(|error| RunError::io(&plan, &error))?;
    let pool = session.pool(&stage.data)?;
    let mut training = Training::begin(session, stage, &held.path)?;
    let step = training.progress.step;
    session.observer.observe(Event::StageBegins { stage, number: at.0, of: at.1, step });
    training.run(session, &pool)?;
    training.finish(&pool)?;
    session.observer.observe(Event::StageEnds { stage, loss: training.last.loss });
    Ok(())
}

struct Training<'a> {
    stage: &'a Stage,
    folder: PathBuf,
    model: Model,
    transforms: Transforms,
    stepper: Box<dyn Stepper>,
    rate: f64,
    schedule: Box<dyn Schedule>,
    progress: Progress,
    best: super::checkpoint::State,
    last: Epoch,
    content: String,
}

/// The means of a finished epoch.
#[derive(Debug, Clone, Default)]
struct Epoch {
    loss: f64,
    terms: Map<String, Value>,
}

impl<'a> Training<'a> {
    fn begin(session: &Session, stage: &'a Stage, folder: &Path) -> Result<Self, RunError> {
        let model = build(stage, session.library, DType::F32, session.device)?;
        let optimizer: Box<dyn Optimizer> =
            library::build(&session.library.optimizers, &stage.optimizer);
        let transforms = Transforms::new(stage, session.library, model.needs_clean());
        let mut training = Self {
            stepper: optimizer.start(model.params().vars())?,
            rate: optimizer.learning_rate(),
            schedule: library::build(&session.library.schedules, &stage.schedule),
            stage,
            folder: folder.to_owned(),
            model,
            transforms,
            progress: Progress::default(),
            best: Default::default(),
            last: Epoch::default(),
            content: stage.data.content.clone(),
        };
        if let Some(checkpoint) = Checkpoint::load(folder, session.device)? {
            training.model.params().restore(&checkpoint.model)?;
            training.stepper.restore(&checkpoint.optimizer)?;
            training.best = checkpoint.best;
            training.progress = checkpoint.progress;
        }
        training.truncate_metrics()?;
        Ok(training)
    }

    fn metrics(&self) -> PathBuf {
        self.folder.join("metrics.jsonl")
    }

    /// Forgets what was logged after the checkpoint: those steps are done again.
    fn truncate_metrics(&self) -> Result<(), RunError> {
        let path = self.metrics();
        let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        open.and_then(|file| file.set_len(self.progress.metrics_bytes))
            .map_err(|error| RunError::io(&path, &error))
    }

    /// The steps that are left; batches are made on a thread of their own, ahead of their step.
    fn run(&mut self, session: &mut Session, pool: &Pool) -> Result<(), RunError> {
        let (first, last) = (self.progress.step, self.stage.steps);
        let mut order = Order::new(self.stage, pool.indices(Split::Train));
        let transforms = Transforms::new(self.stage, session.library, self.model.needs_clean());
        let device = session.device.clone();
        std::thread::scope(|scope| {
            let (sender, batches) = sync_channel(AHEAD);
            scope.spawn(move || {
                for step in first..last {
                    let (epoch, items) = order.step(step);
                    let batch = transforms.batch(pool, &items, epoch, &device);
                    // The receiver is gone when training has stopped.
                    if sender.send(batch).is_err() {
                        return;
                    }
                }
            });
            self.steps(session, pool, batches)
        })
    }

    fn steps(
        &mut self,
        session: &mut Session,
        pool: &Pool,
        batches: Receiver<candle_core::Result<Batch>>,
    ) -> Result<(), RunError> {
        let every = self.stage.steps.div_ceil(CHECKPOINTS).max(1);
        for batch in batches {
            let loss = self.step(batch?)?;
            session.observer.observe(Event::Step { step: self.progress.step, loss });
            if self.progress.step.is_multiple_of(self.stage.steps_per_epoch)
                || self.progress.step == self.stage.steps
            {
                self.end_epoch(pool, session)?;
            }
            let stopped = session.stop.load(Ordering::Relaxed);
            if stopped || self.progress.step.is_multiple_of(every) {
                self.save()?;
            }
            if stopped && self.progress.step < self.stage.steps {
                return Err(RunError::Stopped);
            }
        }
        Ok(())
    }

    fn step(&mut self, batch: Batch) -> Result<f64, RunError> {
        let step = self.progress.step;
        let items = batch.fine.len();
        let stream = stage_stream(self.stage).named("dropout").at(step as u64);
        let loss = self.model.loss(batch, &Mode::Train(stream))?;
        let total = scalar(&loss.total)?;
        self.refuse_nonfinite(&loss, total)?;
        let grads = loss.total.backward()?;
        if step == 0 {
            self.check_gradients(&grads)?;
        }
        let factor = self.schedule.factor(step, &self.horizon());
        self.stepper.step(&grads, self.rate * factor)?;
        self.count(&loss, total, items);
        Ok(total)
    }

    fn horizon(&self) -> Horizon {
        let Stage { steps, steps_per_epoch, batch, .. } = *self.stage;
        Horizon { steps, steps_per_epoch, batch }
    }

    fn count(&mut self, loss: &Loss, total: f64, items: usize) {
        let values = loss.terms.iter().map(|(_, value)| *value).chain([total]);
        let progress = &mut self.progress;
        progress.sums.resize(loss.terms.len() + 1, 0.0);
        for (sum, value) in progress.sums.iter_mut().zip(values) {
            *sum += value * items as f64;
        }
        progress.items += items;
        progress.step += 1;
    }

    /// A layer without a backward pass would leave what is behind it untrained, silently.
    fn check_gradients(&self, grads: &candle_core::backprop::GradStore) -> Result<(), RunError> {
        let missing = self.model.params().without_gradient(grads);
        if missing.is_empty() {
            return Ok(());
        }
        Err(RunError::failed(
            format!("no gradient reaches {}", missing.join(", ")),
            "this is a fault of balance: please report it with the file",
        ))
    }

    fn refuse_nonfinite(&self, loss: &Loss, total: f64) -> Result<(), RunError> {
        if total.is_finite() {
            return Ok(());
        }
        let bad = loss.terms.iter().find(|(_, value)| !value.is_finite());
        let name = bad.map_or("the sum of the terms".to_owned(), |(name, _)| format!("term `{name}`"));
        let value = bad.map_or(total, |(_, value)| *value);
        let step = self.progress.step;
        let (epoch, at) = (step / self.stage.steps_per_epoch, step % self.stage.steps_per_epoch);
        Err(RunError::failed(
            format!(
                "the loss is {value} in stage `{}` (seed {}): {name}, step {}, batch {} of epoch {}",
                self.stage.name,
                self.stage.seed,
                step + 1,
                at + 1,
                epoch + 1
            ),
            format!(
                "a smaller learning rate or a larger temperature may help; the last checkpoint stays in {}",
                self.folder.display()
            ),
        ))
    }

    fn end_epoch(&mut self, pool: &Pool, session: &Session) -> Result<(), RunError> {
        let items = self.progress.items.max(1) as f64;
        let mut means: Vec<f64> = self.progress.sums.iter().map(|sum| sum / items).collect();
        let loss = means.pop().unwrap_or_default();
        let names = self.model.term_names();
        let terms: Map<String, Value> =
            names.into_iter().zip(means).map(|(name, mean)| (name, mean.into())).collect();
        let epoch = self.progress.step.div_ceil(self.stage.steps_per_epoch);
        let step = self.progress.step;
        let factor = self.schedule.factor(step - 1, &self.horizon());
        let mut line = json!({ "epoch": epoch, "step": step, "learning_rate": self.rate * factor,
            "loss": loss, "terms": terms });
        let accuracies = self.validate(pool, session)?;
        for (name, accuracy) in &accuracies {
            line[format!("val.{name}.accuracy")] = (*accuracy).into();
        }
        self.append(&line)?;
        self.keep_if_best(epoch, &accuracies)?;
        self.progress.sums.clear();
        self.progress.items = 0;
        self.last = Epoch { loss, terms };
        Ok(())
    }

    /// The accuracy of each classifier on the validation split.
    fn validate(&self, pool: &Pool, session: &Session) -> Result<Vec<(String, f64)>, RunError> {
        let val = pool.indices(Split::Val);
        let mut right: Vec<(String, usize)> = Vec::new();
        for items in val.chunks(EVAL_BATCH) {
            let images = self.transforms.untouched(pool, items, session.device)?;
            let fine: Vec<u32> = items.iter().map(|item| pool.fine[*item as usize]).collect();
            for (at, (name, hits)) in self.model.count_right(&images, &fine)?.into_iter().enumerate() {
                match right.get_mut(at) {
                    Some((_, sum)) => *sum += hits,
                    None => right.push((name, hits)),
                }
            }
        }
        Ok(right.into_iter().map(|(name, hits)| (name, hits as f64 / val.len() as f64)).collect())
    }

    fn keep_if_best(&mut self, epoch: usize, accuracies: &[(String, f64)]) -> Result<(), RunError> {
        let Some(term) = &self.stage.keep_best else { return Ok(()) };
        let found = accuracies.iter().find(|(name, _)| name == term);
        let Some(accuracy) = found.map(|(_, accuracy)| *accuracy) else { return Ok(()) };
        if self.progress.best.as_ref().is_none_or(|best| accuracy > best.accuracy) {
            self.progress.best = Some(Best { epoch, accuracy });
            self.best = self.model.params().state()?;
        }
        Ok(())
    }

    fn append(&mut self, line: &Value) -> Result<(), RunError> {
        let path = self.metrics();
        let text = format!("{line}\n");
        let open = OpenOptions::new().append(true).open(&path);
        open.and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| RunError::io(&path, &error))?;
        self.progress.metrics_bytes += text.len() as u64;
        Ok(())
    }

    fn save(&self) -> Result<(), RunError> {
        let checkpoint = Checkpoint {
            progress: self.progress.clone(),
            model: self.model.params().state()?,
            optimizer: self.stepper.state()?,
            best: self.best.clone(),
        };
        checkpoint.save(&self.folder)
    }

    /// Leaves the kept state alone in the checkpoint, and says that the training is over.
    fn finish(&mut self, pool: &Pool) -> Result<(), RunError> {
        if self.last.terms.is_empty() {
            self.last = self.last_logged();
        }
        let model = match self.best.is_empty() {
            true => self.model.params().state()?,
            false => self.best.clone(),
        };
        let progress = Progress { finished: true, ..self.progress.clone() };
        Checkpoint { progress, model, ..Checkpoint::default() }.save(&self.folder)?;
        let trained = Trained {
            digest: self.stage.digest.text().to_owned(),
            stage: self.stage.name.clone(),
            seed: self.stage.seed,
            steps: self.stage.steps,
            parameters: self.model.params().count(),
            loss: self.last.loss,
            terms: self.last.terms.clone(),
            best: self.progress.best.clone(),
            content: pool.content.clone(),
        };
        let path = self.folder.join(RESULT);
        store::write_json(&path, &trained).map_err(|error| RunError::io(&path, &error))
    }

    /// The last epoch in the log, for a training that was stopped after its last step.
    fn last_logged(&self) -> Epoch {
        let text = fs::read_to_string(self.metrics()).unwrap_or_default();
        let line: Option<Value> = text.lines().last().and_then(|line| serde_json::from_str(line).ok());
        let line = line.unwrap_or_default();
        Epoch {
            loss: line["loss"].as_f64().unwrap_or_default(),
            terms: line["terms"].as_object().cloned().unwrap_or_default(),
        }
    }
}
