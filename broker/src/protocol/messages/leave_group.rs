//! Leaves a classic group (KIP-345).

use crate::protocol::codec::Str;

super::messages! {
    LeaveGroupRequest<'a> {
        group_id: Str<'a>,
        member_id: Str<'a> [..=2],
        members: Vec<MemberIdentity<'a>> [3..],
    }

    MemberIdentity<'a> {
        member_id: Str<'a> [3..],
        group_instance_id: Option<Str<'a>> [3..],
        reason: Option<Str<'a>> [5..],
    }

    LeaveGroupResponse<'a> {
        throttle_time_ms: i32 [1..],
        error_code: i16,
        members: Vec<MemberResponse<'a>> [3..],
    }

    MemberResponse<'a> {
        member_id: Str<'a> [3..],
        group_instance_id: Option<Str<'a>> [3..],
        error_code: i16 [3..],
    }
}
