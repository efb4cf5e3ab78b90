//! The leader epochs of a log: at which offset each began (KIP-101, KIP-279, KIP-320). Pure.
//!
//! - Epochs and their start offsets both rise strictly from entry to entry.

use super::checkpoint::{self, CheckpointError};

/// No epoch, in answers to OffsetForLeaderEpoch.
pub const UNDEFINED_EPOCH: i32 = -1;
/// No offset, in answers to OffsetForLeaderEpoch.
pub const UNDEFINED_OFFSET: i64 = -1;

/// An epoch and the offset of the first record that was, or would have been, written in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochStart {
    pub epoch: i32,
    pub start_offset: i64,
}

/// The epochs of one log, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaderEpochs {
    entries: Vec<EpochStart>,
}

impl LeaderEpochs {
    pub fn entries(&self) -> &[EpochStart] {
        &self.entries
    }

    pub fn latest(&self) -> Option<EpochStart> {
        self.entries.last().copied()
    }

    /// The epoch that the record at `offset` was written in, as far as it is known.
    pub fn epoch_at(&self, offset: i64) -> Option<i32> {
        let behind = self.entries.partition_point(|entry| entry.start_offset <= offset);
        Some(self.entries[behind.checked_sub(1)?].epoch)
    }

    /// Lets `epoch` begin at `start_offset`; gives whether that is new. Entries that contradict it (a later epoch, or
    /// one that began at a later offset) are dropped: the log was truncated below them.
    pub fn assign(&mut self, epoch: i32, start_offset: i64) -> bool {
        if epoch < 0 || self.latest().is_some_and(|latest| latest.epoch == epoch && start_offset >= latest.start_offset)
        {
            return false;
        }
        self.entries.retain(|entry| entry.epoch < epoch && entry.start_offset < start_offset);
        self.entries.push(EpochStart { epoch, start_offset });
        true
    }

    /// Where `epoch` ends: the largest known epoch that is not above it, and the start of the next one, which is
    /// `log_end_offset` for the latest. [`UNDEFINED_EPOCH`] and [`UNDEFINED_OFFSET`] if that cannot be told (KIP-320).
    pub fn end_offset_for(&self, epoch: i32, log_end_offset: i64) -> (i32, i64) {
        if epoch == UNDEFINED_EPOCH {
            return (UNDEFINED_EPOCH, UNDEFINED_OFFSET);
        }
        if self.latest().is_some_and(|latest| latest.epoch == epoch) {
            return (epoch, log_end_offset);
        }
        let above = self.entries.partition_point(|entry| entry.epoch <= epoch);
        let Some(next) = self.entries.get(above) else { return (UNDEFINED_EPOCH, UNDEFINED_OFFSET) };
        let floor = above.checked_sub(1).map_or(epoch, |below| self.entries[below].epoch);
        (floor, next.start_offset)
    }

