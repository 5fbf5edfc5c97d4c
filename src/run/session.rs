//! What every training and evaluation of one invocation shares.

use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::Device;

use super::event::{Event, Observer, RunError};
use super::frozen::Frozen;
use super::pool::Pool;
use crate::catalog::{Labels, Value};
use crate::library::Library;
use crate::plan::{Data, Stage};
use crate::store::Store;

/// What a run finds around it.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    pub library: &'a Library,
    pub store: &'a Store,
    /// The folder all datasets are in.
    pub data_root: &'a Path,
    pub device: &'a Device,
    /// Set when the user asks to stop.
    pub stop: &'a AtomicBool,
    /// Seconds since the beginning of 1970, UTC. Decides when to save, never what.
    pub clock: &'a dyn Fn() -> f64,
}

impl Surroundings<'_> {
    /// Whether the user has asked to stop.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// What every training and evaluation of one invocation shares.
pub struct Session<'a> {
    pub around: Surroundings<'a>,
    observer: &'a mut dyn Observer,
    /// The datasets read so far, with how they were divided.
    pools: Vec<(String, Rc<Pool>)>,
    /// The trained encoders at hand, each by its training and whether it is as the last step left it.
    frozen: Vec<((String, bool), Rc<Frozen>)>,
}

impl<'a> Session<'a> {
    /// A session that has read nothing yet.
    pub fn new(around: Surroundings<'a>, observer: &'a mut dyn Observer) -> Self {
        Self { around, observer, pools: Vec::new(), frozen: Vec::new() }
    }

    /// Tells of `event`.
    pub fn tell(&mut self, event: Event) {
        self.observer.observe(event);
    }

    /// The images of `data`, read and verified once.
    pub(super) fn pool(&mut self, data: &Data) -> Result<Rc<Pool>, RunError> {
        let key = address(data);
        if let Some((_, pool)) = self.pools.iter().find(|(known, _)| *known == key) {
            return Ok(pool.clone());
        }
        let pool = Rc::new(Pool::load(data, self.around.library, self.around.data_root)?);
        self.pools.push((key, pool.clone()));
        Ok(pool)
    }

    /// The trained encoder of `stage`, as it was kept or as the last step left it, read once.
    pub(super) fn frozen(&mut self, stage: &Stage, is_last: bool) -> Result<Rc<Frozen>, RunError> {
        let key = (stage.digest.text().to_owned(), is_last);
        if let Some((_, frozen)) = self.frozen.iter().find(|(known, _)| *known == key) {
            return Ok(frozen.clone());
        }
        let pool = self.pool(&stage.data)?;
        let frozen = Rc::new(Frozen::load(&self.around, (stage, is_last), pool)?);
        self.frozen.push((key, frozen.clone()));
        Ok(frozen)
    }

    /// Lets go of all trained encoders but those of `stages`: their embeddings take memory.
    pub(super) fn keep_frozen(&mut self, stages: &[&Stage]) {
        self.frozen.retain(|((digest, _), _)| stages.iter().any(|it| it.digest.text() == digest));
    }
}

/// What tells the pool of `data` from others: all but the labels that training sees of it.
fn address(data: &Data) -> String {
    let labels = Value::Labels(Labels::Declared);
    let call = match data.call.value("labels") {
        Some(_) => data.call.clone().with("labels", labels),
        None => data.call.clone(),
    };
    format!("{call} {} {:?}", data.content, data.division)
}
