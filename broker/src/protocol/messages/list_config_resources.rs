//! Lists the resources that have configurations (KIP-1142).

use crate::protocol::codec::Str;

super::messages! {
    ListConfigResourcesRequest {
        resource_types: Vec<i8> [1..],
    }

    ListConfigResourcesResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16,
        config_resources: Vec<ConfigResource<'a>>,
    }

    ConfigResource<'a> {
        resource_name: Str<'a>,
        resource_type: i8 [1..] = 16,
    }
}
