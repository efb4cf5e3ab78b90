//! What a leader knows of the others' logs, and what follows from it. Computation only; [`super::leading`] acts on it.

use super::action::RequestId;
use super::ids::{ReplicaId, ReplicaKey};
use std::collections::BTreeMap;

/// Observers that have not fetched for this long are forgotten (as in Kafka, 5 minutes).
const OBSERVER_SESSION_TIMEOUT_MS: i64 = 300_000;

#[derive(Debug)]
pub(super) struct Leader {
    /// The offset of the record that begins this epoch: nothing is committed by counting before it is.
    pub epoch_start_offset: i64,
    since: i64,
    /// The other voters.
    pub voters: BTreeMap<ReplicaId, Progress>,
    pub observers: BTreeMap<ReplicaKey, Progress>,
    /// Fetches that wait for records or a higher high watermark, one for each replica.
    pub parked: BTreeMap<ReplicaKey, Parked>,
}

/// How far a replica is, by its own fetches in this epoch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    pub key: Option<ReplicaKey>,
    /// Everything before is in the replica's log, and durable there.
    pub end_offset: Option<i64>,
    pub fetched_at: Option<i64>,
    /// When the replica last had all that this log had at that time.
    pub caught_up_at: Option<i64>,
    log_end_at_fetch: i64,
    /// When it was last told that this node leads, and said so.
    pub acknowledged_at: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Parked {
    pub id: RequestId,
    pub offset: i64,
    pub high_watermark: i64,
    pub bytes_max: i32,
    pub expires_at: i64,
}

impl Progress {
    pub fn contacted(&mut self, key: ReplicaKey, now: i64) {
        self.key = Some(key);
        self.fetched_at = Some(now);
    }

    /// Notes a fetch at `offset`, before [`Progress::contacted`] does: a replica that has reached what was the log's
    /// end at its last fetch was caught up then.
    pub fn fetched(&mut self, offset: i64, log_end: i64, now: i64) {
        if offset >= log_end {
            self.caught_up_at = Some(now);
        } else if self.fetched_at.is_some() && offset >= self.log_end_at_fetch {
            self.caught_up_at = self.caught_up_at.max(self.fetched_at);
        }
        self.log_end_at_fetch = log_end;
        self.end_offset = Some(offset);
    }
}

impl Leader {
    pub fn new(epoch_start_offset: i64, others: impl Iterator<Item = ReplicaId>, now: i64) -> Leader {
        Leader {
            epoch_start_offset,
            since: now,
            voters: others.map(|id| (id, Progress::default())).collect(),
            observers: BTreeMap::new(),
            parked: BTreeMap::new(),
        }
    }

    /// Up to where a majority has the log, if that includes a record of this epoch. Older records are not committed by
    /// being counted: a candidate that lacks them could still win (Raft section 5.4.2). `own` is what is durable here.
    pub fn committable(&self, own: i64) -> Option<i64> {
        let others = self.voters.values().map(|voter| voter.end_offset.unwrap_or(-1));
        let offset = self.majority_has(own, others);
        (offset > self.epoch_start_offset).then_some(offset)
    }

    /// Since when fewer than a majority have fetched, at the earliest.
    pub fn majority_fetched_at(&self, now: i64) -> i64 {
        self.majority_has(now, self.voters.values().map(|voter| voter.fetched_at.unwrap_or(self.since)))
    }

    /// The highest value that a majority of the voters reaches.
    fn majority_has(&self, own: i64, others: impl Iterator<Item = i64>) -> i64 {
        let mut values: Vec<i64> = others.chain([own]).collect();
        values.sort_unstable_by(|a, b| b.cmp(a));
        values[values.len() / 2]
    }

    /// The progress of a replica that fetches, voter or observer.
    pub fn progress(&mut self, key: ReplicaKey, now: i64) -> &mut Progress {
        if self.voters.contains_key(&key.id) {
            return self.voters.get_mut(&key.id).expect("just found");
        }
        let oldest = now - OBSERVER_SESSION_TIMEOUT_MS;
        self.observers.retain(|_, observer| observer.fetched_at.is_some_and(|at| at > oldest));
        self.observers.entry(key).or_default()
    }

    /// The other voters, the one with the longest log first: who should lead next.
    pub fn successors(&self) -> Vec<ReplicaKey> {
        let mut voters: Vec<_> = self.voters.iter().collect();
        voters.sort_by_key(|(_, progress)| std::cmp::Reverse(progress.end_offset));
        voters.into_iter().map(|(id, progress)| progress.key.unwrap_or(ReplicaKey::of(*id))).collect()
    }

    /// Takes out the parked fetches that `due` chooses.
    pub fn unpark(&mut self, due: impl Fn(&Parked) -> bool) -> Vec<Parked> {
        self.parked.extract_if(.., |_, parked| due(parked)).map(|(_, parked)| parked).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leader(epoch_start_offset: i64, ends: &[i64]) -> Leader {
        let mut leader = Leader::new(epoch_start_offset, (2..2 + ends.len() as i32).map(ReplicaId), 1000);
        for (voter, end) in leader.voters.values_mut().zip(ends) {
            voter.end_offset = Some(*end);
        }
        leader
    }

    #[test]
    fn a_majority_commits() {
        assert_eq!(leader(0, &[]).committable(7), Some(7));
        assert_eq!(leader(0, &[5]).committable(7), Some(5));
        assert_eq!(leader(0, &[5, 9]).committable(7), Some(7));
        assert_eq!(leader(0, &[1, 2, 3]).committable(7), Some(2));
        assert_eq!(leader(0, &[1, 2, 9, 9]).committable(7), Some(7));
        assert_eq!(leader(0, &[9, 9]).committable(3), Some(9), "the leader need not have synced");
    }

    #[test]
    fn records_of_older_epochs_are_not_committed_by_counting() {
        assert_eq!(leader(10, &[10, 10]).committable(11), None);
        assert_eq!(leader(10, &[11, 0]).committable(11), Some(11));
    }

    #[test]
    fn a_replica_was_caught_up_when_it_reached_the_end_of_that_time() {
        let mut progress = Progress::default();
        let mut fetch = |offset, log_end, now| {
            progress.fetched(offset, log_end, now);
            progress.contacted(ReplicaKey::of(ReplicaId(2)), now);
            progress.caught_up_at
        };
        assert_eq!(fetch(0, 10, 100), None);
        assert_eq!(fetch(5, 20, 200), None);
        assert_eq!(fetch(20, 30, 300), Some(200));
        assert_eq!(fetch(30, 30, 400), Some(400));
    }

    #[test]
    fn the_most_complete_voter_comes_first() {
        let ids: Vec<i32> = leader(0, &[5, 9, 7]).successors().iter().map(|key| key.id.0).collect();
        assert_eq!(ids, [3, 4, 2]);
    }
}
