//! What happens when, in simulated time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Microseconds of simulated time.
pub type Micros = i64;
pub const MS: Micros = 1000;

/// What is yet to happen, in the order of time; what happens at the same time, in the order in which it was added.
#[derive(Debug)]
pub struct Schedule<T> {
    queue: BinaryHeap<Reverse<(Micros, u64)>>,
    happenings: BTreeMap<u64, T>,
    last: u64,
}

impl<T> Default for Schedule<T> {
    fn default() -> Self {
        Schedule { queue: BinaryHeap::new(), happenings: BTreeMap::new(), last: 0 }
    }
}

impl<T> Schedule<T> {
    pub fn add(&mut self, at: Micros, happening: T) {
        self.last += 1;
        self.happenings.insert(self.last, happening);
        self.queue.push(Reverse((at, self.last)));
    }

    /// The next that happens, if it does until `until`.
    pub fn next(&mut self, until: Micros) -> Option<(Micros, T)> {
        let Reverse((at, number)) = *self.queue.peek().filter(|next| next.0.0 <= until)?;
        self.queue.pop();
        Some((at, self.happenings.remove(&number).expect("queued")))
    }
}
