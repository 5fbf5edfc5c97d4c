//! Trainings and evaluations beside each other: each job has threads of its own, and takes the next
//! task that can be done. The cores are divided anew when more or fewer tasks can run: a training
//! that is left for that goes on from its checkpoint, on any number of threads the same. Where a card
//! computes, jobs share them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use candle_core::{Device, DeviceLocation};
use rayon::ThreadPool;

use super::board::{Board, Settled, Task, Work};
use super::division::{Division, Shift};
use super::evaluate::evaluate;
use super::event::{Event, Observer, RunError};
use super::gauge::Gauge;
use super::session::{Pools, Session, Surroundings};
use super::train::train;
use crate::kernel::card_device;
use crate::plan::{Plan, Stage};
use crate::process;

/// Does everything of `plan`, or what is done until the user stops it.
pub fn run<'a>(session: &mut Session, plan: &'a Plan, division: Division) -> Board<'a> {
    let mut division = division.on(session.around.device);
    let mut board = Board::new(plan);
    let mut was_trial = false;
    while board.able() > 0 && !session.around.is_stopped() {
        let shift = division.next(board.able());
        let gain = division.gain(shift.jobs).filter(|_| was_trial && !shift.is_trial);
        was_trial = shift.is_trial;
        let threads = |job| division.threads(job, shift.jobs);
        // One job stays where it is, among all threads.
        let own = if shift.jobs > 1 { shift.jobs } else { 0 };
        let Ok(pools) = (0..own).map(|job| process::pool(threads(job))).collect() else {
            // The system has no more threads.
            division = Division::undivided().on(session.around.device);
            continue;
        };
        session.tell(Event::Divided { jobs: shift.jobs, cores: division.cores(), gain });
        let rate;
        (board, rate) = Crew::work(session, board, (&division, shift), pools);
        if let Some(rate) = rate {
            division.learn(shift.jobs, rate);
        }
    }
    board
}

/// Jobs beside each other until their shift ends.
struct Crew<'a, 'b, 'c> {
    around: Surroundings<'a>,
    observer: Mutex<&'a mut (dyn Observer + Send)>,
    datasets: Arc<Pools>,
    plan: &'b Plan,
    board: Mutex<Board<'b>>,
    /// Rung when the board has changed.
    changed: Condvar,
    /// Set when the shift ends: what is under way is left.
    halt: AtomicBool,
    division: &'c Division,
    shift: Shift,
    gauge: Mutex<Gauge>,
}

/// The card that `device` is, with another queue of work, so that jobs do not wait for each other;
/// nothing on the CPU, or where the card has no more.
fn queue_of_its_own(device: &Device) -> Option<Device> {
    match device.location() {
        DeviceLocation::Cuda { gpu_id } => card_device(gpu_id).ok(),
        _ => None,
    }
}

impl<'b> Crew<'_, 'b, '_> {
    /// Gives the board as it is after the shift, and the rate if that was to be measured.
    fn work(
        session: &mut Session,
        board: Board<'b>,
        (division, shift): (&Division, Shift),
        pools: Vec<ThreadPool>,
    ) -> (Board<'b>, Option<f64>) {
        let around = session.around;
        let (datasets, observer) = session.shared();
        let crew = Crew {
            around,
            observer: Mutex::new(observer),
            datasets,
            plan: board.plan,
            board: Mutex::new(board),
            changed: Condvar::new(),
            halt: AtomicBool::new(false),
            division,
            shift,
            gauge: Mutex::new(Gauge::new(shift.jobs)),
        };
        match pools.is_empty() {
            true => crew.job(0, None),
            false => crew.beside(0, &pools),
        }
        let rate = crew.gauge.into_inner().unwrap_or_else(PoisonError::into_inner).rate();
        let board = crew.board.into_inner().unwrap_or_else(PoisonError::into_inner);
        (board, rate.filter(|_| shift.is_trial))
    }

    /// A job on a thread of each pool, the first with number `job`, to the end of all.
    fn beside(&self, job: usize, pools: &[ThreadPool]) {
        if let Some((pool, others)) = pools.split_first() {
            pool.in_place_scope(|scope| {
                scope.spawn(move |_| self.job(job, Some(pool)));
                self.beside(job + 1, others);
            });
        }
    }

