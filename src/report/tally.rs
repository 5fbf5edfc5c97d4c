//! What a run did and what it found done.

use crate::plan::plural;
use crate::run::{Outcome, Tally};

/// `9 trainings (6 from the store), 36 evaluations (24 from the store, 4 left out)`, and a line on
/// failures.
pub fn tally(outcome: &Outcome) -> String {
    let trainings = count(outcome.trainings, "training");
    let mut text = format!("{trainings}, {}\n", count(outcome.evaluations, "evaluation"));
    let (failed, all) = (outcome.failures(), outcome.trials.len());
    if failed > 0 {
        text +=
            &format!("{failed} of {} failed: the same command tries again\n", plural(all, "run"));
    }
    text
}

fn count(tally: Tally, word: &str) -> String {
    let Tally { done, found, failed, left_out } = tally;
    let parts = [(found, "from the store"), (failed, "failed"), (left_out, "left out")];
    let parts: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let all = plural(done + found + failed + left_out, word);
    if parts.is_empty() { all } else { format!("{all} ({})", parts.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_named_where_there_are_some() {
        let tally = |done, found, failed, left_out| Tally { done, found, failed, left_out };
        assert_eq!(count(tally(1, 0, 0, 0), "training"), "1 training");
        assert_eq!(count(tally(2, 6, 0, 0), "training"), "8 trainings (6 from the store)");
        let text = "7 evaluations (2 from the store, 1 failed, 3 left out)";
        assert_eq!(count(tally(1, 2, 1, 3), "evaluation"), text);
    }
}
