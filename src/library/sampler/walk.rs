//! A walk over a set that has passed everything before it passes anything again.

use std::collections::{BTreeSet, VecDeque};

use crate::seed::Stream;

/// A walk over `0..len` in one random order after another.
pub(super) struct Walk {
    /// The address of its orders, one for each pass.
    stream: Stream,
    len: usize,
    pass: u32,
    /// What this pass has left, and what an earlier one was asked to wait with.
    queue: VecDeque<(u32, u32)>,
}

impl Walk {
    /// A walk over `0..len`, which is not empty, by the orders at `stream`.
    pub(super) fn new(len: usize, stream: Stream) -> Self {
        Self { stream, len, pass: 0, queue: VecDeque::new() }
    }

    /// The next `count`, each with the number of passes before it; none twice as long as there are
    /// others, for which those of the next pass wait.
    pub(super) fn take(&mut self, count: usize) -> Vec<(u32, u32)> {
        let mut seen = BTreeSet::new();
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            if seen.len() == self.len {
                seen.clear();
            }
            match self.queue.iter().position(|(at, _)| !seen.contains(at)) {
                None => self.refill(),
                Some(next) => {
                    let found = self.queue.remove(next).expect("it was found there");
                    seen.insert(found.0);
                    taken.push(found);
                }
            }
        }
        taken
    }

    fn refill(&mut self) {
        let order = self.stream.at(u64::from(self.pass)).permutation(self.len);
        self.queue.extend(order.into_iter().map(|at| (at, self.pass)));
        self.pass += 1;
    }
}
