//! Finds where a leader epoch ended (KIP-320).

use crate::protocol::codec::Str;

super::messages! {
    OffsetForLeaderEpochRequest<'a> {
        replica_id: i32 [3..] = -2,
        topics: Vec<OffsetForLeaderTopic<'a>>,
    }

    OffsetForLeaderTopic<'a> {
        topic: Str<'a>,
        partitions: Vec<OffsetForLeaderPartition>,
    }

    OffsetForLeaderPartition {
        partition: i32,
        current_leader_epoch: i32 = -1,
        leader_epoch: i32,
    }

    OffsetForLeaderEpochResponse<'a> {
        throttle_time_ms: i32,
        topics: Vec<OffsetForLeaderTopicResult<'a>>,
    }

    OffsetForLeaderTopicResult<'a> {
        topic: Str<'a>,
        partitions: Vec<EpochEndOffset>,
    }

    EpochEndOffset {
        error_code: i16,
        partition: i32,
        leader_epoch: i32 = -1,
        end_offset: i64 = -1,
    }
}