    /// Forgets epochs that begin at or behind `end_offset`; gives whether there were any.
    pub fn truncate_from_end(&mut self, end_offset: i64) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.start_offset < end_offset);
        self.entries.len() != before
    }

    /// Forgets epochs that end at or before `start_offset`, and lets the one that holds it begin there; gives whether
    /// anything changed.
    pub fn truncate_from_start(&mut self, start_offset: i64) -> bool {
        let behind = self.entries.partition_point(|entry| entry.start_offset <= start_offset);
        let Some(floor) = behind.checked_sub(1) else { return false };
        if self.entries[floor].start_offset == start_offset && floor == 0 {
            return false;
        }
        self.entries.drain(..floor);
        self.entries[0].start_offset = start_offset;
        true
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// The file `leader-epoch-checkpoint`.
    pub fn to_checkpoint(&self) -> String {
        checkpoint::write(&self.entries, |entry| format!("{} {}", entry.epoch, entry.start_offset))
    }

    /// Errors: a line that is no epoch and offset. Entries that contradict later ones are dropped.
    pub fn from_checkpoint(text: &str) -> Result<LeaderEpochs, CheckpointError> {
        let entries = checkpoint::read(text, |line| {
            let (epoch, start_offset) = line.split_once(' ')?;
            Some(EpochStart { epoch: epoch.parse().ok()?, start_offset: start_offset.parse().ok()? })
        })?;
        let mut epochs = LeaderEpochs::default();
        for entry in entries {
            epochs.assign(entry.epoch, entry.start_offset);
        }
        Ok(epochs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
        let mut epochs = LeaderEpochs::default();
        for (epoch, start_offset) in entries {
            assert!(epochs.assign(*epoch, *start_offset));
        }
        epochs
    }

    fn pairs(epochs: &LeaderEpochs) -> Vec<(i32, i64)> {
        epochs.entries().iter().map(|entry| (entry.epoch, entry.start_offset)).collect()
    }

    #[test]
    fn an_epoch_ends_where_the_next_begins() {
        let epochs = epochs(&[(2, 5), (4, 9), (7, 20)]);
        assert_eq!(epochs.end_offset_for(4, 30), (4, 20));
        assert_eq!(epochs.end_offset_for(7, 30), (7, 30));
        assert_eq!(epochs.end_offset_for(5, 30), (4, 20), "the epoch before one that wrote nothing");
        assert_eq!(epochs.end_offset_for(1, 30), (1, 5), "older than all");
        assert_eq!(epochs.end_offset_for(8, 30), (-1, -1), "newer than all");
        assert_eq!(epochs.end_offset_for(-1, 30), (-1, -1));
        assert_eq!(LeaderEpochs::default().end_offset_for(0, 30), (-1, -1));
    }

    #[test]
    fn the_epoch_of_an_offset_is_the_one_that_began_before_it() {
        let epochs = epochs(&[(2, 5), (4, 9)]);
        assert_eq!([4, 5, 8, 9, 100].map(|offset| epochs.epoch_at(offset)), [None, Some(2), Some(2), Some(4), Some(4)]);
    }

    #[test]
    fn an_epoch_that_wrote_nothing_gives_way_to_the_next_at_the_same_offset() {
        assert_eq!(pairs(&epochs(&[(1, 0), (2, 5), (3, 5)])), [(1, 0), (3, 5)]);
    }

    #[test]
    fn an_epoch_is_assigned_once() {
        let mut epochs = epochs(&[(1, 0), (2, 5)]);
        assert!(!epochs.assign(2, 7));
        assert!(!epochs.assign(-1, 9));
        assert_eq!(pairs(&epochs), [(1, 0), (2, 5)]);
    }

    #[test]
    fn truncation_from_the_end_forgets_what_lies_behind() {
        let mut epochs = epochs(&[(1, 0), (2, 5), (3, 9)]);
        assert!(epochs.truncate_from_end(5));
        assert_eq!(pairs(&epochs), [(1, 0)]);
        assert!(!epochs.truncate_from_end(5));
    }

    #[test]
    fn truncation_from_the_start_keeps_the_epoch_that_holds_it() {
        let mut epochs = epochs(&[(1, 0), (2, 5), (3, 9)]);
        assert!(epochs.truncate_from_start(7));
        assert_eq!(pairs(&epochs), [(2, 7), (3, 9)]);
        assert!(!epochs.truncate_from_start(7));
        assert!(epochs.truncate_from_start(9));
        assert_eq!(pairs(&epochs), [(3, 9)]);
        assert!(!epochs.truncate_from_start(3));
    }

    #[test]
    fn a_checkpoint_gives_back_what_was_written() {
        let epochs = epochs(&[(1, 0), (2, 5)]);
        assert_eq!(epochs.to_checkpoint(), "0\n2\n1 0\n2 5\n");
        assert_eq!(LeaderEpochs::from_checkpoint("0\n2\n1 0\n2 5\n").unwrap(), epochs);
        assert!(LeaderEpochs::from_checkpoint("0\n2\n1 0\n").is_err());
    }
}
