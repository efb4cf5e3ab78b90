//! The records of `__consumer_offsets`: what groups have committed, and the groups themselves.

use crate::protocol::codec::{Blob, Str, Uuid};

super::messages! {
    OffsetCommitKey<'a> {
        group: Str<'a>,
        topic: Str<'a>,
        partition: i32,
    }

    OffsetCommitValue<'a> {
        offset: i64,
        leader_epoch: i32 [3..] = -1,
        metadata: Str<'a>,
        commit_timestamp: i64,
        expire_timestamp: i64 [1..=1] = -1,
        topic_id: Uuid [tag 0, 4..],
    }

    GroupMetadataKey<'a> {
        group: Str<'a>,
    }

    GroupMetadataValue<'a> {
        protocol_type: Str<'a>,
        generation: i32,
        protocol: Option<Str<'a>>,
        leader: Option<Str<'a>>,
        current_state_timestamp: i64 [2..] = -1,
        members: Vec<MemberMetadata<'a>>,
    }

    MemberMetadata<'a> {
        member_id: Str<'a>,
        group_instance_id: Option<Str<'a>> [3..],
        client_id: Str<'a>,
        client_host: Str<'a>,
        rebalance_timeout: i32 [1..] = -1,
        session_timeout: i32,
        subscription: Blob<'a>,
        assignment: Blob<'a>,
    }
}
