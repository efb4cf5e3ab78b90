//! Deletes empty groups (KIP-229).

use crate::protocol::codec::Str;

super::messages! {
    DeleteGroupsRequest<'a> {
        groups_names: Vec<Str<'a>>,
    }

    DeleteGroupsResponse<'a> {
        throttle_time_ms: i32,
        results: Vec<DeletableGroupResult<'a>>,
    }

    DeletableGroupResult<'a> {
        group_id: Str<'a>,
        error_code: i16,
    }
}
