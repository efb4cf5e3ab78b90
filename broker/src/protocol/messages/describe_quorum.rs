//! Describes the metadata quorum: its leader, and how far each replica is (KIP-595, KIP-836, KIP-853).

use crate::protocol::codec::{Str, Uuid};

super::messages! {
    DescribeQuorumRequest<'a> {
        topics: Vec<DescribeQuorumRequestTopic<'a>>,
    }

    DescribeQuorumRequestTopic<'a> {
        topic_name: Str<'a>,
        partitions: Vec<DescribeQuorumRequestPartition>,
    }

    DescribeQuorumRequestPartition {
        partition_index: i32,
    }

    DescribeQuorumResponse<'a> {
        error_code: i16,
        error_message: Option<Str<'a>> [2..],
        topics: Vec<DescribeQuorumResponseTopic<'a>>,
        nodes: Vec<DescribeQuorumNode<'a>> [2..],
    }

    DescribeQuorumResponseTopic<'a> {
        topic_name: Str<'a>,
        partitions: Vec<DescribeQuorumResponsePartition<'a>>,
    }

    DescribeQuorumResponsePartition<'a> {
        partition_index: i32,
        error_code: i16,
        error_message: Option<Str<'a>> [2..],
        leader_id: i32,
        leader_epoch: i32,
        high_watermark: i64,
        current_voters: Vec<ReplicaState>,
        observers: Vec<ReplicaState>,
    }

    ReplicaState {
        replica_id: i32,
        replica_directory_id: Uuid [2..],
        log_end_offset: i64,
        last_fetch_timestamp: i64 [1..] = -1,
        last_caught_up_timestamp: i64 [1..] = -1,
    }

    DescribeQuorumNode<'a> {
        node_id: i32 [2..],
        listeners: Vec<Listener<'a>> [2..],
    }

    Listener<'a> {
        name: Str<'a> [2..],
        host: Str<'a> [2..],
        port: u16 [2..],
    }
}
