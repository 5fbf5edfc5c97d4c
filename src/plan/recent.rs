//! What was worked out last: the cells of a sweep share most of their parts.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::catalog::{Bound, Misfit, Network, Place};

/// More than the stages and terms of an experiment times the levels of an axis.
const REMEMBERED: usize = 256;

/// Values with what they were worked out from, the last at the end.
pub(super) struct Recent<K, V> {
    known: VecDeque<(K, Rc<V>)>,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { known: VecDeque::new() }
    }
}

impl<K, V> Recent<K, V> {
    /// The value whose key `is` the one.
    pub(super) fn find(&self, is: impl Fn(&K) -> bool) -> Option<Rc<V>> {
        self.known.iter().rev().find(|(key, _)| is(key)).map(|(_, value)| value.clone())
    }

    /// Remembers `value`, and forgets what is too long ago.
    pub(super) fn add(&mut self, key: K, value: V) -> Rc<V> {
        let value = Rc::new(value);
        self.known.push_back((key, value.clone()));
        if self.known.len() > REMEMBERED {
            self.known.pop_front();
        }
        value
    }
}

/// The layers of calls.
pub(super) type Networks = Recent<(Bound, Place), Network>;

impl Networks {
    /// The layers of `call` at `place`.
    pub(super) fn of(&mut self, call: &Bound, place: &Place) -> Result<Rc<Network>, Misfit> {
        let is_known = |known: &(Bound, Place)| known.1 == *place && known.0 == *call;
        if let Some(network) = self.find(is_known) {
            return Ok(network);
        }
        Ok(self.add((call.clone(), *place), call.network(place)?))
    }
}
