//! Keeps a member of a classic group alive.

use crate::protocol::codec::Str;

super::messages! {
    HeartbeatRequest<'a> {
        group_id: Str<'a>,
        generation_id: i32,
        member_id: Str<'a>,
        group_instance_id: Option<Str<'a>> [3..],
    }

    HeartbeatResponse {
        throttle_time_ms: i32 [1..],
        error_code: i16,
    }
}
