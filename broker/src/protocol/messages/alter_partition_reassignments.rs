//! Moves replicas to other brokers, or cancels that (KIP-455, KIP-860).

use crate::protocol::codec::Str;

super::messages! {
    AlterPartitionReassignmentsRequest<'a> {
        timeout_ms: i32 = 60000,
        allow_replication_factor_change: bool [1..] = true,
        topics: Vec<ReassignableTopic<'a>>,
    }

    ReassignableTopic<'a> {
        name: Str<'a>,
        partitions: Vec<ReassignablePartition>,
    }

    ReassignablePartition {
        partition_index: i32,
        replicas: Option<Vec<i32>>,
    }

    AlterPartitionReassignmentsResponse<'a> {
        throttle_time_ms: i32,
        allow_replication_factor_change: bool [1..] = true,
        error_code: i16,
        error_message: Option<Str<'a>>,
        responses: Vec<ReassignableTopicResponse<'a>>,
    }

    ReassignableTopicResponse<'a> {
        name: Str<'a>,
        partitions: Vec<ReassignablePartitionResponse<'a>>,
    }

    ReassignablePartitionResponse<'a> {
        partition_index: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
    }
}
