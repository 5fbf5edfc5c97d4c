//! Steps of a training that are queued as one piece.
//!
//! To queue a kernel takes the CPU 4 µs and a product of cuBLAS 20, so that a step of some hundred waits
//! for the CPU. What a step queues is kept instead, and becomes a graph of the driver, which is queued
//! by one call. The next step is computed by the CPU all the same, up to where it would queue
//! something: that is compared with what the graph has, arguments that differ are told to the graph, and
//! where anything else differs all is queued as it comes. So a graph never runs but as exactly what the
//! step asked for.

mod call;
mod captured;
mod kept;
mod queue;
mod sizes;
mod sound;

use call::{Call, Calls};
use candle_core::cuda_backend::cudarc::driver::rooms::{self, Begun};
use candle_core::{Device, Error, Result};
use captured::Captured;
pub use kept::held;
use kept::{Kept, queue_all};
pub(super) use kept::{keeps_convolution, keeps_product};
use queue::Queue;
pub use sound::is_sound;

/// Steps before the first that is kept: they load kernels and choose algorithms.
const FIRST: usize = 2;
/// Steps in a row that are not what was kept, after which it is forgotten.
const MISSES: usize = 2;
/// Steps that were to become graphs, after which none is any more if they were of little use.
const GRAPHS: usize = 8;
/// Launches of a graph that has been of use.
const USES: usize = 4;

/// Kinds of steps that become graphs at most: most steps of an epoch, and the last, whose batch may be
/// smaller.
const KINDS: usize = 2;

/// The steps of a training: those of one size are alike.
pub struct Replay {
    kinds: Vec<Kind>,
    /// Whether they are sound as graphs.
    is_sound: bool,
    /// Whether they may have convolutions.
    convolves: bool,
    /// None on the CPU. It goes last: graphs use its memory.
    queue: Option<Queue>,
}

/// Steps that are alike.
#[derive(Default)]
struct Kind {
    /// What tells them from others.
    size: usize,
    calls: Calls,
    captured: Option<Captured>,
    /// Steps that are still queued as they come; all where it is none.
    plain: Option<usize>,
    misses: usize,
    graphs: usize,
    launches: usize,
}

/// Where steps of a kind are queued, their place among the kinds, and whether they may have convolutions.
#[derive(Clone, Copy)]
struct Place<'a> {
    queue: &'a Queue,
    at: usize,
    convolves: bool,
}

impl Replay {
    /// Of steps on a device, with convolutions or without: on the CPU, and on a card whose driver does not
    /// make sound graphs, they are queued as they come.
    pub fn new(device: &Device, convolves: bool) -> Self {
        let is_sound = is_sound(device, convolves);
        Self { is_sound, ..Self::of(device, convolves) }
    }

    fn of(device: &Device, convolves: bool) -> Self {
        let queue = device.as_cuda_device().ok().and_then(|device| Queue::new(device).ok());
        Self { kinds: Vec::new(), is_sound: true, convolves, queue }
    }

    /// How many steps were queued as one piece.
    pub fn launches(&self) -> usize {
        self.kinds.iter().map(|kind| kind.launches).sum()
    }

    /// Runs a step on so many items. What tensors it gives back hold is lost when the next one begins.
    ///
    /// # Errors
    /// Those of `work`, and what the card says.
    pub fn run<R, E: From<Error>>(
        &mut self,
        size: usize,
        work: impl FnOnce() -> std::result::Result<R, E>,
    ) -> std::result::Result<R, E> {
        let at = if self.is_sound { self.kind(size) } else { None };
        match (&self.queue, at) {
            (Some(queue), Some(at)) => {
                self.kinds[at].run(Place { queue, at, convolves: self.convolves }, work)
            }
            _ => work(),
        }
    }

    /// The place of the kind that steps on so many items are of; none where there are enough.
    fn kind(&mut self, size: usize) -> Option<usize> {
        let known = self.kinds.iter().position(|kind| kind.size == size);
        if known.is_some() || self.kinds.len() == KINDS {
            return known;
        }
        self.kinds.push(Kind { size, plain: Some(FIRST), ..Kind::default() });
        Some(self.kinds.len() - 1)
    }
}

