//! The library cuDNN: whether it is there, and what it holds for each device, which is one queue of
//! work on a card.

#![allow(clippy::disallowed_types, reason = "maps that are only asked by key")]

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

#[cfg(feature = "opened")]
use candle_core::Error;
use candle_core::cuda_backend::cudarc::cudnn::sys;
#[cfg(feature = "opened")]
use candle_core::cuda_backend::cudarc::driver::{sys::CUstream, tape};
use candle_core::cuda_backend::{DeviceId, WrapErr};
use candle_core::{Device, Result};

use super::super::Card;
use super::{Key, Plan};

/// The oldest version whose functions are those that are called.
const OLDEST: usize = 90_000;

thread_local! {
    static IS_LEFT_OUT: Cell<bool> = const { Cell::new(false) };
}

/// Whether convolutions run by cuDNN on a card: whether the library is found.
pub fn has_cudnn() -> bool {
    static IS_FOUND: OnceLock<bool> = OnceLock::new();
    // SAFETY: the library is opened and asked for its version.
    *IS_FOUND.get_or_init(|| unsafe { sys::is_culib_present() && sys::cudnnGetVersion() >= OLDEST })
}

/// Runs `work` as where there is no cuDNN.
pub fn without_cudnn<R>(work: impl FnOnce() -> R) -> R {
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            IS_LEFT_OUT.set(self.0);
        }
    }
    let _back = Back(IS_LEFT_OUT.replace(true));
    work()
}

/// Whether this thread computes convolutions by cuDNN.
pub(in crate::kernel::card) fn is_used() -> bool {
    has_cudnn() && !IS_LEFT_OUT.get()
}

/// cuDNN on one card, with what was planned; none for what it refuses.
pub(super) struct Library {
    pub(super) handle: sys::cudnnHandle_t,
    pub(super) plans: HashMap<Key, Option<Plan>>,
}

// SAFETY: what is pointed to is used by one thread at a time, the one that holds the lock.
unsafe impl Send for Library {}

/// Of each device, so that jobs do not wait for each other.
type Libraries = HashMap<DeviceId, Option<Arc<Mutex<Library>>>>;

static LIBRARIES: Mutex<Option<Libraries>> = Mutex::new(None);

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `work` with cuDNN on a card, where it can be had.
pub(super) fn with<R>(card: Card, work: impl FnOnce(&mut Library) -> R) -> Result<Option<R>> {
    // The library works in the context of the thread.
    card.device.cuda_stream().context().bind_to_thread().w()?;
    let id = card.device.id();
    let known = held(&LIBRARIES).get_or_insert_default().get(&id).cloned();
    let library = match known {
        Some(known) => known,
        None => {
            // Others go on meanwhile: to make a handle waits for graphs that are noted, with convolutions.
            let new = handle(card)
                .map(|handle| Arc::new(Mutex::new(Library { handle, plans: HashMap::new() })));
            held(&LIBRARIES).get_or_insert_default().entry(id).or_insert(new).clone()
        }
    };
    Ok(library.map(|library| work(&mut held(&library))))
}

/// Lets cuDNN queue what it does for a card on a stream, where it has done something before.
#[cfg(feature = "opened")]
pub(in crate::kernel::card) fn lead(card: Card, stream: CUstream) -> Result<()> {
    let known = held(&LIBRARIES).as_ref().and_then(|all| all.get(&card.device.id()).cloned());
    let Some(library) = known.flatten() else { return Ok(()) };
    // SAFETY: the stream is of the context, and outlives what is queued on it.
    let led = unsafe { sys::cudnnSetStream(held(&library).handle, stream.cast()).result() };
    led.map(|_| ()).map_err(|error| Error::msg(format!("cuDNN: {error:?}")))
}

fn handle(card: Card) -> Option<sys::cudnnHandle_t> {
    let mut handle = std::ptr::null_mut();
    #[cfg(feature = "opened")]
    let _alone = tape::alone();
    // SAFETY: the context is that of the thread, and the stream lives as long as the device.
    unsafe {
        sys::cudnnCreate(&mut handle).result().ok()?;
        let stream = card.device.cuda_stream().cu_stream();
        sys::cudnnSetStream(handle, stream.cast()).result().ok()?;
    }
    Some(handle)
}

/// Gives up what cuDNN holds for a device that nothing will be queued on any more.
pub fn leave_cudnn(device: &Device) {
    let Ok(device) = device.as_cuda_device() else { return };
    // Whatever is wrong with the card, the next who uses it is told.
    let _ = device.cuda_stream().context().bind_to_thread();
    let known = held(&LIBRARIES).as_mut().and_then(|known| known.remove(&device.id()));
    if let Some(library) = known.flatten() {
        #[cfg(feature = "opened")]
        let _alone = tape::alone();
        // SAFETY: plans that know the handle go with the library.
        let _ = unsafe { sys::cudnnDestroy(held(&library).handle) };
    }
}
