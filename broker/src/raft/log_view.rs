//! What a node remembers of its log: where it starts, where it ends, where each epoch begins.
//!
//! The bytes are the shell's. The view is changed only together with an action that changes the log in the same way, so
//! the two never differ once the actions are carried out.

use super::ids::{LeaderEpoch, OffsetAndEpoch, SnapshotId};
use super::message::BatchSpan;

/// The outline of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogView {
    /// The end of what was cut off in front, which a snapshot stands for; zero where nothing was.
    start: OffsetAndEpoch,
    /// For each epoch that has records: the epoch, and the offset of its first record. Both grow.
    epochs: Vec<OffsetAndEpoch>,
    end_offset: i64,
    latest_snapshot: Option<SnapshotId>,
}

/// How a follower's position compares with this log (KIP-595, "Fetch").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The follower's log is a prefix of this one.
    Prefix,
    /// It is not; up to the end of this epoch, or an earlier one, the two may agree.
    Diverging(OffsetAndEpoch),
    /// This log no longer knows; the follower begins anew from this snapshot (KIP-630).
    BehindSnapshot(SnapshotId),
}

impl Default for LogView {
    fn default() -> Self {
        LogView::starting_at(OffsetAndEpoch::default(), None)
    }
}

impl LogView {
    /// A log without records that starts at `start`, the end of its earliest snapshot (zero where there is none).
    pub fn starting_at(start: OffsetAndEpoch, latest_snapshot: Option<SnapshotId>) -> LogView {
        LogView { start, epochs: Vec::new(), end_offset: start.offset, latest_snapshot }
    }

    /// Adds batches at the end; they follow it without a gap and with epochs that do not go back.
    pub fn append(&mut self, batches: &[BatchSpan]) {
        for batch in batches {
            assert!(batch.follows(self.end()), "a batch {batch:?} behind {}", self.end());
            if self.epochs.last().is_none_or(|last| last.epoch < batch.epoch) {
                self.epochs.push(OffsetAndEpoch::new(batch.base_offset, batch.epoch));
            }
            self.end_offset = batch.end_offset;
        }
    }

    pub fn start(&self) -> OffsetAndEpoch {
        self.start
    }

    pub fn latest_snapshot(&self) -> Option<SnapshotId> {
        self.latest_snapshot
    }

    /// The end of the log and the epoch of its last record: the snapshot's where there is none.
    pub fn end(&self) -> OffsetAndEpoch {
        OffsetAndEpoch::new(self.end_offset, self.epochs.last().map_or(self.start.epoch, |last| last.epoch))
    }

    /// Where `epoch` begins, if it has records.
    pub fn begin_of_epoch(&self, epoch: LeaderEpoch) -> Option<i64> {
        self.epochs.iter().rev().find(|begin| begin.epoch == epoch).map(|begin| begin.offset)
    }

    /// The last epoch not above `epoch` that this log has, and where it ends.
    pub fn end_of_epoch(&self, epoch: LeaderEpoch) -> OffsetAndEpoch {
        let behind = self.epochs.partition_point(|begin| begin.epoch <= epoch);
        let end = self.epochs.get(behind).map_or(self.end_offset, |next| next.offset);
        match behind.checked_sub(1) {
            Some(last) => OffsetAndEpoch::new(end, self.epochs[last].epoch),
            None => self.start,
        }
    }

    /// Compares the end of a follower's log with this one.
    pub fn compare(&self, follower: OffsetAndEpoch) -> Comparison {
        if self.start.offset == 0 && follower.offset == 0 {
            return Comparison::Prefix;
        }
        let behind = follower.offset < self.start.offset
            || follower.epoch < self.start.epoch
            || follower.offset == self.start.offset && follower.epoch != self.start.epoch;
        if self.start.offset > 0 && behind {
            return Comparison::BehindSnapshot(self.latest_snapshot.unwrap_or(self.start));
        }
        let end = self.end_of_epoch(follower.epoch);
        if end.epoch == follower.epoch && follower.offset <= end.offset {
            Comparison::Prefix
        } else {
            Comparison::Diverging(end)
        }
    }

    /// Where this log must end so that it does not contradict a leader whose epoch ends at `diverging`.
    pub fn truncation_point(&self, diverging: OffsetAndEpoch) -> i64 {
        let own = self.end_of_epoch(diverging.epoch);
        if own.epoch == diverging.epoch { own.offset.min(diverging.offset) } else { own.offset }
    }

