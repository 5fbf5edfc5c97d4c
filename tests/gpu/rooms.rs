//! Memory that was given back, kept for what is asked for next on the same stream.
//!
//! The driver keeps memory in the order of streams too, but those of one card wait for each other
//! there: on an H100 a piece took one training 1.3 µs, and each of eight beside each other 32 µs.
//! What is kept here needs no driver. It goes back to it when what is asked for here does not fit;
//! what libraries take by themselves finds only what the driver has.
//!
//! With `BALANCE_KEEPS_NO_MEMORY` in the environment nothing is kept, so that what looks for accesses
//! to memory that was given back can find them.

use std::boxed::Box;
use std::cell::Cell;
use std::collections::HashMap;
use std::env;
use std::mem::MaybeUninit;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread_local;
use std::vec::Vec;

use super::result::{stream::synchronize, DriverError};
use super::sys;

/// What a stream had.
#[derive(Default)]
struct Rooms {
    /// Where free pieces begin, by their bytes.
    free: HashMap<usize, Vec<sys::CUdeviceptr>>,
    /// The bytes of all pieces, by where they begin.
    sizes: HashMap<sys::CUdeviceptr, usize>,
}

type Shared = &'static Mutex<Rooms>;

/// Of each stream there was; one for each address of a stream.
static STREAMS: Mutex<Vec<(usize, Shared)>> = Mutex::new(Vec::new());

thread_local! {
    /// The stream this thread asked for last.
    static LAST: Cell<Option<(usize, Shared)>> = const { Cell::new(None) };
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

fn of(stream: sys::CUstream) -> Shared {
    let key = stream as usize;
    if let Some((_, rooms)) = LAST.get().filter(|(last, _)| *last == key) {
        return rooms;
    }
    let mut streams = held(&STREAMS);
    let found = streams.iter().find(|(known, _)| *known == key).map(|(_, rooms)| *rooms);
    let rooms = found.unwrap_or_else(|| {
        let rooms: Shared = Box::leak(Box::default());
        streams.push((key, rooms));
        rooms
    });
    LAST.set(Some((key, rooms)));
    rooms
}

/// Up to an eighth more, and 512 bytes at least, so that what is nearly as large is taken again.
fn rounded(bytes: usize) -> usize {
    let bytes = bytes.max(512);
    bytes.next_multiple_of((bytes.next_power_of_two() / 16).max(512))
}

/// Memory for use on a stream.
pub(super) unsafe fn take(
    stream: sys::CUstream,
    bytes: usize,
) -> Result<sys::CUdeviceptr, DriverError> {
    if is_shared(stream) || keeps_nothing() {
        return asked_for(stream, bytes);
    }
    let bytes = rounded(bytes);
    let rooms = of(stream);
    if let Some(kept) = held(rooms).free.get_mut(&bytes).and_then(Vec::pop) {
        return Ok(kept);
    }
    loop {
        match asked_for(stream, bytes) {
            // Others may have taken what was given back, and given back more since.
            Err(error) if is_full(error) && give_all_back() => {}
            other => {
                let at = other?;
                held(rooms).sizes.insert(at, bytes);
                return Ok(at);
            }
        }
    }
}

/// Whether it is one of CUDA's default streams, which every card and thread calls alike.
fn is_shared(stream: sys::CUstream) -> bool {
    matches!(stream as usize, 0..=2)
}

fn is_full(error: DriverError) -> bool {
    error.0 == sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY
}

fn keeps_nothing() -> bool {
    static NOTHING: OnceLock<bool> = OnceLock::new();
    *NOTHING.get_or_init(|| env::var_os("BALANCE_KEEPS_NO_MEMORY").is_some())
}

unsafe fn asked_for(stream: sys::CUstream, bytes: usize) -> Result<sys::CUdeviceptr, DriverError> {
    let mut at = MaybeUninit::uninit();
    sys::cuMemAllocAsync(at.as_mut_ptr(), bytes, stream).result()?;
    Ok(at.assume_init())
}

/// Keeps memory that is not used any more by what is queued on its stream from now on.
pub(super) unsafe fn give(
    at: sys::CUdeviceptr,
    stream: sys::CUstream,
) -> Result<(), DriverError> {
    if keeps_nothing() {
        return sys::cuMemFreeAsync(at, stream).result();
    }
    let mut rooms = held(of(stream));
    match rooms.sizes.get(&at).copied() {
        Some(bytes) => rooms.free.entry(bytes).or_default().push(at),
        None => return sys::cuMemFreeAsync(at, stream).result(),
    }
    Ok(())
}

/// Ends a stream; what is kept of it goes back to the driver before.
pub(super) unsafe fn end(stream: sys::CUstream) -> Result<(), DriverError> {
    let streams = held(&STREAMS);
    let known = streams.iter().find(|(known, _)| *known == stream as usize);
    let given = known.map_or(Ok(()), |(_, rooms)| give_back(stream, rooms));
    sys::cuStreamDestroy_v2(stream).result().and(given)
}

/// Gives back what is kept, all of it, whatever the driver says of a piece.
unsafe fn give_back(stream: sys::CUstream, rooms: Shared) -> Result<(), DriverError> {
    let mut rooms = held(rooms);
    let free = std::mem::take(&mut rooms.free);
    let mut given = Ok(());
    for at in free.into_values().flatten() {
        rooms.sizes.remove(&at);
        given = given.and(sys::cuMemFreeAsync(at, stream).result());
    }
    given
}

/// Gives what is kept of all streams back, so that it can be asked for at once; says whether there
/// was anything. No stream ends meanwhile, and one that has ended keeps nothing.
unsafe fn give_all_back() -> bool {
    let mut had_any = false;
    for (stream, rooms) in held(&STREAMS).iter() {
        if held(rooms).free.values().all(Vec::is_empty) {
            continue;
        }
        had_any = true;
        let stream = *stream as sys::CUstream;
        // Whatever is wrong, the driver says at the next call.
        let _ = give_back(stream, rooms).and_then(|()| synchronize(stream));
    }
    had_any
}
