//! ListOffsets: the offset at or behind a timestamp, or at a named place.
//!
//! Behaviour: -1 is the end that the isolation level may read, -2 the start, -3 the record with the largest timestamp
//! (KIP-734), -4 the start of what lies on the broker's own disks, -5 the end of what lies in remote storage, of which
//! there is none. A timestamp behind all records gives offset -1.
//! Version notes: leader epochs since 4 (KIP-320); -3 since 7, -4 since 8, -5 since 9; 10 adds a timeout for remote
//! storage.

use super::Context;
use crate::log::Log;
use crate::partition::{Isolation, PartitionError, Partitions, Progress};
use crate::protocol::ErrorCode;
use crate::protocol::messages::list_offsets::*;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const OFFSET_NOT_AVAILABLE_SINCE: i16 = 5;
const NONE: i64 = -1;
const NO_EPOCH: i32 = -1;

/// An offset, its timestamp, and the leader epoch it was written in.
type Found = (i64, i64, i32);
const NOTHING: Found = (NONE, NONE, NO_EPOCH);

pub fn handle<'a>(
    partitions: &Partitions,
    context: &Context<'_>,
    request: ListOffsetsRequest<'a>,
) -> ListOffsetsResponse<'a> {
    let isolation = if request.isolation_level == 1 { Isolation::ReadCommitted } else { Isolation::ReadUncommitted };
    let topic = |topic: ListOffsetsTopic<'a>| ListOffsetsTopicResponse {
        partitions: topic
            .partitions
            .iter()
            .map(|wanted| answer(wanted, find(partitions, context.version, &topic.name, wanted, isolation)))
            .collect(),
        name: topic.name,
    };
    ListOffsetsResponse { throttle_time_ms: 0, topics: request.topics.into_iter().map(topic).collect() }
}

fn answer(wanted: &ListOffsetsPartition, found: Result<Found, ErrorCode>) -> ListOffsetsPartitionResponse {
    let (error_code, (offset, timestamp, leader_epoch)) = match found {
        Ok(found) => (ErrorCode::None, found),
        Err(code) => (code, NOTHING),
    };
    ListOffsetsPartitionResponse {
        partition_index: wanted.partition_index,
        error_code: error_code.code(),
        timestamp,
        offset,
        leader_epoch,
    }
}

fn find(
    partitions: &Partitions,
    version: i16,
    topic: &str,
    wanted: &ListOffsetsPartition,
    isolation: Isolation,
) -> Result<Found, ErrorCode> {
    if !is_supported(wanted.timestamp, version) {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let partition = partitions.find(topic, wanted.partition_index)?;
    let epoch = wanted.current_leader_epoch;
    let code = |error: PartitionError| match error.code() {
        // Older clients know no other code that makes them ask again.
        ErrorCode::OffsetNotAvailable if version < OFFSET_NOT_AVAILABLE_SINCE => ErrorCode::LeaderNotAvailable,
        code => code,
    };
    let needs_end = !matches!(wanted.timestamp, EARLIEST | EARLIEST_LOCAL | LATEST_TIERED);
    let progress = if needs_end { partition.committed_progress(epoch) } else { partition.progress(epoch) };
    let progress = progress.map_err(code)?;
    let found = partition.with_log(epoch, |log| look(log, wanted.timestamp, progress, isolation)).map_err(code)?;
    found.map_err(|_| ErrorCode::KafkaStorageError)
}

fn is_supported(timestamp: i64, version: i16) -> bool {
    match timestamp {
        MAX_TIMESTAMP => version >= 7,
        EARLIEST_LOCAL => version >= 8,
        LATEST_TIERED => version >= 9,
        timestamp => timestamp > LATEST_TIERED,
    }
}

fn look(log: &Log, timestamp: i64, progress: Progress, isolation: Isolation) -> std::io::Result<Found> {
    let end = if isolation == Isolation::ReadCommitted { progress.last_stable_offset } else { progress.high_watermark };
    let readable = |found: Option<Found>| found.filter(|(offset, _, _)| *offset < end).unwrap_or(NOTHING);
    let with_epoch = |(offset, timestamp)| (offset, timestamp, log.epoch_at(offset).unwrap_or(NO_EPOCH));
    Ok(match timestamp {
        LATEST => (end, NONE, log.latest_epoch().unwrap_or(NO_EPOCH)),
        EARLIEST | EARLIEST_LOCAL => {
            let start = log.log_start_offset();
            (start, NONE, log.epoch_at(start).unwrap_or(NO_EPOCH))
        }
        LATEST_TIERED => NOTHING,
        MAX_TIMESTAMP => readable(log.max_timestamp()?.map(with_epoch)),
        timestamp => readable(log.offset_for_timestamp(timestamp)?),
    })
}
