//! Memory that was given back, kept for what is asked for next on the same stream.
//!
//! The driver keeps memory in the order of streams too, but those of one card wait for each other
//! there: on an H100 a piece took one training 1.3 µs, and each of eight beside each other 32 µs.
//! What is kept here needs no driver. It goes back to it when what is asked for here does not fit;
//! what libraries take by themselves finds only what the driver has.
//!
//! A step that is kept to be queued as one piece has its memory for itself: the same pieces in the same
//! order, each time it is begun anew; those of a stream may be of several kinds, each with its own.
//! Between steps their thread lends itself the large ones.
//!
//! With `BALANCE_KEEPS_NO_MEMORY` in the environment nothing is kept, so that what looks for accesses
//! to memory that was given back can find them; with `BALANCE_KEEPS_NO_STEPS` no steps are.

use std::boxed::Box;
use std::cell::Cell;
use std::collections::HashMap;
use std::env;
use std::mem::MaybeUninit;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread_local;
use std::vec::Vec;

use super::result::{stream::synchronize, DriverError};
use super::{sys, tape};

/// How often all is given back for one piece.
const ROUNDS: usize = 8;

/// Bytes of pieces that are lent between steps, at least: smaller ones may be had for long.
const LENT: usize = 1 << 20;

/// What a stream had.
#[derive(Default)]
struct Rooms {
    /// Where free pieces begin, by their bytes.
    free: HashMap<usize, Vec<sys::CUdeviceptr>>,
    /// All pieces, by where they begin.
    pieces: HashMap<sys::CUdeviceptr, Piece>,
    /// By their kinds.
    steps: Vec<Step>,
    /// The kind of the step that is at work, or was last.
    kind: usize,
    /// What was given back during a step, which is still to be queued, and is not of it.
    late: Vec<sys::CUdeviceptr>,
    /// Whether somebody had memory of a step when it was to begin: it is not lent any more.
    is_never_lent: bool,
}

struct Piece {
    bytes: usize,
    is_out: bool,
    /// The kind of step that it is of, if any.
    of: Option<usize>,
}

/// The memory of a step that is kept.
#[derive(Default)]
struct Step {
    now: Now,
    /// The bytes and the piece of all that it takes, in order, and how far it is.
    order: Vec<(usize, sys::CUdeviceptr)>,
    at: usize,
    /// Its pieces by their bytes, and how many of them somebody has.
    pieces: HashMap<usize, Vec<sys::CUdeviceptr>>,
    out: usize,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Now {
    #[default]
    Idle,
    First,
    Again,
}

/// How a step begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// No memory is kept.
    Not,
    /// What it takes is noted.
    First,
    /// It is given what it took before.
    Again,
    /// Somebody has memory of it, so that it has not begun.
    Busy,
}

type Shared = &'static Mutex<Rooms>;

/// Of each stream there was; one for each address of a stream.
static STREAMS: Mutex<Vec<(usize, Shared)>> = Mutex::new(Vec::new());

thread_local! {
    /// The stream this thread asked for last.
    static LAST: Cell<Option<(usize, Shared)>> = const { Cell::new(None) };
    /// The stream of the step that this thread is in, and that of the last it was in.
    static WITHIN: Cell<Option<usize>> = const { Cell::new(None) };
    static OWN: Cell<Option<usize>> = const { Cell::new(None) };
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
    if is_within(stream) && held(rooms).is_lost(bytes) {
        tape::settle();
    }
    let is_own = OWN.get() == Some(stream as usize);
    if let Some(kept) = held(rooms).taken(bytes, is_within(stream), is_own) {
        return Ok(kept);
    }
    let mut rounds = 0;
    loop {
        match asked_for(stream, bytes) {
            // All that the step gave back can be had when it is queued.
            Err(error) if is_full(error) && tape::is_heard() => {
                tape::settle();
                if let Some(kept) = held(rooms).taken(bytes, is_within(stream), is_own) {
                    return Ok(kept);
                }
            }
            // Others may have taken what was given back, and given back more since.
            Err(error) if is_full(error) && rounds < ROUNDS && give_all_back(rounds > 0) => {
                rounds += 1;
            }
            other => {
                let at = other?;
                held(rooms).add(at, bytes, is_within(stream));
                return Ok(at);
            }
        }
    }
}

/// Whether this thread is in a step on a stream.
fn is_within(stream: sys::CUstream) -> bool {
    WITHIN.get() == Some(stream as usize)
}