    pub(super) fn truncate(&mut self, end_offset: i64) {
        self.end_offset = end_offset;
        self.epochs.retain(|begin| begin.offset < end_offset);
    }

    pub(super) fn reset_to(&mut self, snapshot: SnapshotId) {
        *self = LogView::starting_at(snapshot, Some(snapshot));
    }

    pub(super) fn take_snapshot(&mut self, id: SnapshotId) {
        if self.latest_snapshot.is_none_or(|latest| latest.offset < id.offset) {
            self.latest_snapshot = Some(id);
        }
    }

    /// Forgets what lies before `start`, the end of a snapshot.
    pub(super) fn move_start(&mut self, start: SnapshotId) {
        if start.offset <= self.start.offset || start.offset > self.end_offset {
            return;
        }
        let first = self.epochs.partition_point(|begin| begin.offset <= start.offset).saturating_sub(1);
        self.epochs.drain(..first);
        if self.end_offset == start.offset {
            self.epochs.clear();
        } else if let Some(begin) = self.epochs.first_mut() {
            begin.offset = begin.offset.max(start.offset);
        }
        self.start = start;
        self.take_snapshot(start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: i64, epoch: i32) -> OffsetAndEpoch {
        OffsetAndEpoch::new(offset, LeaderEpoch(epoch))
    }

    /// Epoch 1 at 0 to 9, epoch 3 at 10 to 19, epoch 4 at 20 to 29.
    fn log() -> LogView {
        let mut log = LogView::default();
        for (base_offset, epoch) in [(0, 1), (5, 1), (10, 3), (20, 4)] {
            let end_offset = base_offset + if base_offset < 10 { 5 } else { 10 };
            log.append(&[BatchSpan { base_offset, end_offset, epoch: LeaderEpoch(epoch), size: 1 }]);
        }
        log
    }

    #[test]
    fn an_epoch_ends_where_the_next_begins() {
        assert_eq!(log().end_of_epoch(LeaderEpoch(1)), at(10, 1));
        assert_eq!(log().end_of_epoch(LeaderEpoch(2)), at(10, 1));
        assert_eq!(log().end_of_epoch(LeaderEpoch(9)), at(30, 4));
        assert_eq!(log().end_of_epoch(LeaderEpoch(0)), at(0, 0));
    }

    #[test]
    fn a_follower_diverges_where_its_epoch_is_longer_or_unknown() {
        assert_eq!(log().compare(at(0, 0)), Comparison::Prefix);
        assert_eq!(log().compare(at(10, 1)), Comparison::Prefix);
        assert_eq!(log().compare(at(12, 1)), Comparison::Diverging(at(10, 1)));
        assert_eq!(log().compare(at(15, 2)), Comparison::Diverging(at(10, 1)));
        assert_eq!(log().compare(at(31, 4)), Comparison::Diverging(at(30, 4)));
    }

    #[test]
    fn a_log_is_cut_to_what_both_may_have() {
        assert_eq!(log().truncation_point(at(25, 4)), 25);
        assert_eq!(log().truncation_point(at(40, 3)), 20);
        assert_eq!(log().truncation_point(at(18, 2)), 10);
        let mut cut = log();
        cut.truncate(20);
        assert_eq!(cut.end(), at(20, 3));
    }

    #[test]
    fn behind_the_start_there_is_only_the_snapshot() {
        let mut log = log();
        log.take_snapshot(at(20, 3));
        log.move_start(at(15, 3));
        assert_eq!(log.compare(at(14, 3)), Comparison::BehindSnapshot(at(20, 3)));
        assert_eq!(log.compare(at(15, 2)), Comparison::BehindSnapshot(at(20, 3)));
        assert_eq!(log.compare(at(15, 3)), Comparison::Prefix);
        assert_eq!(log.compare(at(21, 3)), Comparison::Diverging(at(20, 3)));
        assert_eq!(log.end_of_epoch(LeaderEpoch(3)), at(20, 3));
    }

    #[test]
    fn a_start_at_an_epochs_end_keeps_the_epochs_behind_it() {
        let mut log = log();
        log.move_start(at(20, 3));
        assert_eq!((log.start(), log.end()), (at(20, 3), at(30, 4)));
        assert_eq!(log.end_of_epoch(LeaderEpoch(3)), at(20, 3));
        log.move_start(at(30, 4));
        assert_eq!((log.start(), log.end()), (at(30, 4), at(30, 4)));
    }
}
