//! What every training and evaluation of one invocation shares.

use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;

use candle_core::Device;

use super::event::{Observer, RunError};
use super::pool::Pool;
use crate::library::Library;
use crate::plan::Data;
use crate::store::Store;

/// What every training and evaluation of one invocation shares.
pub struct Session<'a> {
    pub library: &'a Library,
    pub store: &'a Store,
    /// The folder all datasets are in.
    pub data_root: &'a Path,
    pub device: &'a Device,
    /// Set when the user asks to stop.
    pub stop: &'a AtomicBool,
    pub observer: &'a mut dyn Observer,
    /// The datasets read so far, with how they were divided.
    pools: Vec<(String, Rc<Pool>)>,
}

impl<'a> Session<'a> {
    /// A session that has read no data yet.
    pub fn new(
        library: &'a Library,
        (store, data_root): (&'a Store, &'a Path),
        device: &'a Device,
        stop: &'a AtomicBool,
        observer: &'a mut dyn Observer,
    ) -> Self {
        Self { library, store, data_root, device, stop, observer, pools: Vec::new() }
    }

    /// The images of `data`, read and verified once.
    pub fn pool(&mut self, data: &Data) -> Result<Rc<Pool>, RunError> {
        let key = format!("{} {:?}", data.call.spec.name, data.division);
        if let Some((_, pool)) = self.pools.iter().find(|(known, _)| *known == key) {
            return Ok(pool.clone());
        }
        let pool = Pool::load(data, self.library, self.data_root).map_err(|error| {
            RunError::Failed { message: error.message.clone(), help: error.help.clone() }
        })?;
        let pool = Rc::new(pool);
        self.pools.push((key, pool.clone()));
        Ok(pool)
    }
}
