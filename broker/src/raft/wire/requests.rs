//! Requests, on their way out and in.

use super::{Border, METADATA_PARTITION, METADATA_TOPIC, METADATA_TOPIC_ID, epoch, only, position, replica};
use crate::protocol::Uuid;
use crate::protocol::messages::begin_quorum_epoch::{
    BeginQuorumEpochRequest, BeginQuorumEpochRequestPartition, BeginQuorumEpochRequestTopic,
};
use crate::protocol::messages::end_quorum_epoch::{
    EndQuorumEpochRequest, EndQuorumEpochRequestPartition, EndQuorumEpochRequestTopic, PreferredCandidate,
};
use crate::protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic, ReplicaState};
use crate::protocol::messages::fetch_snapshot::{
    FetchSnapshotRequest, FetchSnapshotRequestPartition, FetchSnapshotRequestTopic, SnapshotId,
};
use crate::protocol::messages::vote::{VoteRequest, VoteRequestPartition, VoteRequestTopic};
use crate::raft::ids::{ReplicaId, ReplicaKey};
use crate::raft::message::{self, Refusal};

pub fn vote_request<'a>(border: &'a Border, to: ReplicaKey, vote: &message::VoteRequest) -> VoteRequest<'a> {
    let partition = VoteRequestPartition {
        partition_index: METADATA_PARTITION,
        replica_epoch: vote.epoch.0,
        replica_id: vote.candidate.id.0,
        replica_directory_id: vote.candidate.directory,
        voter_directory_id: to.directory,
        last_offset_epoch: vote.log_end.epoch.0,
        last_offset: vote.log_end.offset,
        pre_vote: vote.pre_vote,
    };
    let topics = vec![VoteRequestTopic { topic_name: METADATA_TOPIC.into(), partitions: vec![partition] }];
    VoteRequest { cluster_id: Some((&*border.cluster_id).into()), voter_id: to.id.0, topics }
}

/// Errors: `InconsistentClusterId`, `InvalidVoterKey`, `InvalidRequest`.
pub fn read_vote(border: &Border, request: &VoteRequest<'_>) -> Result<message::VoteRequest, Refusal> {
    border.check_cluster(request.cluster_id.as_deref())?;
    let topic = only(&request.topics).filter(|topic| topic.topic_name == METADATA_TOPIC);
    let partition = topic.and_then(|topic| only(&topic.partitions)).ok_or(Refusal::InvalidRequest)?;
    border.check_voter(request.voter_id, partition.voter_directory_id)?;
    Ok(message::VoteRequest {
        candidate: replica(partition.replica_id, partition.replica_directory_id)?,
        epoch: epoch(partition.replica_epoch)?,
        log_end: position(partition.last_offset, partition.last_offset_epoch)?,
        pre_vote: partition.pre_vote,
    })
}

pub fn begin_quorum_epoch_request<'a>(
    border: &'a Border,
    to: ReplicaKey,
    begin: &message::BeginQuorumEpochRequest,
) -> BeginQuorumEpochRequest<'a> {
    let partition = BeginQuorumEpochRequestPartition {
        partition_index: METADATA_PARTITION,
        voter_directory_id: to.directory,
        leader_id: begin.leader.0,
        leader_epoch: begin.epoch.0,
    };
    let topic = BeginQuorumEpochRequestTopic { topic_name: METADATA_TOPIC.into(), partitions: vec![partition] };
    BeginQuorumEpochRequest {
        cluster_id: Some((&*border.cluster_id).into()),
        voter_id: to.id.0,
        topics: vec![topic],
        leader_endpoints: border.leader_endpoints(),
    }
}

/// Errors: `InconsistentClusterId`, `InvalidVoterKey`, `InvalidRequest`.
pub fn read_begin_quorum_epoch(
    border: &Border,
    request: &BeginQuorumEpochRequest<'_>,
) -> Result<message::BeginQuorumEpochRequest, Refusal> {
    border.check_cluster(request.cluster_id.as_deref())?;
    let topic = only(&request.topics).filter(|topic| topic.topic_name == METADATA_TOPIC);
    let partition = topic.and_then(|topic| only(&topic.partitions)).ok_or(Refusal::InvalidRequest)?;
    border.check_voter(request.voter_id, partition.voter_directory_id)?;
    let leader = replica(partition.leader_id, Uuid::ZERO)?.id;
    Ok(message::BeginQuorumEpochRequest { leader, epoch: epoch(partition.leader_epoch)? })
}

pub fn end_quorum_epoch_request<'a>(
    border: &'a Border,
    end: &message::EndQuorumEpochRequest,
) -> EndQuorumEpochRequest<'a> {
    let candidate =
        |key: &ReplicaKey| PreferredCandidate { candidate_id: key.id.0, candidate_directory_id: key.directory };
    let partition = EndQuorumEpochRequestPartition {
        partition_index: METADATA_PARTITION,
        leader_id: end.leader.0,
        leader_epoch: end.epoch.0,
        preferred_successors: end.successors.iter().map(|key| key.id.0).collect(),
        preferred_candidates: end.successors.iter().map(candidate).collect(),
    };
    let topic = EndQuorumEpochRequestTopic { topic_name: METADATA_TOPIC.into(), partitions: vec![partition] };
    EndQuorumEpochRequest {
        cluster_id: Some((&*border.cluster_id).into()),
        topics: vec![topic],
        leader_endpoints: border.leader_endpoints(),
    }
}

