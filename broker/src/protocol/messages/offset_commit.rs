//! Commits a group's offsets.

use crate::protocol::codec::Str;

super::messages! {
    OffsetCommitRequest<'a> {
        group_id: Str<'a>,
        generation_id_or_member_epoch: i32 = -1,
        member_id: Str<'a>,
        group_instance_id: Option<Str<'a>> [7..],
        retention_time_ms: i64 [..=4] = -1,
        topics: Vec<OffsetCommitRequestTopic<'a>>,
    }

    OffsetCommitRequestTopic<'a> {
        name: Str<'a>,
        partitions: Vec<OffsetCommitRequestPartition<'a>>,
    }

    OffsetCommitRequestPartition<'a> {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32 [6..] = -1,
        committed_metadata: Option<Str<'a>>,
    }

    OffsetCommitResponse<'a> {
        throttle_time_ms: i32 [3..],
        topics: Vec<OffsetCommitResponseTopic<'a>>,
    }

    OffsetCommitResponseTopic<'a> {
        name: Str<'a>,
        partitions: Vec<OffsetCommitResponsePartition>,
    }

    OffsetCommitResponsePartition {
        partition_index: i32,
        error_code: i16,
    }
}
