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

use candle_core::cuda_backend::cudarc::driver::rooms::{self, Begun};
use candle_core::{Device, Error, Result};

use call::{Call, Calls};
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

/// The steps of a training, which are alike.
pub struct Replay {
    calls: Calls,
    captured: Option<Captured>,
    /// None on the CPU.
    queue: Option<Queue>,
    /// Steps that are still queued as they come; all where it is none.
    plain: Option<usize>,
    misses: usize,
    graphs: usize,
    launches: usize,
}

impl Replay {
    /// Of steps on a device: on the CPU, and on a card whose driver does not make sound graphs, they are
    /// queued as they come.
    pub fn new(device: &Device) -> Self {
        Self::of(device, is_sound(device).then_some(FIRST))
    }

    fn of(device: &Device, plain: Option<usize>) -> Self {
        let queue = device.as_cuda_device().ok().and_then(|device| Queue::new(device).ok());
        Self {
            queue,
            plain,
            calls: Calls::default(),
            captured: None,
            misses: 0,
            graphs: 0,
            launches: 0,
        }
    }

    /// How many steps were queued as one piece.
    pub fn launches(&self) -> usize {
        self.launches
    }

    /// Runs a step. What tensors it gives back hold is lost when the next one begins.
    ///
    /// # Errors
    /// Those of `work`, and what the card says.
    pub fn run<R, E: From<Error>>(
        &mut self,
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
        let Some(queue) = self.queue.take() else { return work() };
        let done = self.run_kept(&queue, work);
        let is_over = done.is_err() || self.is_vain();
        if is_over {
            self.plain = None;
        }
        if is_over || self.misses >= MISSES {
            self.forget(&queue);
        }
        self.queue = Some(queue);
        done
    }

    /// Runs a step that is kept.
    fn run_kept<R, E: From<Error>>(
        &mut self,
        queue: &Queue,
        work: impl FnOnce() -> std::result::Result<R, E>,
    ) -> std::result::Result<R, E> {
        let Some(is_first) = self.begun(queue) else { return work() };
        let kept = Kept::new(&queue.device, std::mem::take(&mut self.calls), is_first);
        let (done, kept) = kept.during(work);
        // On an error nothing more is queued: the training is over.
        let done = done.and_then(|done| Ok(self.queued(queue, kept).map(|()| done)?));
        rooms::step_ends(queue.device.cuda_stream().cu_stream());
        done
    }

    /// Whether steps are kept to become graphs, and hardly run as such.
    fn is_vain(&self) -> bool {
        self.graphs >= GRAPHS && self.launches < self.graphs * USES
    }

    /// Whether the step is the first that is kept; nothing where none can be.
    fn begun(&mut self, queue: &Queue) -> Option<bool> {
        let stream = queue.device.cuda_stream().cu_stream();
        let mut begun = rooms::step_begins(stream);
        if begun == Begun::Busy || (begun == Begun::Again && self.captured.is_none()) {
            self.forget(queue);
            begun = rooms::step_begins(stream);
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
    fn forget(&mut self, queue: &Queue) {
        (self.captured, self.misses) = (None, 0);
        self.calls = Calls::default();
        queue.forget();
    }

    /// Queues what was kept of a step.
    fn queued(&mut self, queue: &Queue, kept: Kept) -> Result<()> {
        rooms::step_is_over();
        let Kept { device, mut calls, at, is_first, is_settled, error } = kept;
        let is_whole = !is_settled && at == calls.all.len();
        let done = match (error, is_whole, is_first) {
            (Some(error), ..) => Err(error),
            (None, true, true) => self.first(queue, &mut calls.all),
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
    fn first(&mut self, queue: &Queue, calls: &mut [Call]) -> Result<()> {
        match Captured::new(queue, calls) {
            Ok(captured) => {
                self.captured = Some(captured);
                self.again(calls)
            }
            Err(_) => {
                queue.lead(&queue.device.cuda_stream())?;
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
