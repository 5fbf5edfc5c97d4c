//! A plan to results: trains what is missing, evaluates what is missing, goes on where it stopped.

mod batch;
mod checkpoint;
mod evaluate;
mod event;
mod pool;
mod session;
mod train;
mod trials;

pub use evaluate::{Evaluated, Scored};
pub use event::{Event, Observer, RunError, Silent};
pub use pool::Pool;
pub use session::Session;
pub use train::Trained;
pub use trials::{Outcome, TrialOutcome, run};