    /// Takes tasks to the end of the shift.
    fn job(&self, job: usize, workers: Option<&ThreadPool>) {
        let alarm = Alarm(self);
        let own = workers.and_then(|_| queue_of_its_own(self.around.device));
        let device = own.as_ref().unwrap_or(self.around.device);
        // On one queue trainings would be in each other's way: the first has it.
        if own.is_none() && workers.is_some() && device.is_cuda() && job > 0 {
            return;
        }
        let around = Surroundings { halt: Some(&self.halt), device, ..self.around };
        let mut reporter = Reporter { crew: self, job };
        let mut session = Session::within(around, &mut reporter, (workers, self.datasets.clone()));
        while let Some(task) = self.next() {
            let is_done = self.perform(&mut session, &task).is_ok();
            self.board().put(&task, is_done);
            self.changed.notify_all();
        }
        #[cfg(feature = "cuda")]
        own.iter().for_each(|own| {
            self.datasets.forget(own);
            crate::kernel::leave_cudnn(own);
        });
        drop(alarm);
    }

    /// The next task, waited for while others may make one ready; none when the shift ends.
    fn next(&self) -> Option<Task> {
        let mut board = self.board();
        loop {
            let (is_busy, is_whole) = board.taken();
            if !is_whole && self.division.is_outgrown(self.shift, board.able()) {
                self.end();
            }
            if self.around.is_stopped() || self.halt.load(Ordering::Relaxed) {
                return None;
            }
            let task = board.take();
            if task.is_some() || !is_busy {
                return task;
            }
            board = self.changed.wait(board).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends the shift, for those at work and those who wait.
    fn end(&self) {
        self.halt.store(true, Ordering::Relaxed);
        self.changed.notify_all();
    }

    fn board(&self) -> MutexGuard<'_, Board<'b>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn perform(&self, session: &mut Session, task: &Task) -> Result<(), Left> {
        let trial = &self.plan.trials[task.trial];
        let stages: Vec<&Stage> = trial.stages.iter().map(|at| &self.plan.stages[*at]).collect();
        session.keep_frozen(&stages);
        match &task.work {
            Work::Stage(at) => self.stage(session, *at),
            Work::Evaluations(all) => all.iter().try_for_each(|at| self.evaluation(session, *at)),
        }
    }

    fn stage(&self, session: &mut Session, at: usize) -> Result<(), Left> {
        let failed = self.board().failed_before(at);
        if let Some(why) = failed {
            self.board().untrained(at, why);
            return Ok(());
        }
        let stage = &self.plan.stages[at];
        let result = train(session, self.plan, at);
        let came = settle(session, (&stage.name, stage.seed), result)?;
        self.board().trained(at, came);
        Ok(())
    }

    fn evaluation(&self, session: &mut Session, at: usize) -> Result<(), Left> {
        if self.board().is_measured(at) {
            return Ok(());
        }
        if session.around.is_halted() {
            return Err(Left);
        }
        let failed = self.board().failed_below(at);
        if let Some(why) = failed {
            self.board().unmeasured(at, why);
            return Ok(());
        }
        let evaluation = &self.plan.evaluations[at];
        let result = evaluate(session, self.plan, at);
        let came = settle(session, (&evaluation.name, evaluation.seed), result)?;
        self.board().measured(at, came);
        Ok(())
    }
}

/// Something was left before its end.
struct Left;

/// Tells of a failure, and hands on that something was left.
fn settle<T>(
    session: &mut Session,
    (name, seed): (&str, u64),
    result: Result<T, RunError>,
) -> Result<Settled<T>, Left> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(RunError::Stopped) => Err(Left),
        Err(RunError::Failed { message, help }) => {
            let help = help.as_deref();
            session.tell(Event::Failed { name, seed, message: &message, help });
            Ok(Err(message))
        }
    }
}

/// Hands on what happens in a job.
struct Reporter<'a, 'b, 'c, 'd> {
    crew: &'a Crew<'b, 'c, 'd>,
    job: usize,
}

impl Observer for Reporter<'_, '_, '_, '_> {
    fn observe(&mut self, event: Event) {
        let Self { crew, job } = *self;
        if crew.shift.is_trial {
            let mut gauge = crew.gauge.lock().unwrap_or_else(PoisonError::into_inner);
            gauge.note(job, &event, (crew.around.clock)());
            if gauge.rate().is_some() {
                crew.end();
            }
        }
        let mut observer = crew.observer.lock().unwrap_or_else(PoisonError::into_inner);
        observer.attend(job);
        observer.observe(event);
    }
}

/// Ends the shift when a job panics: the others would wait for what it was to do.
struct Alarm<'a, 'b, 'c, 'd>(&'a Crew<'b, 'c, 'd>);

impl Drop for Alarm<'_, '_, '_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            // Nobody is between looking at the board and waiting for it.
            let _board = self.0.board();
            self.0.end();
        }
    }
}
