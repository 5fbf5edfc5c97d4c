//! What every training and evaluation of one invocation shares.

use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Device;
use rayon::ThreadPool;

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
    /// What is written of it beside results: the card's name, or `cpu`.
    pub device_name: &'a str,
    /// Set when the user asks to stop.
    pub stop: &'a AtomicBool,
    /// Set when what is under way is to be left as a stop leaves it, and gone on with at once.
    pub halt: Option<&'a AtomicBool>,
    /// Seconds since the beginning of 1970, UTC. Decides when to save, never what.
    pub clock: &'a (dyn Fn() -> f64 + Sync),
}

impl Surroundings<'_> {
    /// Whether the user has asked to stop.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether what is under way is to be left, at the user's wish or to be gone on with at once.
    pub fn is_halted(&self) -> bool {
        self.is_stopped() || self.halt.is_some_and(|halt| halt.load(Ordering::Relaxed))
    }
}

/// What every training and evaluation of one invocation shares.
pub struct Session<'a> {
    pub around: Surroundings<'a>,
    observer: &'a mut (dyn Observer + Send),
    /// The threads that the work has for itself, if they are not those of everything.
    pub(super) workers: Option<&'a ThreadPool>,
    pools: Arc<Pools>,
    /// The trained encoders at hand, each by its training and whether it is as the last step left it.
    frozen: Vec<((String, bool), Rc<Frozen>)>,
}

impl<'a> Session<'a> {
    /// A session that has read nothing yet.
    pub fn new(around: Surroundings<'a>, observer: &'a mut (dyn Observer + Send)) -> Self {
        Self { around, observer, workers: None, pools: Arc::default(), frozen: Vec::new() }
    }

    /// The datasets of the session, and who is told what happens in it, for sessions within it.
    pub(super) fn shared(&mut self) -> (Arc<Pools>, &mut (dyn Observer + Send)) {
        (self.pools.clone(), &mut *self.observer)
    }

    /// A session that reads no dataset which is among `pools`.
    pub(super) fn within(
        around: Surroundings<'a>,
        observer: &'a mut (dyn Observer + Send),
        (workers, pools): (Option<&'a ThreadPool>, Arc<Pools>),
    ) -> Self {
        Self { around, observer, workers, pools, frozen: Vec::new() }
    }

    /// Tells of `event`.
    pub fn tell(&mut self, event: Event) {
        self.observer.observe(event);
    }

    /// The images of `data`, read and verified once.
    pub(super) fn pool(&mut self, data: &Data) -> Result<Arc<Pool>, RunError> {
        self.pools.find(data, &self.around)
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

/// The datasets read so far, with how they were divided.
#[derive(Default)]
pub(super) struct Pools(Mutex<Vec<(String, Arc<Pool>)>>);

impl Pools {
    /// The images of `data`. Who asks while another reads waits: it may be the same dataset.
    fn find(&self, data: &Data, around: &Surroundings) -> Result<Arc<Pool>, RunError> {
        let key = address(data);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pool)) = known.iter().find(|(known, _)| *known == key) {
            return Ok(pool.clone());
        }
        let pool = Arc::new(Pool::load(data, around.library, around.data_root)?);
        known.push((key, pool.clone()));
        Ok(pool)
    }
}

#[cfg(feature = "cuda")]
impl Pools {
    /// Gives up all images on `card`, which nothing uses any more.
    pub(super) fn forget(&self, card: &Device) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().for_each(|(_, pool)| pool.forget(card));
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
