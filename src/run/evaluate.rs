//! The evaluations of a trial: frozen models to features, features to scores.

use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

use super::batch::Transforms;
use super::checkpoint::Checkpoint;
use super::event::{Event, RunError};
use super::pool::Pool;
use super::session::Session;
use super::train::{EVAL_BATCH, RESULT};
use crate::graph::{Model, build};
use crate::library::eval::{EvalError, Evaluation as Component, FeatureSource, Features, Site, Split};
use crate::library::{self};
use crate::plan::{Evaluation, Plan, Stage};
use crate::seed::Stream;
use crate::store;

/// The scores of one evaluation, as they are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluated {
    pub digest: String,
    pub evaluation: String,
    pub seed: u64,
    pub scores: Vec<Scored>,
}

/// One number, named as in the language: `split.metric`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    pub split: String,
    pub metric: String,
    pub value: f64,
}

/// Evaluates, unless it is done already; the stages it reads are trained.
pub fn evaluate(
    session: &mut Session,
    plan: &Plan,
    at: (usize, usize),
    evaluation: &Evaluation,
) -> Result<Evaluated, RunError> {
    let folder = session.store.evaluation(evaluation);
    let path = folder.join(RESULT);
    let known = store::read_json(&path).map_err(|error| RunError::io(&path, &error))?;
    if let Some(known) = known {
        return Ok(known);
    }
    let _held = store::hold(&folder).map_err(|error| RunError::hold(&folder, &error))?;
    session.observer.observe(Event::EvaluationBegins { evaluation, number: at.0, of: at.1 });
    let stages: Vec<&Stage> = evaluation.on.iter().map(|at| &plan.stages[*at]).collect();
    let scores = measure(session, &stages, evaluation)?;
    session.observer.observe(Event::EvaluationEnds { evaluation, scores: &scores });
    let evaluated = Evaluated {
        digest: evaluation.digest.text().to_owned(),
        evaluation: evaluation.name.clone(),
        seed: evaluation.seed,
        scores: scores
            .iter()
            .map(|score| Scored {
                split: score.split.name().to_owned(),
                metric: score.metric.to_owned(),
                value: score.value,
            })
            .collect(),
    };
    let declared = folder.join("plan.json");
    store::write_json(&declared, evaluation).map_err(|error| RunError::io(&declared, &error))?;
    store::write_json(&path, &evaluated).map_err(|error| RunError::io(&path, &error))?;
    Ok(evaluated)
}

fn measure(
    session: &mut Session,
    stages: &[&Stage],
    evaluation: &Evaluation,
) -> Result<Vec<library::eval::Score>, RunError> {
    let component: Box<dyn Component> =
        library::build(&session.library.evaluations, &evaluation.call);
    let mut source = Frozen::load(session, stages, evaluation)?;
    let stop = session.stop;
    let observer = &mut session.observer;
    let mut progress = |share| {
        observer.observe(Event::EvaluationShare(share));
        match stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let stream = stream(evaluation);
    let mut site = Site { library: session.library, stream, progress: &mut progress };
    Ok(component.evaluate(&mut source, &mut site)?)
}

/// The address of an evaluation's randomness.
fn stream(evaluation: &Evaluation) -> Stream {
    Stream::new(evaluation.seed).named("eval").named(&evaluation.name)
}

/// The joined embeddings of trained stages.
struct Frozen<'a> {
    parts: Vec<(Model, Transforms)>,
    pool: Rc<Pool>,
    device: &'a candle_core::Device,
    /// The class of each fine class, by the labels the evaluation reads.
    classes: Vec<u32>,
    count: usize,
    augment: Stream,
}

impl<'a> Frozen<'a> {
    fn load(
        session: &mut Session<'a>,
        stages: &[&Stage],
        evaluation: &Evaluation,
    ) -> Result<Self, RunError> {
        let pool = session.pool(&stages[0].data)?;
        let mut parts = Vec::new();
        for stage in stages {
            let model = build(stage, session.library, DType::F32, session.device)?;
            let folder = session.store.stage(stage);
            let checkpoint = Checkpoint::load(&folder, session.device)?.ok_or_else(|| {
                RunError::failed(
                    format!("{} has no checkpoint", folder.display()),
                    "remove this folder to train the stage again",
                )
            })?;
            model.params().restore(&checkpoint.model)?;
            parts.push((model, Transforms::new(stage, session.library, false)));
        }
        let classes = evaluation.classes.as_ref().unwrap_or(&stages[0].data.classes);
        Ok(Self {
            parts,
            pool,
            device: session.device,
            classes: classes.of_fine.clone(),
            count: classes.names.len(),
            augment: stream(evaluation).named("augment"),
        })
    }

    /// The embeddings of `items`, each model's images made by `render`.
    fn embed(
        &self,
        items: &[u32],
        render: impl Fn(&Transforms, &[u32]) -> candle_core::Result<Tensor>,
    ) -> Result<Features, EvalError> {
        let mut columns = Vec::new();
        for (model, transforms) in &self.parts {
            let mut rows = Vec::new();
            for chunk in items.chunks(EVAL_BATCH) {
                rows.push(model.embed(&render(transforms, chunk)?)?);
            }
            columns.push(match rows.is_empty() {
                true => Tensor::zeros((0, 1), DType::F32, self.device)?,
                false => Tensor::cat(&rows, 0)?,
            });
        }
        let embedding = Tensor::cat(&columns, 1)?.to_device(&candle_core::Device::Cpu)?;
        let class = |item: &u32| self.classes[self.pool.fine[*item as usize] as usize];
        Ok(Features { embedding, labels: items.iter().map(class).collect() })
    }
}

impl FeatureSource for Frozen<'_> {
    fn features(&mut self, split: Split) -> Result<Features, EvalError> {
        let items = self.pool.indices(split).to_vec();
        self.embed(&items, |transforms, items| transforms.untouched(&self.pool, items, self.device))
    }

    fn augmented(&mut self, epoch: usize) -> Result<Features, EvalError> {
        let items = self.pool.indices(Split::Train).to_vec();
        let stream = self.augment.at(epoch as u64);
        self.embed(&items, |transforms, items| {
            transforms.augmented(&self.pool, items, &stream, self.device)
        })
    }

    fn classes(&self) -> usize {
        self.count
    }
}
