//! Changes the levels of the cluster's features (KIP-584, KIP-778).

use crate::protocol::codec::Str;

super::messages! {
    UpdateFeaturesRequest<'a> {
        timeout_ms: i32 = 60000,
        feature_updates: Vec<FeatureUpdateKey<'a>>,
        validate_only: bool [1..],
    }

    FeatureUpdateKey<'a> {
        feature: Str<'a>,
        max_version_level: i16,
        allow_downgrade: bool [..=0],
        upgrade_type: i8 [1..] = 1,
    }

    UpdateFeaturesResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
        results: Vec<UpdatableFeatureResult<'a>> [..=1],
    }

    UpdatableFeatureResult<'a> {
        feature: Str<'a>,
        error_code: i16,
        error_message: Option<Str<'a>>,
    }
}
