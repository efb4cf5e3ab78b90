//! Joins a classic group (KIP-62, KIP-345, KIP-394, KIP-800).

use crate::protocol::codec::{Blob, Str};

super::messages! {
    JoinGroupRequest<'a> {
        group_id: Str<'a>,
        session_timeout_ms: i32,
        rebalance_timeout_ms: i32 [1..] = -1,
        member_id: Str<'a>,
        group_instance_id: Option<Str<'a>> [5..],
        protocol_type: Str<'a>,
        protocols: Vec<JoinGroupRequestProtocol<'a>>,
        reason: Option<Str<'a>> [8..],
    }

    JoinGroupRequestProtocol<'a> {
        name: Str<'a>,
        metadata: Blob<'a>,
    }

    JoinGroupResponse<'a> {
        throttle_time_ms: i32 [2..],
        error_code: i16,
        generation_id: i32 = -1,
        protocol_type: Option<Str<'a>> [7..],
        protocol_name: Option<Str<'a>> [null 7..],
        leader: Str<'a>,
        skip_assignment: bool [9..],
        member_id: Str<'a>,
        members: Vec<JoinGroupResponseMember<'a>>,
    }

    JoinGroupResponseMember<'a> {
        member_id: Str<'a>,
        group_instance_id: Option<Str<'a>> [5..],
        metadata: Blob<'a>,
    }
}
