//! Tells which APIs and versions work here (KIP-35, KIP-511, KIP-584).

use crate::protocol::codec::Str;

super::messages! {
    ApiVersionsRequest<'a> {
        client_software_name: Str<'a> [3..],
        client_software_version: Str<'a> [3..],
    }

    ApiVersionsResponse<'a> {
        error_code: i16,
        api_keys: Vec<ApiVersion>,
        throttle_time_ms: i32 [1..],
        supported_features: Vec<SupportedFeatureKey<'a>> [tag 0, 3..],
        finalized_features_epoch: i64 [tag 1, 3..] = -1,
        finalized_features: Vec<FinalizedFeatureKey<'a>> [tag 2, 3..],
        zk_migration_ready: bool [tag 3, 3..],
    }

    ApiVersion {
        api_key: i16,
        min_version: i16,
        max_version: i16,
    }

    SupportedFeatureKey<'a> {
        name: Str<'a> [3..],
        min_version: i16 [3..],
        max_version: i16 [3..],
    }

    FinalizedFeatureKey<'a> {
        name: Str<'a> [3..],
        max_version_level: i16 [3..],
        min_version_level: i16 [3..],
    }
}
