//! Describes classic groups (KIP-1043).

use crate::protocol::codec::{Blob, Str};

super::messages! {
    DescribeGroupsRequest<'a> {
        groups: Vec<Str<'a>>,
        include_authorized_operations: bool [3..],
    }

    DescribeGroupsResponse<'a> {
        throttle_time_ms: i32 [1..],
        groups: Vec<DescribedGroup<'a>>,
    }

    DescribedGroup<'a> {
        error_code: i16,
        error_message: Option<Str<'a>> [6..],
        group_id: Str<'a>,
        group_state: Str<'a>,
        protocol_type: Str<'a>,
        protocol_data: Str<'a>,
        members: Vec<DescribedGroupMember<'a>>,
        authorized_operations: i32 [3..] = -2147483648,
    }

    DescribedGroupMember<'a> {
        member_id: Str<'a>,
        group_instance_id: Option<Str<'a>> [4..],
        client_id: Str<'a>,
        client_host: Str<'a>,
        member_metadata: Blob<'a>,
        member_assignment: Blob<'a>,
    }
}
