//! Moves the start of partitions forward (KIP-107).

use crate::protocol::codec::Str;

super::messages! {
    DeleteRecordsRequest<'a> {
        topics: Vec<DeleteRecordsTopic<'a>>,
        timeout_ms: i32,
    }

    DeleteRecordsTopic<'a> {
        name: Str<'a>,
        partitions: Vec<DeleteRecordsPartition>,
    }

    DeleteRecordsPartition {
        partition_index: i32,
        offset: i64,
    }

    DeleteRecordsResponse<'a> {
        throttle_time_ms: i32,
        topics: Vec<DeleteRecordsTopicResult<'a>>,
    }

    DeleteRecordsTopicResult<'a> {
        name: Str<'a>,
        partitions: Vec<DeleteRecordsPartitionResult>,
    }

    DeleteRecordsPartitionResult {
        partition_index: i32,
        low_watermark: i64,
        error_code: i16,
    }
}
