//! Names the coordinators of groups and transactions (KIP-699).

use crate::protocol::codec::Str;

super::messages! {
    FindCoordinatorRequest<'a> {
        key: Str<'a> [..=3],
        key_type: i8 [1..],
        coordinator_keys: Vec<Str<'a>> [4..],
    }

    FindCoordinatorResponse<'a> {
        throttle_time_ms: i32 [1..],
        error_code: i16 [..=3],
        error_message: Option<Str<'a>> [1..=3],
        node_id: i32 [..=3],
        host: Str<'a> [..=3],
        port: i32 [..=3],
        coordinators: Vec<Coordinator<'a>> [4..],
    }

    Coordinator<'a> {
        key: Str<'a> [4..],
        node_id: i32 [4..],
        host: Str<'a> [4..],
        port: i32 [4..],
        error_code: i16 [4..],
        error_message: Option<Str<'a>> [4..],
    }
}