/// Errors: `InconsistentClusterId`, `InvalidRequest`.
pub fn read_end_quorum_epoch(
    border: &Border,
    request: &EndQuorumEpochRequest<'_>,
) -> Result<message::EndQuorumEpochRequest, Refusal> {
    border.check_cluster(request.cluster_id.as_deref())?;
    let topic = only(&request.topics).filter(|topic| topic.topic_name == METADATA_TOPIC);
    let partition = topic.and_then(|topic| only(&topic.partitions)).ok_or(Refusal::InvalidRequest)?;
    let by_key = partition.preferred_candidates.iter();
    let by_key =
        by_key.map(|key| ReplicaKey { id: ReplicaId(key.candidate_id), directory: key.candidate_directory_id });
    let by_id = partition.preferred_successors.iter().map(|id| ReplicaKey::of(ReplicaId(*id)));
    Ok(message::EndQuorumEpochRequest {
        leader: replica(partition.leader_id, Uuid::ZERO)?.id,
        epoch: epoch(partition.leader_epoch)?,
        successors: by_key.chain(by_id).collect(),
    })
}

pub fn fetch_request<'a>(border: &'a Border, fetch: &message::FetchRequest) -> FetchRequest<'a> {
    let (id, directory) = fetch.replica.map_or((-1, Uuid::ZERO), |key| (key.id.0, key.directory));
    let partition = FetchPartition {
        partition: METADATA_PARTITION,
        current_leader_epoch: fetch.epoch.0,
        fetch_offset: fetch.position.offset,
        last_fetched_epoch: fetch.position.epoch.0,
        log_start_offset: -1,
        partition_max_bytes: fetch.bytes_max,
        replica_directory_id: directory,
        high_watermark: fetch.high_watermark,
    };
    let topic = FetchTopic { topic: METADATA_TOPIC.into(), topic_id: METADATA_TOPIC_ID, partitions: vec![partition] };
    FetchRequest {
        cluster_id: Some((&*border.cluster_id).into()),
        replica_id: id,
        replica_state: ReplicaState { replica_id: id, replica_epoch: -1 },
        max_wait_ms: i32::try_from(fetch.wait_max_ms).unwrap_or(i32::MAX),
        max_bytes: fetch.bytes_max,
        topics: vec![topic],
        ..FetchRequest::default()
    }
}

/// Errors: `InconsistentClusterId`, `InvalidRequest`.
pub fn read_fetch(border: &Border, request: &FetchRequest<'_>) -> Result<message::FetchRequest, Refusal> {
    border.check_cluster(request.cluster_id.as_deref())?;
    let is_metadata = |topic: &&FetchTopic<'_>| topic.topic == METADATA_TOPIC || topic.topic_id == METADATA_TOPIC_ID;
    let topic = only(&request.topics).filter(is_metadata).ok_or(Refusal::InvalidRequest)?;
    let partition = only(&topic.partitions).ok_or(Refusal::InvalidRequest)?;
    let id = request.replica_id.max(request.replica_state.replica_id);
    Ok(message::FetchRequest {
        replica: replica(id, partition.replica_directory_id).ok(),
        epoch: epoch(partition.current_leader_epoch)?,
        position: position(partition.fetch_offset, partition.last_fetched_epoch)?,
        high_watermark: partition.high_watermark,
        wait_max_ms: i64::from(request.max_wait_ms.max(0)),
        bytes_max: partition.partition_max_bytes.min(request.max_bytes).max(0),
    })
}

pub fn fetch_snapshot_request<'a>(
    border: &'a Border,
    fetch: &message::FetchSnapshotRequest,
) -> FetchSnapshotRequest<'a> {
    let partition = FetchSnapshotRequestPartition {
        partition: METADATA_PARTITION,
        current_leader_epoch: fetch.epoch.0,
        snapshot_id: SnapshotId { end_offset: fetch.id.offset, epoch: fetch.id.epoch.0 },
        position: fetch.position,
        replica_directory_id: fetch.replica.map_or(Uuid::ZERO, |key| key.directory),
    };
    FetchSnapshotRequest {
        cluster_id: Some((&*border.cluster_id).into()),
        replica_id: fetch.replica.map_or(-1, |key| key.id.0),
        max_bytes: fetch.bytes_max,
        topics: vec![FetchSnapshotRequestTopic { name: METADATA_TOPIC.into(), partitions: vec![partition] }],
    }
}

/// Errors: `InconsistentClusterId`, `InvalidRequest`, `PositionOutOfRange`.
pub fn read_fetch_snapshot(
    border: &Border,
    request: &FetchSnapshotRequest<'_>,
) -> Result<message::FetchSnapshotRequest, Refusal> {
    border.check_cluster(request.cluster_id.as_deref())?;
    let topic = only(&request.topics).filter(|topic| topic.name == METADATA_TOPIC);
    let partition = topic.and_then(|topic| only(&topic.partitions)).ok_or(Refusal::InvalidRequest)?;
    if partition.position < 0 {
        return Err(Refusal::PositionOutOfRange);
    }
    Ok(message::FetchSnapshotRequest {
        replica: replica(request.replica_id, partition.replica_directory_id).ok(),
        epoch: epoch(partition.current_leader_epoch)?,
        id: position(partition.snapshot_id.end_offset, partition.snapshot_id.epoch)?,
        position: partition.position,
        bytes_max: request.max_bytes.max(0),
    })
}
