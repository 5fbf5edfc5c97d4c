//! A plan to results: trains what is missing, evaluates what is missing, goes on where it stopped.

mod ahead;
mod batch;
mod checkpoint;
mod evaluate;
mod event;
mod frozen;
mod log;
mod machine;
mod pool;
mod session;
mod stretch;
mod train;
mod trials;

pub use checkpoint::Best;
pub use evaluate::{Evaluated, Scored};
pub use event::{Event, Observer, RunError, Silent};
pub use log::Epoch;
pub use pool::Pool;
pub use session::{Session, Surroundings};
pub use stretch::Stretch;
pub use train::{Trained, TrainedOn};
pub use trials::{Outcome, Tally, TrialOutcome, run};
