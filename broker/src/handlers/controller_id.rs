//! The broker that clients take for the controller: they send it what changes the cluster.
//!
//! Any broker will do, since each hands such requests on (KIP-590). One that the client can reach is drawn anew for each
//! answer, so that the clients of a cluster do not all burden the same.

use rand::seq::IteratorRandom;

const NONE: i32 = -1;

/// One of `brokers`, those that the client can reach; -1 where there is none.
pub fn any_of(brokers: impl Iterator<Item = i32>) -> i32 {
    brokers.choose(&mut rand::rng()).unwrap_or(NONE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_broker_has_its_turn() {
        let drawn: BTreeSet<i32> = (0..1000).map(|_| any_of(1..=3)).collect();
        assert_eq!(drawn, BTreeSet::from([1, 2, 3]));
        assert_eq!(any_of(std::iter::empty()), NONE);
    }
}
