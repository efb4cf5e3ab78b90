//! The border: the node's messages as Kafka's, and back. Vote 0 to 2, BeginQuorumEpoch and EndQuorumEpoch 0 to 1, Fetch
//! 12 to 18 with its tagged fields, FetchSnapshot 0 to 1, DescribeQuorum 0 to 2 (Apache Kafka 4.1).
//!
//! - What comes in is checked here for what the node cannot know: the cluster's id, whom it was meant for, the one
//!   partition that there is, numbers that are in range. What fails becomes a [`Refusal`], or for an answer [`Malformed`].
//! - Record batches are checked (CRC included) before a follower's node sees where they lie.
//! - Addresses are added on the way out, for nodes that learn leaders' addresses from messages (KIP-853), and ignored on
//!   the way in: those of the voters are known.

mod describe;
mod requests;
mod responses;

pub use describe::describe_quorum_response;
pub use requests::{
    begin_quorum_epoch_request, end_quorum_epoch_request, fetch_request, fetch_snapshot_request,
    read_begin_quorum_epoch, read_end_quorum_epoch, read_fetch, read_fetch_snapshot, read_vote, vote_request,
};
pub use responses::{
    begin_quorum_epoch_response, end_quorum_epoch_response, fetch_response, fetch_snapshot_response,
    read_begin_quorum_epoch_response, read_end_quorum_epoch_response, read_fetch_response,
    read_fetch_snapshot_response, read_records, read_vote_response, vote_response,
};

use super::ids::{LeaderAndEpoch, LeaderEpoch, OffsetAndEpoch, ReplicaId, ReplicaKey};
use super::message::Refusal;
use crate::protocol::messages::begin_quorum_epoch::LeaderEndpoint;
use crate::protocol::messages::vote::NodeEndpoint;
use crate::protocol::{ErrorCode, Uuid};
use std::collections::BTreeMap;

/// The topic that is the metadata log, in requests that name it.
pub const METADATA_TOPIC: &str = "__cluster_metadata";
/// The same in requests that know topics by their id.
pub const METADATA_TOPIC_ID: Uuid = Uuid([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
const METADATA_PARTITION: i32 = 0;

/// What this node adds to its messages, and compares with those of others.
#[derive(Clone, Debug)]
pub struct Border {
    pub cluster_id: String,
    pub local: ReplicaKey,
    /// The name of the controllers' listener (the first of `controller.listener.names`).
    pub listener: String,
    /// Where the voters listen (`controller.quorum.voters`).
    pub voters: BTreeMap<ReplicaId, Address>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

/// An answer that is not what was asked for, or whose records are damaged: as good as none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a malformed answer: {0}")]
pub struct Malformed(pub String);

impl Border {
    fn leader_endpoints(&self) -> Vec<LeaderEndpoint<'_>> {
        let own = self.voters.get(&self.local.id).into_iter();
        own.map(|own| LeaderEndpoint { name: (&*self.listener).into(), host: (&*own.host).into(), port: own.port })
            .collect()
    }

    fn node_endpoints(&self, leader: LeaderAndEpoch) -> Vec<NodeEndpoint<'_>> {
        let known = leader.leader.and_then(|id| Some((id, self.voters.get(&id)?))).into_iter();
        known.map(|(id, at)| NodeEndpoint { node_id: id.0, host: (&*at.host).into(), port: at.port }).collect()
    }

    fn check_cluster(&self, cluster_id: Option<&str>) -> Result<(), Refusal> {
        match cluster_id {
            Some(other) if other != self.cluster_id => Err(Refusal::InconsistentClusterId),
            _ => Ok(()),
        }
    }

    /// Version 0 names no voter (-1).
    fn check_voter(&self, id: i32, directory: Uuid) -> Result<(), Refusal> {
        let local = self.local;
        let other_directory = !directory.is_zero() && !local.directory.is_zero() && directory != local.directory;
        if id >= 0 && ReplicaId(id) != local.id || other_directory { Err(Refusal::InvalidVoterKey) } else { Ok(()) }
    }
}

/// The one partition of the one topic that a message of the quorum is about.
fn only<T>(items: &[T]) -> Option<&T> {
    match items {
        [only] => Some(only),
        _ => None,
    }
}

fn epoch(number: i32) -> Result<LeaderEpoch, Refusal> {
    // The highest number is left out: there must be a next epoch.
    if (0..i32::MAX).contains(&number) { Ok(LeaderEpoch(number)) } else { Err(Refusal::InvalidRequest) }
}

fn position(offset: i64, number: i32) -> Result<OffsetAndEpoch, Refusal> {
    if offset < 0 { Err(Refusal::InvalidRequest) } else { Ok(OffsetAndEpoch::new(offset, epoch(number)?)) }
}

fn replica(id: i32, directory: Uuid) -> Result<ReplicaKey, Refusal> {
    if id < 0 { Err(Refusal::InvalidRequest) } else { Ok(ReplicaKey { id: ReplicaId(id), directory }) }
}

fn leader_id(leader: LeaderAndEpoch) -> i32 {
    leader.leader.map_or(-1, |leader| leader.0)
}

fn leader_and_epoch(leader: i32, number: i32) -> Result<LeaderAndEpoch, Malformed> {
    let epoch = epoch(number).map_err(|_| Malformed(format!("leader epoch {number}")))?;
    Ok(LeaderAndEpoch { leader: (leader >= 0).then_some(ReplicaId(leader)), epoch })
}

const ERROR_CODES: [(Refusal, ErrorCode); 9] = [
    (Refusal::FencedLeaderEpoch, ErrorCode::FencedLeaderEpoch),
    (Refusal::UnknownLeaderEpoch, ErrorCode::UnknownLeaderEpoch),
    (Refusal::NotLeader, ErrorCode::NotLeaderOrFollower),
    (Refusal::InconsistentVoterSet, ErrorCode::InconsistentVoterSet),
    (Refusal::InconsistentClusterId, ErrorCode::InconsistentClusterId),
    (Refusal::InvalidVoterKey, ErrorCode::InvalidVoterKey),
    (Refusal::SnapshotNotFound, ErrorCode::SnapshotNotFound),
    (Refusal::PositionOutOfRange, ErrorCode::PositionOutOfRange),
    (Refusal::InvalidRequest, ErrorCode::InvalidRequest),
];

fn error_code<T>(body: &Result<T, Refusal>) -> i16 {
    match body {
        Ok(_) => ErrorCode::None.code(),
        Err(Refusal::Other(code)) => *code,
        Err(refusal) => {
            let found = ERROR_CODES.iter().find(|(known, _)| known == refusal);
            found.map_or(ErrorCode::UnknownServerError, |(_, code)| *code).code()
        }
    }
}

/// `None` where there was no error.
fn refusal(code: i16) -> Option<Refusal> {
    let known = ERROR_CODES.iter().find(|(_, known)| known.code() == code);
    match code {
        0 => None,
        _ => Some(known.map_or(Refusal::Other(code), |(refusal, _)| *refusal)),
    }
}

/// Whether an error concerns the whole message, in which case no partition is answered.
fn is_top_level(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::InconsistentClusterId)
}

#[cfg(test)]
mod tests;
