//! Batches made on a thread of their own, ahead of the step that is computed.

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use candle_core::{Device, Result as TensorResult};
use rayon::ThreadPool;

use super::batch::{Prepared, Transforms};
use super::event::RunError;
use super::order::Order;
use super::pool::Pool;

/// Batches made before they are asked for.
const AHEAD: usize = 2;

/// Longest sleep of a thread that waits and has nothing to do for the pool.
const NAP: Duration = Duration::from_micros(200);

/// The batches of a training, in order.
///
/// Who waits for one may be a thread of the pool, which the making of that batch needs: it lends
/// the pool a hand meanwhile, or nothing would ever come where there is no other thread.
pub struct Batches<'a> {
    ready: Receiver<TensorResult<Prepared>>,
    clock: &'a dyn Fn() -> f64,
    /// When the first batch was there, when the last was, and how long others were waited for.
    first: Option<f64>,
    last: f64,
    waited: f64,
}

impl Iterator for Batches<'_> {
    type Item = TensorResult<Prepared>;

    fn next(&mut self) -> Option<Self::Item> {
        let asked = (self.clock)();
        let batch = self.receive();
        self.last = (self.clock)();
        match self.first {
            None => self.first = Some(self.last),
            Some(_) => self.waited += self.last - asked,
        }
        batch
    }
}

impl<'a> Batches<'a> {
    fn new(ready: Receiver<TensorResult<Prepared>>, clock: &'a dyn Fn() -> f64) -> Self {
        Self { ready, clock, first: None, last: 0.0, waited: 0.0 }
    }

    /// The share of the time between the first batch and the last in which others were waited for.
    /// What the waiting thread did for the pool meanwhile counts as well.
    pub fn waiting(&self) -> f64 {
        let passed = self.first.map_or(0.0, |first| self.last - first);
        if passed > 0.0 { self.waited / passed } else { 0.0 }
    }

    fn receive(&mut self) -> Option<TensorResult<Prepared>> {
        loop {
            match self.ready.try_recv() {
                Ok(batch) => return Some(batch),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {}
            }
            if !lend_a_hand() {
                match self.ready.recv_timeout(NAP) {
                    Ok(batch) => return Some(batch),
                    Err(RecvTimeoutError::Disconnected) => return None,
                    Err(RecvTimeoutError::Timeout) => {}
                }
            }
        }
    }
}

/// Does a piece of the pool's work, if this is one of its threads and there is some.
fn lend_a_hand() -> bool {
    rayon::yield_now() == Some(rayon::Yield::Executed)
}

/// What batches are made of.
pub struct Maker<'a> {
    pub order: Order,
    pub transforms: &'a Transforms,
    pub pool: &'a Pool,
    pub device: &'a Device,
    /// The threads that make them, if they are not those of everything.
    pub workers: Option<&'a ThreadPool>,
}

impl Maker<'_> {
    /// Makes the batches of `steps` for as long as `consume` takes them; `clock` tells seconds.
    ///
    /// # Errors
    /// Those of `consume`; or when making a batch panics, which ends the batches early.
    pub fn during(
        self,
        steps: Range<usize>,
        clock: &dyn Fn() -> f64,
        consume: impl FnOnce(Batches) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let (sender, batches) = sync_channel(AHEAD);
        thread::scope(|scope| {
            let maker = thread::Builder::new()
                .name("batches".to_owned())
                .spawn_scoped(scope, || self.make(steps, sender))
                .map_err(|error| RunError::Failed {
                    message: format!("no thread for making batches: {error}"),
                    help: None,
                })?;
            // Who panics lends its hand too: the maker waits for the pool, and the scope for it.
            let consumed = catch_unwind(AssertUnwindSafe(|| consume(Batches::new(batches, clock))));
            while !maker.is_finished() {
                if !lend_a_hand() {
                    thread::sleep(NAP);
                }
            }
            match maker.join() {
                Ok(()) => consumed.unwrap_or_else(|panic| resume_unwind(panic)),
                Err(panic) => Err(RunError::failed(
                    format!("making a batch failed: {}", words(&*panic)),
                    "this is a fault of balance or of a component: please report it",
                )),
            }
        })
    }

    fn make(mut self, steps: Range<usize>, sender: SyncSender<TensorResult<Prepared>>) {
        for step in steps {
            let drawing = self.order.step(step);
            let making = || self.transforms.prepared(self.pool, &drawing, self.device);
            let batch = self.workers.map_or_else(making, |workers| workers.install(making));
            // The receiver is gone when training has stopped.
            if sender.send(batch).is_err() {
                return;
            }
        }
    }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use candle_core::Error;

    use super::*;

    #[test]
    fn waiting_is_a_share_of_the_time_since_the_first_batch() {
        let (sender, ready) = sync_channel(3);
        for _ in 0..3 {
            sender.send(Err(Error::Msg(String::new()))).unwrap();
        }
        // The first is waited for 10 seconds, the second 1 and the third 2; a step takes 4 and 3.
        let times = [0.0, 10.0, 14.0, 15.0, 18.0, 20.0];
        let look = Cell::new(0);
        let clock = || times[look.replace(look.get() + 1)];
        let mut batches = Batches::new(ready, &clock);
        let mut shares = Vec::new();
        while shares.len() < 3 && batches.next().is_some() {
            shares.push(batches.waiting());
        }
        assert_eq!(shares, [0.0, 1.0 / 5.0, 3.0 / 10.0]);
    }
}