impl Kind {
    /// Runs a step.
    fn run<R, E: From<Error>>(
        &mut self,
        place: Place,
        work: impl FnOnce() -> std::result::Result<R, E>,
    ) -> std::result::Result<R, E> {
        match &mut self.plain {
            None => return work(),
            Some(0) => {}
            Some(plain) => {
                *plain -= 1;
                return work();
            }
        }
        let done = self.run_kept(place, work);
        let is_over = done.is_err() || self.is_vain();
        if is_over {
            self.plain = None;
        }
        if is_over || self.misses >= MISSES {
            self.forget(place);
        }
        done
    }

    /// Runs a step that is kept.
    fn run_kept<R, E: From<Error>>(
        &mut self,
        place: Place,
        work: impl FnOnce() -> std::result::Result<R, E>,
    ) -> std::result::Result<R, E> {
        let Some(is_first) = self.begun(place) else { return work() };
        let device = &place.queue.device;
        let kept = Kept::new(device, std::mem::take(&mut self.calls), is_first);
        let (done, kept) = kept.during(work);
        // On an error nothing more is queued: the training is over.
        let done = done.and_then(|done| Ok(self.queued(place, kept).map(|()| done)?));
        rooms::step_ends(device.cuda_stream().cu_stream());
        done
    }

    /// Whether steps are kept to become graphs, and hardly run as such.
    fn is_vain(&self) -> bool {
        self.graphs >= GRAPHS && self.launches < self.graphs * USES
    }

    /// Whether the step is the first that is kept; nothing where none can be.
    fn begun(&mut self, place: Place) -> Option<bool> {
        let stream = place.queue.device.cuda_stream().cu_stream();
        let mut begun = rooms::step_begins(stream, place.at);
        if begun == Begun::Busy || (begun == Begun::Again && self.captured.is_none()) {
            self.forget(place);
            begun = rooms::step_begins(stream, place.at);
        }
        match begun {
            Begun::Not | Begun::Busy => None,
            Begun::Again => Some(false),
            Begun::First => {
                (self.captured, self.misses) = (None, 0);
                self.calls = Calls::default();
                self.graphs += 1;
                Some(true)
            }
        }
    }

    /// Forgets the graph, and gives the memory that its step has for itself to everybody.
    fn forget(&mut self, Place { queue, at, .. }: Place) {
        (self.captured, self.misses) = (None, 0);
        self.calls = Calls::default();
        queue.forget(at);
    }

    /// Queues what was kept of a step.
    fn queued(&mut self, place: Place, kept: Kept) -> Result<()> {
        rooms::step_is_over();
        let Kept { device, mut calls, at, is_first, is_settled, error } = kept;
        let is_whole = !is_settled && at == calls.all.len();
        let done = match (error, is_whole, is_first) {
            (Some(error), ..) => Err(error),
            (None, true, true) => self.first(place, &mut calls.all),
            (None, true, false) => self.again(&mut calls.all),
            (None, false, _) => {
                self.misses = if is_first { MISSES } else { self.misses + 1 };
                if is_settled { Ok(()) } else { queue_all(&device, &mut calls.all[..at]) }
            }
        };
        self.calls = calls;
        done
    }

    /// Makes the graph of a step, and queues that; or the step as it comes, where no graph can be made.
    fn first(&mut self, Place { queue, convolves, .. }: Place, calls: &mut [Call]) -> Result<()> {
        let is_tried = |call: &Call| convolves || !matches!(call, Call::Convolution(_));
        if !calls.iter().all(is_tried) {
            self.misses = MISSES;
            return queue_all(&queue.device, calls);
        }
        match Captured::new(queue, calls) {
            Ok(captured) => {
                self.captured = Some(captured);
                self.again(calls)
            }
            Err(_) => {
                queue.lead_own()?;
                self.misses = MISSES;
                queue_all(&queue.device, calls)
            }
        }
    }

    fn again(&mut self, calls: &mut [Call]) -> Result<()> {
        let captured = self.captured.as_mut().expect("a step that was kept has a graph");
        captured.launch(calls)?;
        self.misses = 0;
        self.launches += 1;
        Ok(())
    }
}
