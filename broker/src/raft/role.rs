//! What a node is to its quorum at the moment. Only [`super::transitions`] makes these.

use super::ids::{ReplicaId, ReplicaKey, SnapshotId};
use super::leader::Leader;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
pub(super) enum Role {
    Unattached(Unattached),
    Follower(Follower),
    Prospective(Nominee),
    Candidate(Nominee),
    Leader(Box<Leader>),
    Resigned(Resigned),
}

/// Knows no leader of its epoch that it could follow. May have voted in it.
#[derive(Debug)]
pub(super) struct Unattached {
    /// When a voter asks for an election.
    pub election_at: i64,
}

#[derive(Debug)]
pub(super) struct Follower {
    pub leader: ReplicaId,
    /// When the leader counts as lost.
    pub expires_at: i64,
    /// The leader has answered and nothing speaks against it: then nobody gets a pre-vote here (KIP-996).
    pub heard: bool,
    pub snapshot: Option<SnapshotDownload>,
}

/// A snapshot that is on its way, and how many of its bytes are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SnapshotDownload {
    pub id: SnapshotId,
    pub position: i64,
}

/// Asks for votes: as a prospective for pre-votes in its epoch, as a candidate for the votes of a new one.
#[derive(Debug)]
pub(super) struct Nominee {
    pub votes: BTreeMap<ReplicaId, bool>,
    pub expires_at: i64,
}

/// Led this epoch and tells the others that it does not any more.
#[derive(Debug)]
pub(super) struct Resigned {
    pub untold: BTreeSet<ReplicaId>,
    pub successors: Vec<ReplicaKey>,
    pub election_at: i64,
}

/// How an election stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tally {
    Won,
    Lost,
    Open,
}

impl Nominee {
    pub fn new(local: ReplicaId, expires_at: i64) -> Nominee {
        Nominee { votes: BTreeMap::from([(local, true)]), expires_at }
    }

    pub fn tally(&self, voters: usize) -> Tally {
        let majority = voters / 2 + 1;
        let granted = self.votes.values().filter(|granted| **granted).count();
        let rejected = self.votes.len() - granted;
        match () {
            () if granted >= majority => Tally::Won,
            () if voters - rejected < majority => Tally::Lost,
            () => Tally::Open,
        }
    }

    pub fn granting(&self) -> Vec<ReplicaId> {
        self.votes.iter().filter(|(_, granted)| **granted).map(|(id, _)| *id).collect()
    }
}

impl Role {
    pub fn name(&self) -> &'static str {
        match self {
            Role::Unattached(_) => "unattached",
            Role::Follower(_) => "follower",
            Role::Prospective(_) => "prospective",
            Role::Candidate(_) => "candidate",
            Role::Leader(_) => "leader",
            Role::Resigned(_) => "resigned",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_election_is_lost_when_no_majority_is_left() {
        let mut nominee = Nominee::new(ReplicaId(1), 0);
        assert_eq!((nominee.tally(1), nominee.tally(3)), (Tally::Won, Tally::Open));
        nominee.votes.insert(ReplicaId(2), false);
        assert_eq!((nominee.tally(2), nominee.tally(3)), (Tally::Lost, Tally::Open));
        nominee.votes.insert(ReplicaId(3), false);
        assert_eq!((nominee.tally(3), nominee.tally(5)), (Tally::Lost, Tally::Open));
        nominee.votes.extend([(ReplicaId(4), true), (ReplicaId(5), true)]);
        assert_eq!(nominee.tally(5), Tally::Won);
    }
}
