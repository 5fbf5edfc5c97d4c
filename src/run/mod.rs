//! A plan to results: trains what is missing, evaluates what is missing, goes on where it stopped.

mod ahead;
mod average;
mod batch;
mod checkpoint;
mod collapse;
mod evaluate;
mod event;
mod frozen;
mod given;
mod log;
mod loss_on;
mod machine;
mod order;
mod pool;
mod preview;
mod session;
mod stretch;
mod train;
mod trained;
mod trials;
mod validation;
mod weights;

pub use checkpoint::Best;
pub use collapse::Collapse;
pub use evaluate::{Evaluated, Scored};
pub use event::{Event, Observer, RunError, Silent};
pub use given::{Asked, Given, Wanted};
pub use log::Epoch;
pub use loss_on::LossOn;
pub use pool::Pool;
pub use preview::{Preview, Previewed};
pub use session::{Session, Surroundings};
pub use stretch::Stretch;
pub use trained::{Trained, TrainedOn};
pub use trials::{Outcome, Tally, TrialOutcome, run};
pub use weights::begin as begin_with_weights;
