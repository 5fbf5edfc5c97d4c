//! The groups that a training reads: those of the dataset, or those that earlier trainings find,
//! which are kept beside its state.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::rc::Rc;

use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

use super::event::{Event, RunError};
use super::frozen::Frozen;
use super::pool::Pool;
use super::session::Session;
use crate::catalog::{Features, Value};
use crate::graph::stage_stream;
use crate::library;
use crate::library::eval::{EvalError, Site, Split};
use crate::library::grouping::{Grouping, Images, Seen};
use crate::plan::{FoundGroups, Plan, Stage};
use crate::store;

/// The file of groups that were found.
pub const FILE: &str = "groups.json";

/// The group of each image of two splits, by its place among the names that the stage has; empty
/// where there are no groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Groups {
    pub train: Vec<u32>,
    pub val: Vec<u32>,
}

/// Groups as they are kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// The digest of the stage that reads them.
    stage: String,
    /// SHA-256 of the data's content.
    content: String,
    names: Vec<String>,
    train: Vec<u32>,
    val: Vec<u32>,
}

/// A group that was found, with its images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundGroup {
    pub group: String,
    pub train: usize,
    pub val: usize,
}

impl Groups {
    /// Those of the dataset.
    fn of_data(pool: &Pool) -> Self {
        Self { train: pool.groups_of(Split::Train), val: pool.groups_of(Split::Val) }
    }

    /// Those of `stage` where nothing is trained: groups that are still to be found are one.
    pub fn unknown(stage: &Stage, pool: &Pool) -> Self {
        let one = |split| vec![0; pool.indices(split).len()];
        match &stage.groups {
            Some(_) => Self { train: one(Split::Train), val: one(Split::Val) },
            None => Self::of_data(pool),
        }
    }

    /// Those that the training in `folder` has read.
    ///
    /// # Errors
    /// When they were found and are not there any more.
    pub fn known(folder: &Path, stage: &Stage, pool: &Pool) -> Result<Self, RunError> {
        if stage.groups.is_none() {
            return Ok(Self::of_data(pool));
        }
        Self::kept(folder, stage, pool)?.ok_or_else(|| unusable(folder, "it is missing"))
    }

    /// Those that training number `at` reads, which are looked for if they are not known.
    ///
    /// # Errors
    /// When the user asks to stop, or when there are no such groups.
    pub fn find(
        session: &mut Session,
        (plan, at): (&Plan, usize),
        pool: &Pool,
    ) -> Result<Self, RunError> {
        let stage = &plan.stages[at];
        let Some(asked) = &stage.groups else { return Ok(Self::of_data(pool)) };
        let folder = session.around.store.stage(stage);
        if let Some(known) = Self::kept(&folder, stage, pool)? {
            return Ok(known);
        }
        let (number, of) = (at + 1, plan.stages.len());
        session.tell(Event::Grouping { stage, number, of, share: 0.0 });
        let seen = Seen {
            classes: &asked.classes.names,
            train: images(session, plan, (asked, pool), Split::Train)?,
            val: images(session, plan, (asked, pool), Split::Val)?,
        };
        let grouping: Box<dyn Grouping> =
            library::build(&session.around.library.groupings, &asked.call);
        let (library, stream) =
            (session.around.library, stage_stream(stage, "order").named("groups"));
        let progress = &mut |share| {
            session.tell(Event::Grouping { stage, number, of, share });
            match session.around.is_halted() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        let found = grouping.find(&seen, &mut Site { library, stream, progress })?;
        let groups = Self { train: found.train, val: found.val };
        groups.keep(&folder, stage, pool)?;
        Ok(groups)
    }

    fn kept(folder: &Path, stage: &Stage, pool: &Pool) -> Result<Option<Self>, RunError> {
        let path = folder.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(RunError::io(&path, &error)),
        };
        let kept: Kept =
            serde_json::from_slice(&bytes).map_err(|error| unusable(folder, &error.to_string()))?;
        let count = |split| pool.indices(split).len();
        let most = stage.group_names().len() as u32;
        let is_sound = kept.stage == stage.digest.text()
            && kept.content == pool.content
            && (kept.train.len(), kept.val.len()) == (count(Split::Train), count(Split::Val))
            && kept.train.iter().chain(&kept.val).all(|group| *group < most);
        match is_sound {
            true => Ok(Some(Self { train: kept.train, val: kept.val })),
            false => Err(unusable(folder, "it is of another training")),
        }
    }