impl Rooms {
    /// A piece that is there, for a thread that is within a step, or whose own the steps are: others
    /// have what they take for longer than until the next begins.
    fn taken(
        &mut self,
        bytes: usize,
        is_within: bool,
        is_own: bool,
    ) -> Option<sys::CUdeviceptr> {
        let now = self.now();
        let found = match now {
            Now::Again if is_within && !self.is_lost(bytes) => self.as_before(),
            Now::First if is_within => self.own(self.kind, bytes),
            _ => None,
        };
        let found = found.or_else(|| self.free.get_mut(&bytes).and_then(Vec::pop));
        let is_lent = is_own && now == Now::Idle && bytes >= LENT && !self.is_never_lent;
        let found = found.or_else(|| is_lent.then(|| self.lent(bytes)).flatten())?;
        self.out(found, is_within);
        Some(found)
    }

    /// What the step that is at work does.
    fn now(&self) -> Now {
        self.steps.get(self.kind).map_or(Now::Idle, |step| step.now)
    }

    /// Whether the step took something else at this place before, or somebody has that.
    fn is_lost(&self, bytes: usize) -> bool {
        let Some(step) = self.steps.get(self.kind) else { return false };
        let is_same = |(size, at): &(usize, sys::CUdeviceptr)| {
            *size == bytes && !self.pieces[at].is_out
        };
        step.now == Now::Again && !step.order.get(step.at).is_some_and(is_same)
    }

    /// What the step took at this place before.
    fn as_before(&mut self) -> Option<sys::CUdeviceptr> {
        let step = self.steps.get_mut(self.kind)?;
        let (_, at) = step.order.get(step.at)?;
        step.at += 1;
        Some(*at)
    }

    /// A piece of a kind of step that nobody has.
    fn own(&self, kind: usize, bytes: usize) -> Option<sys::CUdeviceptr> {
        let own = self.steps.get(kind)?.pieces.get(&bytes)?.iter();
        own.copied().find(|at| !self.pieces[at].is_out)
    }

    /// A piece of any.
    fn lent(&self, bytes: usize) -> Option<sys::CUdeviceptr> {
        (0..self.steps.len()).find_map(|kind| self.own(kind, bytes))
    }

    fn add(&mut self, at: sys::CUdeviceptr, bytes: usize, is_within: bool) {
        self.pieces.insert(at, Piece { bytes, is_out: false, of: None });
        self.out(at, is_within);
    }

    /// Notes that somebody has a piece.
    fn out(&mut self, at: sys::CUdeviceptr, is_within: bool) {
        let is_first = is_within && self.now() == Now::First;
        let piece = self.pieces.get_mut(&at).expect("a piece that is known");
        piece.is_out = true;
        if is_first {
            let step = &mut self.steps[self.kind];
            step.order.push((piece.bytes, at));
            if piece.of.is_none() {
                piece.of = Some(self.kind);
                step.pieces.entry(piece.bytes).or_default().push(at);
            }
        }
        if let Some(kind) = piece.of {
            self.steps[kind].out += 1;
        }
    }

    /// Gives the memory of a kind of step to everybody.
    fn forget(&mut self, kind: usize) {
        let Some(step) = self.steps.get_mut(kind).map(std::mem::take) else { return };
        for at in step.pieces.into_values().flatten() {
            let piece = self.pieces.get_mut(&at).expect("a piece that is known");
            piece.of = None;
            if !piece.is_out {
                self.free.entry(piece.bytes).or_default().push(at);
            }
        }
    }

    fn forget_all(&mut self) {
        (0..self.steps.len()).for_each(|kind| self.forget(kind));
    }

    /// The same of kinds that are not at work.
    fn forget_idle(&mut self) {
        let is_idle = |kind: &usize| self.steps[*kind].now == Now::Idle;
        let idle: Vec<usize> = (0..self.steps.len()).filter(is_idle).collect();
        idle.into_iter().for_each(|kind| self.forget(kind));
    }

    /// Notes that nobody has a piece any more.
    fn back(&mut self, at: sys::CUdeviceptr) {
        let piece = self.pieces.get_mut(&at).expect("a piece that is known");
        piece.is_out = false;
        match piece.of {
            Some(kind) => self.steps[kind].out -= 1,
            None => self.free.entry(piece.bytes).or_default().push(at),
        }
    }

    fn give_late(&mut self) {
        std::mem::take(&mut self.late).into_iter().for_each(|at| self.back(at));
    }
}

