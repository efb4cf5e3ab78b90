//! Lists groups (KIP-518, KIP-848).

use crate::protocol::codec::Str;

super::messages! {
    ListGroupsRequest<'a> {
        states_filter: Vec<Str<'a>> [4..],
        types_filter: Vec<Str<'a>> [5..],
    }

    ListGroupsResponse<'a> {
        throttle_time_ms: i32 [1..],
        error_code: i16,
        groups: Vec<ListedGroup<'a>>,
    }

    ListedGroup<'a> {
        group_id: Str<'a>,
        protocol_type: Str<'a>,
        group_state: Str<'a> [4..],
        group_type: Str<'a> [5..],
    }
}