    fn keep(&self, folder: &Path, stage: &Stage, pool: &Pool) -> Result<(), RunError> {
        let path = folder.join(FILE);
        let kept = Kept {
            stage: stage.digest.text().to_owned(),
            content: pool.content.clone(),
            names: stage.group_names().to_vec(),
            train: self.train.clone(),
            val: self.val.clone(),
        };
        let bytes =
            serde_json::to_vec(&kept).map_err(|error| RunError::io(&path, &error.into()))?;
        store::write(&path, &bytes).map_err(|error| RunError::io(&path, &error))
    }

    /// The group that the sampler of `stage` names, if no training image is in it.
    pub fn missing<'a>(&self, stage: &'a Stage) -> Option<&'a str> {
        let at = stage.drawn_group()?;
        let is_there = self.train.iter().any(|group| *group as usize == at);
        (!is_there).then(|| stage.group_names()[at].as_str())
    }

    /// The groups that were found for `stage` and have images.
    pub fn counted(&self, stage: &Stage) -> Vec<FoundGroup> {
        let names = stage.groups.as_ref().map_or(&[][..], |found| &found.names);
        let count = |groups: &[u32], at| groups.iter().filter(|group| **group == at).count();
        let of = |(at, name): (usize, &String)| FoundGroup {
            group: name.clone(),
            train: count(&self.train, at as u32),
            val: count(&self.val, at as u32),
        };
        let all = names.iter().enumerate().map(of);
        all.filter(|it| it.train + it.val > 0).collect()
    }
}

/// Groups that were found and cannot be read.
fn unusable(folder: &Path, why: &str) -> RunError {
    RunError::failed(
        format!("{} cannot be used: {why}", folder.join(FILE).display()),
        "remove this folder to find the groups and train the stage again",
    )
}

/// The images of a split, as the trainings see them that `asked` names.
fn images(
    session: &mut Session,
    plan: &Plan,
    (asked, pool): (&FoundGroups, &Pool),
    split: Split,
) -> Result<Images, RunError> {
    let stages =
        asked.by.iter().filter_map(|by| plan.stages.iter().find(|it| it.digest == by.digest));
    let on = match asked.call.value("on") {
        Some(Value::Features(on)) => on,
        _ => &Features::Auto,
    };
    let is_last = matches!(on, Features::Last(_));
    let parts: Vec<Rc<Frozen>> =
        stages.map(|stage| session.frozen(stage, is_last)).collect::<Result<_, _>>()?;
    let around = session.around;
    let tell = &mut |_| if around.is_halted() { Err(EvalError::Stopped) } else { Ok(()) };
    let features: Vec<Tensor> =
        parts.iter().map(|part| part.features(split, tell)).collect::<Result<_, _>>()?;
    let scores = match (&parts[..], &features[..]) {
        ([part], [features]) if features.dim(0)? > 0 => {
            part.scores(features, &asked.classes.of_fine)?.map(|it| numbers(&it)).transpose()?
        }
        ([_], [_]) => Some(Vec::new()),
        _ => None,
    };
    let is_projected = matches!(on, Features::Projector(_));
    let seen = |(part, features): (&Rc<Frozen>, &Tensor)| match is_projected {
        true => part.projected(features),
        false => Ok(features.clone()),
    };
    let columns: Vec<Tensor> = parts.iter().zip(&features).map(seen).collect::<Result<_, _>>()?;
    let embedding = Tensor::cat(&columns, 1)?;
    let class = |item: &u32| asked.classes.of_fine[pool.observed[*item as usize] as usize];
    let embeddings = numbers(&embedding)?;
    if embeddings.iter().any(|x| !x.is_finite()) {
        let message = "embeddings that groups are to be found in are not finite".to_owned();
        return Err(RunError::failed(message, "the encoder that made them has diverged"));
    }
    Ok(Images {
        embeddings,
        dim: embedding.dim(1)?,
        labels: pool.indices(split).iter().map(class).collect(),
        scores,
    })
}

fn numbers(tensor: &Tensor) -> candle_core::Result<Vec<f32>> {
    tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
}