/// Begins a step of this thread on a stream, and of a kind: what it queues is kept, so what it gives back
/// is not taken by others before it ends.
pub fn step_begins(stream: sys::CUstream, kind: usize) -> Begun {
    if is_shared(stream) || keeps_nothing() || is_told("BALANCE_KEEPS_NO_STEPS") {
        return Begun::Not;
    }
    let rooms = &mut *held(of(stream));
    if rooms.now() != Now::Idle {
        // Another thread's.
        return Begun::Not;
    }
    if rooms.steps.len() <= kind {
        rooms.steps.resize_with(kind + 1, Step::default);
    }
    let step = &mut rooms.steps[kind];
    let (now, begun) = match step.order.is_empty() {
        true => (Now::First, Begun::First),
        false if step.out > 0 => {
            rooms.is_never_lent = true;
            return Begun::Busy;
        }
        false => (Now::Again, Begun::Again),
    };
    (step.now, step.at, rooms.kind) = (now, 0, kind);
    WITHIN.set(Some(stream as usize));
    OWN.set(Some(stream as usize));
    begun
}

/// Says that what this thread takes from now on is not of its step.
pub fn step_is_over() {
    WITHIN.set(None);
}

/// Ends a step, all of which is queued.
pub fn step_ends(stream: sys::CUstream) {
    step_is_over();
    let mut rooms = held(of(stream));
    let kind = rooms.kind;
    if let Some(step) = rooms.steps.get_mut(kind) {
        step.now = Now::Idle;
    }
    rooms.give_late();
}

/// Forgets what a kind of step takes, which is never begun again as it was.
pub fn forget_step(stream: sys::CUstream, kind: usize) {
    held(of(stream)).forget(kind);
}

/// Forgets what steps of all kinds take.
pub fn forget_steps(stream: sys::CUstream) {
    held(of(stream)).forget_all();
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
    *NOTHING.get_or_init(|| is_told("BALANCE_KEEPS_NO_MEMORY"))
}

fn is_told(name: &str) -> bool {
    env::var_os(name).is_some()
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
    let rooms = &mut *held(of(stream));
    let Some(piece) = rooms.pieces.get(&at) else {
        return sys::cuMemFreeAsync(at, stream).result();
    };
    // What a step of its own kind takes next is queued behind it.
    if is_within(stream) && piece.of != Some(rooms.kind) {
        rooms.late.push(at);
    } else {
        rooms.back(at);
    }
    Ok(())
}

/// Ends a stream; what is kept of it goes back to the driver before.
pub(super) unsafe fn end(stream: sys::CUstream) -> Result<(), DriverError> {
    let streams = held(&STREAMS);
    let known = streams.iter().find(|(known, _)| *known == stream as usize);
    let given = known.map_or(Ok(()), |(_, rooms)| {
        let mut ended = held(rooms);
        ended.forget_all();
        ended.give_late();
        drop(ended);
        give_back(stream, rooms)
    });
    sys::cuStreamDestroy_v2(stream).result().and(given)
}

/// Gives back what is kept, all of it, whatever the driver says of a piece.
unsafe fn give_back(stream: sys::CUstream, rooms: Shared) -> Result<(), DriverError> {
    let mut rooms = held(rooms);
    let free = std::mem::take(&mut rooms.free);
    let mut given = Ok(());
    for at in free.into_values().flatten() {
        rooms.pieces.remove(&at);
        given = given.and(sys::cuMemFreeAsync(at, stream).result());
    }
    given
}

/// Gives what is kept of all streams back, so that it can be asked for at once, and what steps have that
/// are not at work, if so or where there is nothing else; says whether there was anything. No stream ends meanwhile, and one that has ended keeps nothing.
unsafe fn give_all_back(with_steps: bool) -> bool {
    let mut had_any = false;
    let streams = held(&STREAMS);
    let has_free = |rooms: &Rooms| rooms.free.values().any(|pieces| !pieces.is_empty());
    // What steps have for themselves goes last.
    if with_steps || !streams.iter().any(|(_, rooms)| has_free(&held(rooms))) {
        for (_, rooms) in streams.iter() {
            held(rooms).forget_idle();
        }
    }
    for (stream, rooms) in streams.iter() {
        if !has_free(&held(rooms)) {
            continue;
        }
        had_any = true;
        let stream = *stream as sys::CUstream;
        // Whatever is wrong, the driver says at the next call.
        let _ = give_back(stream, rooms).and_then(|()| synchronize(stream));
    }
    had_any
}
