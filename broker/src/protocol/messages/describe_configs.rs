//! Describes configurations (KIP-133, KIP-226, KIP-569).

use crate::protocol::codec::Str;

super::messages! {
    DescribeConfigsRequest<'a> {
        resources: Vec<DescribeConfigsResource<'a>>,
        include_synonyms: bool,
        include_documentation: bool [3..],
    }

    DescribeConfigsResource<'a> {
        resource_type: i8,
        resource_name: Str<'a>,
        configuration_keys: Option<Vec<Str<'a>>>,
    }

    DescribeConfigsResponse<'a> {
        throttle_time_ms: i32,
        results: Vec<DescribeConfigsResult<'a>>,
    }

    DescribeConfigsResult<'a> {
        error_code: i16,
        error_message: Option<Str<'a>>,
        resource_type: i8,
        resource_name: Str<'a>,
        configs: Vec<DescribeConfigsResourceResult<'a>>,
    }

    DescribeConfigsResourceResult<'a> {
        name: Str<'a>,
        value: Option<Str<'a>>,
        read_only: bool,
        config_source: i8 = -1,
        is_sensitive: bool,
        synonyms: Vec<DescribeConfigsSynonym<'a>>,
        config_type: i8 [3..],
        documentation: Option<Str<'a>> [3..],
    }

    DescribeConfigsSynonym<'a> {
        name: Str<'a>,
        value: Option<Str<'a>>,
        source: i8,
    }
}
