//! What a thread queues on a stream, told to a listener before it is queued.
//!
//! The listener may keep it and queue it later, in the same order. What it cannot keep makes it queue
//! all that it kept before: only then does that run.

use std::cell::Cell;
use std::ffi::{c_uint, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread_local;

use super::sys;

/// What can be kept.
pub enum Work<'a> {
    Launch {
        function: sys::CUfunction,
        blocks: [c_uint; 3],
        threads: [c_uint; 3],
        shared: c_uint,
        /// Where each argument is.
        arguments: &'a [*mut c_void],
    },
    /// Bytes from the host to the device.
    Upload { to: sys::CUdeviceptr, from: &'a [u8] },
    Copy { to: sys::CUdeviceptr, from: sys::CUdeviceptr, bytes: usize },
    Fill { to: sys::CUdeviceptr, value: u8, bytes: usize },
}

/// Who is told.
#[derive(Clone, Copy)]
pub struct Listener {
    pub stream: sys::CUstream,
    /// Whether it keeps this.
    pub keep: fn(Work) -> bool,
    /// Queues all that was kept, and listens no more.
    pub settle: fn(),
}

/// Held while a graph is noted: nobody may wait for all of a card meanwhile.
static NOTING: Mutex<()> = Mutex::new(());

/// Lets nobody note a graph, or wait for all of a card, until what is given back is dropped.
pub fn alone() -> MutexGuard<'static, ()> {
    NOTING.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    static LISTENER: Cell<Option<Listener>> = const { Cell::new(None) };
}

/// Tells `listener` from now on, or nobody.
pub fn listen(listener: Option<Listener>) {
    LISTENER.set(listener);
}

/// Whether somebody is told what this thread queues.
pub fn is_heard() -> bool {
    LISTENER.get().is_some()
}

/// Says that something comes that cannot be kept.
pub fn settle() {
    if let Some(listener) = LISTENER.get() {
        (listener.settle)();
    }
}

fn keep(stream: sys::CUstream, work: Work) -> bool {
    match LISTENER.get() {
        None => false,
        Some(listener) if listener.stream == stream => (listener.keep)(work),
        Some(listener) => {
            (listener.settle)();
            false
        }
    }
}

pub(super) fn launch(
    function: sys::CUfunction,
    (blocks, threads): ((c_uint, c_uint, c_uint), (c_uint, c_uint, c_uint)),
    shared: c_uint,
    stream: sys::CUstream,
    arguments: &[*mut c_void],
) -> bool {
    let (blocks, threads) = (blocks.into(), threads.into());
    keep(stream, Work::Launch { function, blocks, threads, shared, arguments })
}

pub(super) fn upload<T>(to: sys::CUdeviceptr, from: &[T], stream: sys::CUstream) -> bool {
    // Padding among the elements is not read as anything but bytes.
    let (at, len) = (from.as_ptr().cast(), std::mem::size_of_val(from));
    keep(stream, Work::Upload { to, from: unsafe { std::slice::from_raw_parts(at, len) } })
}

pub(super) fn copy(
    to: sys::CUdeviceptr,
    from: sys::CUdeviceptr,
    bytes: usize,
    stream: sys::CUstream,
) -> bool {
    keep(stream, Work::Copy { to, from, bytes })
}

pub(super) fn fill(
    to: sys::CUdeviceptr,
    value: u8,
    bytes: usize,
    stream: sys::CUstream,
) -> bool {
    keep(stream, Work::Fill { to, value, bytes })
}
