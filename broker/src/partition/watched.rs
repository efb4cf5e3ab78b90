//! What whoever watches over replication wants to know of the partitions that are led here.

use super::partition::Partition;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A partition that this broker leads, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Led {
    pub high_watermark: i64,
    /// Offsets that the follower furthest behind lacks, of those that have fetched since this broker leads.
    pub lag_max: u64,
}

impl Partition {
    /// `None` where another broker leads.
    pub fn led(&self) -> Option<Led> {
        let state = self.state();
        let end = state.log.as_ref()?.log_end_offset();
        if !state.replica.is_leader() {
            return None;
        }
        let known = state.replica.followers().map(|(_, log_end)| log_end).filter(|log_end| *log_end >= 0);
        let lag_max = known.map(|log_end| u64::try_from(end - log_end).unwrap_or(0)).max().unwrap_or(0);
        Some(Led { high_watermark: state.replica.high_watermark(), lag_max })
    }
}

/// How often the ISR of a partition became smaller or larger while this broker led it, whoever decided that.
#[derive(Debug, Default)]
pub struct IsrMoves {
    shrinks: AtomicU64,
    expands: AtomicU64,
}

impl IsrMoves {
    /// The ISR was `before` and is `after`; one of the two is empty where this broker has not led all the while.
    pub(super) fn count(&self, before: &[i32], after: &[i32]) {
        if before.is_empty() || after.is_empty() {
            return;
        }
        let lacks = |isr: &[i32], others: &[i32]| others.iter().any(|id| !isr.contains(id));
        self.shrinks.fetch_add(lacks(after, before).into(), Relaxed);
        self.expands.fetch_add(lacks(before, after).into(), Relaxed);
    }

    pub fn shrinks(&self) -> u64 {
        self.shrinks.load(Relaxed)
    }

    pub fn expands(&self) -> u64 {
        self.expands.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Node, append, registration};
    use super::super::{Acks, Isolation, NO_EPOCH, ReadRequest, Reader};
    use super::*;
    use crate::log::LogConfig;

    #[test]
    fn only_a_leader_tells_how_far_the_others_are() {
        let node = Node::new(1, LogConfig::default());
        let partition = node.create(0);
        assert_eq!(partition.led(), None);
        partition.apply(&registration(1, 1, 1, &[1, 2, 3]));
        append(&partition, "a", Acks::Leader).unwrap();
        assert_eq!(partition.led(), Some(Led { high_watermark: 0, lag_max: 0 }), "none has fetched yet");
        let request = ReadRequest {
            offset: 0,
            leader_epoch: NO_EPOCH,
            last_fetched_epoch: NO_EPOCH,
            bytes_max: 1000,
            at_least_one: true,
            isolation: Isolation::LogEnd,
            reader: &Reader::Follower { id: 2, broker_epoch: 200 },
        };
        partition.read(&request).unwrap();
        assert_eq!(partition.led(), Some(Led { high_watermark: 0, lag_max: 1 }));
        partition.read(&ReadRequest { offset: 1, ..request }).unwrap();
        assert_eq!(partition.led().map(|led| led.lag_max), Some(0));
        partition.apply(&registration(2, 2, 2, &[1, 2, 3]));
        assert_eq!(partition.led(), None);
    }

    #[test]
    fn an_isr_that_changes_under_the_same_leader_is_counted() {
        let node = Node::new(1, LogConfig::default());
        let partition = node.create(0);
        let moves = || {
            let moves = &partition.broker.isr_moves;
            (moves.shrinks(), moves.expands())
        };
        partition.apply(&registration(1, 1, 1, &[1, 2, 3]));
        assert_eq!(moves(), (0, 0), "it has just begun to lead");
        partition.apply(&registration(1, 1, 2, &[1]));
        assert_eq!(moves(), (1, 0));
        partition.apply(&registration(1, 1, 3, &[1, 3]));
        assert_eq!(moves(), (1, 1));
        partition.apply(&registration(1, 2, 4, &[1, 2]));
        assert_eq!(moves(), (2, 2), "one came and another went");
        partition.apply(&registration(2, 3, 5, &[2]));
        partition.apply(&registration(1, 4, 6, &[1, 2, 3]));
        assert_eq!(moves(), (2, 2), "another has led in the meantime");
    }
}
