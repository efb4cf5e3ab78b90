//! DescribeQuorum's answer, from what the leader knows.

use super::{Border, METADATA_PARTITION, METADATA_TOPIC};
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_quorum::{
    DescribeQuorumNode, DescribeQuorumRequest, DescribeQuorumRequestTopic, DescribeQuorumResponse,
    DescribeQuorumResponsePartition, DescribeQuorumResponseTopic, Listener, ReplicaState,
};
use crate::raft::leading::{QuorumDescription, ReplicaDescription};

/// The answer of a node that leads (`quorum` is there) or does not. Only the metadata log's partition has a quorum: where
/// anything else is asked for, all of it is unknown.
pub fn describe_quorum_response<'a>(
    border: &'a Border,
    request: &DescribeQuorumRequest<'_>,
    quorum: Option<&QuorumDescription>,
) -> DescribeQuorumResponse<'a> {
    let asked = request.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |of| (topic, of)));
    let known = asked.map(|(topic, of)| topic.topic_name == METADATA_TOPIC && of.partition_index == METADATA_PARTITION);
    if !known.eq([true]) {
        return DescribeQuorumResponse { topics: unknown(request), ..DescribeQuorumResponse::default() };
    }
    let partition = quorum.map_or_else(|| failed(METADATA_PARTITION, ErrorCode::NotLeaderOrFollower), described);
    let nodes = if quorum.is_some() { nodes(border) } else { Vec::new() };
    let topic = DescribeQuorumResponseTopic { topic_name: METADATA_TOPIC.into(), partitions: vec![partition] };
    DescribeQuorumResponse { topics: vec![topic], nodes, ..DescribeQuorumResponse::default() }
}

fn unknown<'a>(request: &DescribeQuorumRequest<'_>) -> Vec<DescribeQuorumResponseTopic<'a>> {
    let topic = |asked: &DescribeQuorumRequestTopic<'_>| DescribeQuorumResponseTopic {
        topic_name: asked.topic_name.to_string().into(),
        partitions: asked
            .partitions
            .iter()
            .map(|of| failed(of.partition_index, ErrorCode::UnknownTopicOrPartition))
            .collect(),
    };
    request.topics.iter().map(topic).collect()
}

fn failed<'a>(partition_index: i32, error: ErrorCode) -> DescribeQuorumResponsePartition<'a> {
    DescribeQuorumResponsePartition {
        partition_index,
        error_code: error.code(),
        leader_id: -1,
        leader_epoch: -1,
        high_watermark: -1,
        ..DescribeQuorumResponsePartition::default()
    }
}

fn described<'a>(quorum: &QuorumDescription) -> DescribeQuorumResponsePartition<'a> {
    DescribeQuorumResponsePartition {
        partition_index: METADATA_PARTITION,
        leader_id: quorum.leader.0,
        leader_epoch: quorum.epoch.0,
        high_watermark: quorum.high_watermark,
        current_voters: quorum.voters.iter().map(replica).collect(),
        observers: quorum.observers.iter().map(replica).collect(),
        ..DescribeQuorumResponsePartition::default()
    }
}

fn replica(replica: &ReplicaDescription) -> ReplicaState {
    ReplicaState {
        replica_id: replica.key.id.0,
        replica_directory_id: replica.key.directory,
        log_end_offset: replica.log_end_offset.unwrap_or(-1),
        last_fetch_timestamp: replica.last_fetch_ms.unwrap_or(-1),
        last_caught_up_timestamp: replica.last_caught_up_ms.unwrap_or(-1),
    }
}

fn nodes(border: &Border) -> Vec<DescribeQuorumNode<'_>> {
    border
        .voters
        .iter()
        .map(|(id, at)| DescribeQuorumNode {
            node_id: id.0,
            listeners: vec![Listener { name: (&*border.listener).into(), host: (&*at.host).into(), port: at.port }],
        })
        .collect()
}
