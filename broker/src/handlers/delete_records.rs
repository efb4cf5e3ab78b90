//! DeleteRecords: moves the start of partitions forward (KIP-107).
//!
//! Behaviour: -1 means up to the high watermark. What lies before the new start can no longer be read; its segments are
//! deleted by the next retention check. Topics that are only compacted refuse (POLICY_VIOLATION), since their start is
//! not theirs to move.

use crate::partition::Partitions;
use crate::protocol::ErrorCode;
use crate::protocol::messages::delete_records::*;

pub fn handle<'a>(partitions: &Partitions, request: DeleteRecordsRequest<'a>) -> DeleteRecordsResponse<'a> {
    let topic = |topic: DeleteRecordsTopic<'a>| DeleteRecordsTopicResult {
        partitions: topic.partitions.iter().map(|wanted| answer(partitions, &topic.name, wanted)).collect(),
        name: topic.name,
    };
    DeleteRecordsResponse { throttle_time_ms: 0, topics: request.topics.into_iter().map(topic).collect() }
}

fn answer(partitions: &Partitions, topic: &str, wanted: &DeleteRecordsPartition) -> DeleteRecordsPartitionResult {
    let (code, low_watermark) = match delete(partitions, topic, wanted) {
        Ok(low_watermark) => (ErrorCode::None, low_watermark),
        Err(code) => (code, -1),
    };
    DeleteRecordsPartitionResult { partition_index: wanted.partition_index, low_watermark, error_code: code.code() }
}

fn delete(partitions: &Partitions, topic: &str, wanted: &DeleteRecordsPartition) -> Result<i64, ErrorCode> {
    if super::INTERNAL_TOPICS.contains(&topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let partition = partitions.partition(topic, wanted.partition_index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    if partition.log(|log| !log.config().cleanup_policy.delete).unwrap_or(false) {
        return Err(ErrorCode::PolicyViolation);
    }
    partition.delete_records_before(wanted.offset).map_err(|error| error.code())
}
