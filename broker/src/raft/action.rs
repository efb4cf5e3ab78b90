//! What comes into a node and what goes out of it.

use super::ids::{LeaderAndEpoch, OffsetAndEpoch, ReplicaId, SnapshotId};
use super::message::{Records, Refusal, Request, Response};
use super::quorum_state::ElectionState;

/// Which request of the shell's an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Which request of the node's an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Correlation(pub u64);

/// A state of the log that is to be made durable. The shell hands it back as it got it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncPoint {
    pub end_offset: i64,
    /// How often the log had been cut: what was synced before a cut says nothing about what was written behind it.
    pub(super) cuts: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Time has passed: at the latest when [`super::Node::next_deadline`] says.
    Tick,
    Request {
        id: RequestId,
        request: Request,
    },
    Response {
        from: ReplicaId,
        correlation: Correlation,
        response: Response,
    },
    /// No answer will come: the connection could not be made or broke, or the answer was not to be read.
    Failed {
        from: ReplicaId,
        correlation: Correlation,
    },
    /// Everything before the point is on disk.
    Synced(SyncPoint),
    /// The controller has written a snapshot of committed records, ending between two batches.
    SnapshotTaken(SnapshotId),
    /// The log's segments before this snapshot's end were removed.
    LogStartMoved(SnapshotId),
    /// Give up leadership (controlled shutdown, or a move that the operator asks for). Nothing if not leading.
    Resign,
}

/// What the shell must do, one after the other, each done before the next begins. A crash between two is covered.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Write `quorum-state` and sync it: what follows gives promises that depend on it.
    PersistElection(ElectionState),
    /// Cut the log so that it ends here.
    Truncate { end_offset: i64 },
    /// Write behind the log's end. Need not be durable yet.
    Append(Records),
    /// Make the log durable, then say [`Event::Synced`]. Later actions need not wait for it. Never two at a time.
    Sync(SyncPoint),
    /// Write a part of a snapshot that is not valid yet; position 0 begins it anew.
    WriteSnapshot { id: SnapshotId, position: i64, bytes: Vec<u8> },
    /// Sync the snapshot, make it valid, and begin an empty log at its end. Durable when done.
    InstallSnapshot(SnapshotId),
    /// Ask another node; answer with [`Event::Response`] or [`Event::Failed`]. Fetch needs a connection of its own: the
    /// leader may hold its answer, and a vote must not wait behind it.
    Send { to: ReplicaId, correlation: Correlation, request: Request },
    /// Answer a request.
    Respond { to: RequestId, response: Response },
    /// Answer a fetch, with whole batches read from the log put into its empty `Fetched::Records`.
    RespondWithRecords { to: RequestId, response: Response, read: LogRead },
    /// Answer with bytes of a snapshot put into the empty chunk, or `SnapshotNotFound`, `PositionOutOfRange`.
    RespondWithSnapshot { to: RequestId, response: Response, bytes_max: i32 },
    /// Records before this offset are committed: they will be in every leader's log.
    Committed { high_watermark: i64 },
    /// Another leader, or none, is known. For the leader itself: it may propose from now on.
    LeaderChanged(LeaderAndEpoch),
    /// Something that only a person can put right.
    Complain(Complaint),
}

/// A read of whole batches from `offset` on: the first one in any case, more while `bytes_max` is not exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRead {
    pub offset: i64,
    pub bytes_max: i32,
}

/// What a node cannot make good by itself: one line in the log, on the side that finds it and on the side that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Complaint {
    #[error("node {0} takes part in elections but is not in controller.quorum.voters here")]
    UnknownVoter(ReplicaId),
    #[error("another process uses this node's node.id {0}")]
    DuplicateNodeId(ReplicaId),
    #[error("node {from} refuses this node: {refusal}")]
    Refused { from: ReplicaId, refusal: Refusal },
    #[error("nodes {known} and {claimed} both lead epoch {epoch}", epoch = known.epoch)]
    TwoLeaders { known: LeaderAndEpoch, claimed: ReplicaId },
    #[error(
        "leader {from} asks to remove committed records: its log ends at {diverging}, {high_watermark} is committed"
    )]
    CommittedRecordsDiverge { from: ReplicaId, diverging: OffsetAndEpoch, high_watermark: i64 },
    #[error("leader {from} sent records that do not follow the log's end {end}")]
    RecordsDoNotFollow { from: ReplicaId, end: OffsetAndEpoch },
}
