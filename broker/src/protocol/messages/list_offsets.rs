//! Finds offsets by timestamp (KIP-79).

use crate::protocol::codec::Str;

super::messages! {
    ListOffsetsRequest<'a> {
        replica_id: i32,
        isolation_level: i8 [2..],
        topics: Vec<ListOffsetsTopic<'a>>,
        timeout_ms: i32 [10..],
    }

    ListOffsetsTopic<'a> {
        name: Str<'a>,
        partitions: Vec<ListOffsetsPartition>,
    }

    ListOffsetsPartition {
        partition_index: i32,
        current_leader_epoch: i32 [4..] = -1,
        timestamp: i64,
    }

    ListOffsetsResponse<'a> {
        throttle_time_ms: i32 [2..],
        topics: Vec<ListOffsetsTopicResponse<'a>>,
    }

    ListOffsetsTopicResponse<'a> {
        name: Str<'a>,
        partitions: Vec<ListOffsetsPartitionResponse>,
    }

    ListOffsetsPartitionResponse {
        partition_index: i32,
        error_code: i16,
        timestamp: i64 = -1,
        offset: i64 = -1,
        leader_epoch: i32 [4..] = -1,
    }
}
