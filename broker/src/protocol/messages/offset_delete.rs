//! Deletes a group's committed offsets (KIP-496).

use crate::protocol::codec::Str;

super::messages! {
    OffsetDeleteRequest<'a> {
        group_id: Str<'a>,
        topics: Vec<OffsetDeleteRequestTopic<'a>>,
    }

    OffsetDeleteRequestTopic<'a> {
        name: Str<'a>,
        partitions: Vec<OffsetDeleteRequestPartition>,
    }

    OffsetDeleteRequestPartition {
        partition_index: i32,
    }

    OffsetDeleteResponse<'a> {
        error_code: i16,
        throttle_time_ms: i32,
        topics: Vec<OffsetDeleteResponseTopic<'a>>,
    }

    OffsetDeleteResponseTopic<'a> {
        name: Str<'a>,
        partitions: Vec<OffsetDeleteResponsePartition>,
    }

    OffsetDeleteResponsePartition {
        partition_index: i32,
        error_code: i16,
    }
}
