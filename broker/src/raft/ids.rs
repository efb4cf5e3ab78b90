//! The numbers of a quorum, as types that cannot be taken for one another.

use crate::protocol::Uuid;
use std::fmt;

/// A node's `node.id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(pub i32);

/// The number of a leader's term: grows with every candidate, has at most one leader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaderEpoch(pub i32);

impl LeaderEpoch {
    /// The epoch that a candidate asks votes for.
    pub fn next(self) -> LeaderEpoch {
        LeaderEpoch(self.0.checked_add(1).expect("fewer than 2^31 elections"))
    }
}

/// A replica and the directory that holds its log (KIP-853). The directory is zero where a voter set is static.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaKey {
    pub id: ReplicaId,
    pub directory: Uuid,
}

impl ReplicaKey {
    /// A replica whose directory is not known.
    pub fn of(id: ReplicaId) -> ReplicaKey {
        ReplicaKey { id, directory: Uuid::ZERO }
    }
}

/// A place in a log: the offset behind a record, and that record's epoch. Two logs that agree on one agree on
/// everything before it (log matching).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct OffsetAndEpoch {
    pub offset: i64,
    pub epoch: LeaderEpoch,
}

impl OffsetAndEpoch {
    pub fn new(offset: i64, epoch: LeaderEpoch) -> OffsetAndEpoch {
        OffsetAndEpoch { offset, epoch }
    }

    /// Whether a log that ends here lacks nothing that a log ending at `other` may have committed (Raft section 5.4.1).
    pub fn is_as_complete_as(self, other: OffsetAndEpoch) -> bool {
        (self.epoch, self.offset) >= (other.epoch, other.offset)
    }
}

/// A snapshot's name: the end of the log that it stands for (KIP-630).
pub type SnapshotId = OffsetAndEpoch;

/// Who leads which epoch, as a node knows it: in every answer, and told to the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderAndEpoch {
    pub leader: Option<ReplicaId>,
    pub epoch: LeaderEpoch,
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Display for LeaderEpoch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Display for OffsetAndEpoch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.offset, self.epoch)
    }
}

impl fmt::Display for LeaderAndEpoch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.leader {
            Some(leader) => write!(formatter, "{leader}@{}", self.epoch),
            None => write!(formatter, "none@{}", self.epoch),
        }
    }
}
