//! What a step is about to queue, kept instead.

use std::cell::RefCell;

use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::result;
use candle_core::cuda_backend::cudarc::driver::rooms;
use candle_core::cuda_backend::cudarc::driver::sys::CUstream;
use candle_core::cuda_backend::cudarc::driver::tape::{self, Listener, Work};
use candle_core::{CudaDevice, Error, Result, Tensor};

use super::super::cudnn::Run;
use super::super::{Arg, Product, on};
use super::call::{Asked, Call, Calls};

/// Queues calls in their order.
pub(super) fn queue_all(device: &CudaDevice, calls: &mut [Call]) -> Result<()> {
    let stream = device.cuda_stream().cu_stream();
    calls.iter_mut().try_for_each(|call| call.queue(device, stream))
}

thread_local! {
    /// What is kept of the step that this thread is in.
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

/// What is kept of a step.
pub(super) struct Kept {
    pub(super) device: CudaDevice,
    pub(super) calls: Calls,
    /// Calls of this step that are kept.
    pub(super) at: usize,
    pub(super) is_first: bool,
    /// Whether something could not be kept, so that all before it was queued; and what went wrong then.
    pub(super) is_settled: bool,
    pub(super) error: Option<Error>,
}

/// Ends the keeping, however the step ends.
struct Until;

impl Drop for Until {
    fn drop(&mut self) {
        tape::listen(None);
        rooms::step_is_over();
        if std::thread::panicking() {
            KEPT.take();
        }
    }
}

impl Kept {
    /// Nothing yet; `calls` are those of the last step, unless this one is the first.
    pub(super) fn new(device: &CudaDevice, calls: Calls, is_first: bool) -> Self {
        Self { device: device.clone(), calls, at: 0, is_first, is_settled: false, error: None }
    }

    /// Runs `work`, and keeps what it queues.
    pub(super) fn during<R>(self, work: impl FnOnce() -> R) -> (R, Self) {
        let stream = self.device.cuda_stream().cu_stream();
        KEPT.set(Some(self));
        let until = Until;
        tape::listen(Some(listener(stream)));
        let done = work();
        drop(until);
        (done, KEPT.take().expect("it was set"))
    }

    fn keep(&mut self, asked: &Asked) -> bool {
        let is_kept = match self.calls.all.get_mut(self.at) {
            Some(call) => call.becomes(asked),
            None => self.is_first && self.calls.add(asked),
        };
        if is_kept {
            self.at += 1
        } else {
            self.settle()
        }
        is_kept
    }

    /// Queues what is kept, and keeps nothing more.
    fn settle(&mut self) {
        tape::listen(None);
        self.is_settled = true;
        self.error = queue_all(&self.device, &mut self.calls.all[..self.at]).err();
        rooms::step_ends(self.device.cuda_stream().cu_stream());
    }
}

fn keep(asked: &Asked) -> bool {
    KEPT.with_borrow_mut(|kept| kept.as_mut().is_some_and(|kept| kept.keep(asked)))
}

fn heard(work: Work) -> bool {
    keep(&Asked::Work(work))
}

fn interrupted() {
    KEPT.with_borrow_mut(|kept| kept.iter_mut().for_each(Kept::settle));
}

/// Whether a product is kept for later.
pub(in crate::kernel::card) fn keeps_product(product: &Product) -> bool {
    tape::is_heard() && keep(&Asked::Product(product))
}

/// Whether a convolution of cuDNN is kept for later. One that has not run is not: it may be refused.
pub(in crate::kernel::card) fn keeps_convolution(run: &Run, has_run: bool) -> bool {
    if !has_run {
        tape::settle();
    }
    tape::is_heard() && keep(&Asked::Convolution(run))
}

/// A tensor that a step is given, where the step finds it each time; the tensor itself where the step
/// has queued something before.
///
/// # Errors
/// When memory is short.
pub fn held(given: &Tensor) -> Result<Tensor> {
    let is_first = KEPT.with_borrow(|kept| kept.as_ref().is_some_and(|kept| kept.at == 0));
    if !tape::is_heard() || !is_first {
        return Ok(given.clone());
    }
    let given = now(|| given.contiguous())?;
    on([&given], |[given]| {
        let to = given.card().room(given.len(), given.dtype())?;
        let (Arg::At(at), Arg::At(from)) = (to.at(), given.at()) else {
            unreachable!("elements are at an address")
        };
        let bytes = given.len() * given.dtype().size_in_bytes();
        now(|| {
            let stream = given.card().device.cuda_stream().cu_stream();
            // SAFETY: both are of as many bytes; nothing before this in the step writes to the room.
            unsafe { result::memcpy_dtod_async(at, from, bytes, stream) }.w()
        })?;
        Ok(to.tensor(given.shape()))
    })
}

/// Runs `work`, whatever it queues, before what is kept.
fn now<R>(work: impl FnOnce() -> R) -> R {
    let stream_of = |kept: &Kept| (!kept.is_settled).then(|| kept.device.cuda_stream().cu_stream());
    let stream = KEPT.with_borrow(|kept| kept.as_ref().and_then(stream_of));
    tape::listen(None);
    let done = work();
    tape::listen(stream.map(listener));
    done
}

fn listener(stream: CUstream) -> Listener {
    Listener { stream, keep: heard, settle: interrupted }
}
