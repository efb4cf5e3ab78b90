//! Hands the assignments of a generation to its members.

use crate::protocol::codec::{Blob, Str};

super::messages! {
    SyncGroupRequest<'a> {
        group_id: Str<'a>,
        generation_id: i32,
        member_id: Str<'a>,
        group_instance_id: Option<Str<'a>> [3..],
        protocol_type: Option<Str<'a>> [5..],
        protocol_name: Option<Str<'a>> [5..],
        assignments: Vec<SyncGroupRequestAssignment<'a>>,
    }

    SyncGroupRequestAssignment<'a> {
        member_id: Str<'a>,
        assignment: Blob<'a>,
    }

    SyncGroupResponse<'a> {
        throttle_time_ms: i32 [1..],
        error_code: i16,
        protocol_type: Option<Str<'a>> [5..],
        protocol_name: Option<Str<'a>> [5..],
        assignment: Blob<'a>,
    }
}
