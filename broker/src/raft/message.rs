//! What nodes of a quorum ask and answer one another. [`super::wire`] turns these into Kafka's messages and back.

use super::ids::{LeaderAndEpoch, LeaderEpoch, OffsetAndEpoch, ReplicaId, ReplicaKey, SnapshotId};

#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    Vote(VoteRequest),
    BeginQuorumEpoch(BeginQuorumEpochRequest),
    EndQuorumEpoch(EndQuorumEpochRequest),
    Fetch(FetchRequest),
    FetchSnapshot(FetchSnapshotRequest),
}

/// "May I lead?" (KIP-595), or with `pre_vote` "would you let me?" (KIP-996).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoteRequest {
    pub candidate: ReplicaKey,
    /// The epoch to lead; with `pre_vote` the epoch the candidate is still in.
    pub epoch: LeaderEpoch,
    pub log_end: OffsetAndEpoch,
    pub pre_vote: bool,
}

/// "I lead." Sent until the voter fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BeginQuorumEpochRequest {
    pub leader: ReplicaId,
    pub epoch: LeaderEpoch,
}

/// "I lead no longer." The first of `successors` may ask for votes at once, the others a little later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndQuorumEpochRequest {
    pub leader: ReplicaId,
    pub epoch: LeaderEpoch,
    pub successors: Vec<ReplicaKey>,
}

/// "What comes behind `position`?" It also says: everything before it is on my disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// `None` for a reader that is no replica.
    pub replica: Option<ReplicaKey>,
    pub epoch: LeaderEpoch,
    pub position: OffsetAndEpoch,
    /// The high watermark the replica knows: a leader with a higher one answers at once (KIP-1166).
    pub high_watermark: i64,
    pub wait_max_ms: i64,
    pub bytes_max: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchSnapshotRequest {
    pub replica: Option<ReplicaKey>,
    pub epoch: LeaderEpoch,
    pub id: SnapshotId,
    pub position: i64,
    pub bytes_max: i32,
}

/// The answer to any request: whom the answering node takes for the leader, and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    pub leader: LeaderAndEpoch,
    pub body: Result<Answer, Refusal>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Vote { granted: bool },
    BeginQuorumEpoch,
    EndQuorumEpoch,
    Fetch(FetchAnswer),
    FetchSnapshot(SnapshotChunk),
}

#[derive(Clone, Debug, PartialEq)]
pub struct FetchAnswer {
    pub high_watermark: i64,
    pub log_start_offset: i64,
    pub found: Fetched,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Fetched {
    /// What lies behind the position; empty where nothing does.
    Records(Records),
    /// The position is not in the leader's log: cut at the end of this epoch, or before.
    Diverging(OffsetAndEpoch),
    /// The leader no longer has what comes behind the position.
    Snapshot(SnapshotId),
}

/// Some bytes of a snapshot of `size` bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct SnapshotChunk {
    pub id: SnapshotId,
    pub size: i64,
    pub position: i64,
    pub bytes: Vec<u8>,
}

/// Why a request was not done. [`super::wire`] maps each to Kafka's error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the epoch is over")]
    FencedLeaderEpoch,
    #[error("the epoch is not known here yet")]
    UnknownLeaderEpoch,
    #[error("not the leader")]
    NotLeader,
    #[error("controller.quorum.voters differs")]
    InconsistentVoterSet,
    #[error("another cluster.id")]
    InconsistentClusterId,
    #[error("meant for a node of another node.id than the one that runs there")]
    InvalidVoterKey,
    #[error("no such snapshot")]
    SnapshotNotFound,
    #[error("a position outside the snapshot")]
    PositionOutOfRange,
    #[error("an invalid request")]
    InvalidRequest,
    #[error("error code {0}")]
    Other(i16),
}

/// Record batches one behind the other, and where each lies.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Records {
    pub batches: Vec<BatchSpan>,
    pub bytes: Vec<u8>,
}

/// One record batch: `size` bytes that hold the records from `base_offset` to before `end_offset`, all of one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSpan {
    pub base_offset: i64,
    pub end_offset: i64,
    pub epoch: LeaderEpoch,
    pub size: usize,
}

impl BatchSpan {
    pub fn end(&self) -> OffsetAndEpoch {
        OffsetAndEpoch::new(self.end_offset, self.epoch)
    }

    /// Whether a log that ends at `end` may have this batch next.
    pub fn follows(&self, end: OffsetAndEpoch) -> bool {
        self.base_offset == end.offset && self.end_offset > self.base_offset && self.epoch >= end.epoch
    }
}

impl Records {
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Where a log that ends at `end` ends behind these records; `None` if they do not follow it without a gap.
    pub fn end_behind(&self, end: OffsetAndEpoch) -> Option<OffsetAndEpoch> {
        self.batches.iter().try_fold(end, |end, batch| batch.follows(end).then(|| batch.end()))
    }
}
