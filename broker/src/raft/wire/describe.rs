//! DescribeQuorum's answer, from what the leader knows.

use super::{Border, METADATA_PARTITION, METADATA_TOPIC};
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_quorum::{
    DescribeQuorumNode, DescribeQuorumRequest, DescribeQuorumResponse, DescribeQuorumResponsePartition,
    DescribeQuorumResponseTopic, Listener, ReplicaState,
};
use crate::raft::leading::{QuorumDescription, ReplicaDescription};

/// The answer of a node that leads (`quorum` is there) or does not. Only the metadata log's partition has a quorum.
pub fn describe_quorum_response<'a>(
    border: &'a Border,
    request: &DescribeQuorumRequest<'_>,
    quorum: Option<&QuorumDescription>,
) -> DescribeQuorumResponse<'a> {
    let asked =
        request.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |partition| (topic, partition)));
    let known = asked.map(|(topic, partition)| topic.topic_name == METADATA_TOPIC && partition.partition_index == 0);
    let partition = match quorum {
        _ if !known.eq([true]) => failed(ErrorCode::UnknownTopicOrPartition),
        None => failed(ErrorCode::NotLeaderOrFollower),
        Some(quorum) => described(quorum),
    };
    let nodes = if quorum.is_some() { nodes(border) } else { Vec::new() };
    let topic = DescribeQuorumResponseTopic { topic_name: METADATA_TOPIC.into(), partitions: vec![partition] };
    DescribeQuorumResponse { topics: vec![topic], nodes, ..DescribeQuorumResponse::default() }
}

fn failed<'a>(error: ErrorCode) -> DescribeQuorumResponsePartition<'a> {
    DescribeQuorumResponsePartition {
        partition_index: METADATA_PARTITION,
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
