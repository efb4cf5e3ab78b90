//! Reads a group's committed offsets (KIP-709).

use crate::protocol::codec::Str;

super::messages! {
    OffsetFetchRequest<'a> {
        group_id: Str<'a> [..=7],
        topics: Option<Vec<OffsetFetchRequestTopic<'a>>> [null 2.., ..=7],
        groups: Vec<OffsetFetchRequestGroup<'a>> [8..],
        require_stable: bool [7..],
    }

    OffsetFetchRequestTopic<'a> {
        name: Str<'a> [..=7],
        partition_indexes: Vec<i32> [..=7],
    }

    OffsetFetchRequestGroup<'a> {
        group_id: Str<'a> [8..],
        member_id: Option<Str<'a>> [9..],
        member_epoch: i32 [9..] = -1,
        topics: Option<Vec<OffsetFetchRequestTopics<'a>>> [8..],
    }

    OffsetFetchRequestTopics<'a> {
        name: Str<'a> [8..],
        partition_indexes: Vec<i32> [8..],
    }

    OffsetFetchResponse<'a> {
        throttle_time_ms: i32 [3..],
        topics: Vec<OffsetFetchResponseTopic<'a>> [..=7],
        error_code: i16 [2..=7],
        groups: Vec<OffsetFetchResponseGroup<'a>> [8..],
    }

    OffsetFetchResponseTopic<'a> {
        name: Str<'a> [..=7],
        partitions: Vec<OffsetFetchResponsePartition<'a>> [..=7],
    }

    OffsetFetchResponsePartition<'a> {
        partition_index: i32 [..=7],
        committed_offset: i64 [..=7],
        committed_leader_epoch: i32 [5..=7] = -1,
        metadata: Option<Str<'a>> [..=7],
        error_code: i16 [..=7],
    }

    OffsetFetchResponseGroup<'a> {
        group_id: Str<'a> [8..],
        topics: Vec<OffsetFetchResponseTopics<'a>> [8..],
        error_code: i16 [8..],
    }

    OffsetFetchResponseTopics<'a> {
        name: Str<'a> [8..],
        partitions: Vec<OffsetFetchResponsePartitions<'a>> [8..],
    }

    OffsetFetchResponsePartitions<'a> {
        partition_index: i32 [8..],
        committed_offset: i64 [8..],
        committed_leader_epoch: i32 [8..] = -1,
        metadata: Option<Str<'a>> [8..],
        error_code: i16 [8..],
    }
}
