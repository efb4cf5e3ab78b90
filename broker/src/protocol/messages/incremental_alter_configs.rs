//! Changes single values of configurations (KIP-339).

use crate::protocol::codec::Str;

super::messages! {
    IncrementalAlterConfigsRequest<'a> {
        resources: Vec<AlterConfigsResource<'a>>,
        validate_only: bool,
    }

    AlterConfigsResource<'a> {
        resource_type: i8,
        resource_name: Str<'a>,
        configs: Vec<AlterableConfig<'a>>,
    }

    AlterableConfig<'a> {
        name: Str<'a>,
        config_operation: i8,
        value: Option<Str<'a>>,
    }

    IncrementalAlterConfigsResponse<'a> {
        throttle_time_ms: i32,
        responses: Vec<AlterConfigsResourceResponse<'a>>,
    }

    AlterConfigsResourceResponse<'a> {
        error_code: i16,
        error_message: Option<Str<'a>>,
        resource_type: i8,
        resource_name: Str<'a>,
    }
}
