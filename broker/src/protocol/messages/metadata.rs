//! Names the brokers, topics and leaders.

use crate::protocol::codec::{Str, Uuid};

super::messages! {
    MetadataRequest<'a> {
        topics: Option<Vec<MetadataRequestTopic<'a>>> [null 1..],
        allow_auto_topic_creation: bool [4..] = true,
        include_cluster_authorized_operations: bool [8..=10],
        include_topic_authorized_operations: bool [8..],
    }

    MetadataRequestTopic<'a> {
        topic_id: Uuid [10..],
        name: Option<Str<'a>> [null 10..],
    }

    MetadataResponse<'a> {
        throttle_time_ms: i32 [3..],
        brokers: Vec<MetadataResponseBroker<'a>>,
        cluster_id: Option<Str<'a>> [2..],
        controller_id: i32 [1..] = -1,
        topics: Vec<MetadataResponseTopic<'a>>,
        cluster_authorized_operations: i32 [8..=10] = -2147483648,
        error_code: i16 [13..],
    }

    MetadataResponseBroker<'a> {
        node_id: i32,
        host: Str<'a>,
        port: i32,
        rack: Option<Str<'a>> [1..],
    }

    MetadataResponseTopic<'a> {
        error_code: i16,
        name: Option<Str<'a>> [null 12..],
        topic_id: Uuid [10..],
        is_internal: bool [1..],
        partitions: Vec<MetadataResponsePartition>,
        topic_authorized_operations: i32 [8..] = -2147483648,
    }

    MetadataResponsePartition {
        error_code: i16,
        partition_index: i32,
        leader_id: i32,
        leader_epoch: i32 [7..] = -1,
        replica_nodes: Vec<i32>,
        isr_nodes: Vec<i32>,
        offline_replicas: Vec<i32> [5..],
    }
}
