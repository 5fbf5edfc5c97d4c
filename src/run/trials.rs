//! All trials of a plan, in its order; a failure leaves out what depends on it and nothing else.

use super::division::Division;
use super::evaluate::Evaluated;
use super::event::Event;
use super::jobs;
use super::session::Session;
use crate::plan::Plan;

/// What came of a plan.
#[derive(Debug)]
pub struct Outcome {
    /// One for each trial of the plan, in its order; those begun before a stop.
    pub trials: Vec<TrialOutcome>,
    /// Whether the user stopped it.
    pub stopped: bool,
    pub trainings: Tally,
    pub evaluations: Tally,
}

/// What came of one trial.
#[derive(Debug)]
pub struct TrialOutcome {
    pub cell: usize,
    pub seed: u64,
    /// The evaluations of the file, in its order; absent where something failed.
    pub evaluations: Vec<Option<Evaluated>>,
    /// Why something is absent.
    pub failure: Option<String>,
}

/// How many trainings or evaluations a run took care of, each once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Computed by this run.
    pub done: usize,
    /// Found in the store.
    pub found: usize,
    pub failed: usize,
    /// Left out because what they read failed.
    pub left_out: usize,
}

impl Tally {
    /// Counts one that failed, or was left out, as found.
    pub(super) fn adopt(&mut self, was_left_out: bool) {
        let before = if was_left_out { &mut self.left_out } else { &mut self.failed };
        *before = before.saturating_sub(1);
        self.found += 1;
    }
}

impl Outcome {
    /// The number of trials of which something failed.
    pub fn failures(&self) -> usize {
        self.trials.iter().filter(|trial| trial.failure.is_some()).count()
    }
}

/// Runs `plan`, one thing after the other: every training and evaluation that has no result yet.
pub fn run(session: &mut Session, plan: &Plan) -> Outcome {
    run_beside(session, plan, Division::undivided())
}

/// The same with trainings and evaluations beside each other, as `division` says. What comes of it
/// is the same to the last bit.
pub fn run_beside(session: &mut Session, plan: &Plan, division: Division) -> Outcome {
    let mut board = jobs::run(session, plan, division);
    board.adopt(session.around.store);
    session.tell(Event::PlanEnds);
    board.outcome()
}
