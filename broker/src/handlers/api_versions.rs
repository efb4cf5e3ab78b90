//! ApiVersions: which APIs and versions work here.
//!
//! Behaviour: a request in an unknown version is answered in version 0 with UNSUPPORTED_VERSION and the versions of this
//! API itself, so that the client can ask again (KIP-511). A client that names itself badly gets INVALID_REQUEST.
//! Version notes: since 3 the client's software is named (KIP-511), and the cluster's features (KIP-584);
//! before 4 without those that can be at level 0, which older clients take for an error (KAFKA-17011).

use crate::controller::MetadataImage;
use crate::protocol::messages::api_versions::*;
use crate::protocol::{ApiKey, ErrorCode, Str};

/// `answered` is which APIs there are on the listener that is asked.
pub fn handle(
    image: &MetadataImage,
    answered: impl Fn(ApiKey) -> bool,
    version: i16,
    request: ApiVersionsRequest<'_>,
) -> ApiVersionsResponse<'static> {
    if version >= 3 && !(is_name(&request.client_software_name) && is_name(&request.client_software_version)) {
        return ApiVersionsResponse { error_code: ErrorCode::InvalidRequest.code(), ..Default::default() };
    }
    ApiVersionsResponse {
        api_keys: ApiKey::ALL.iter().copied().filter(|api| answered(*api)).map(advertise).collect(),
        supported_features: crate::controller::SUPPORTED_FEATURES
            .iter()
            .filter(|(_, versions)| version >= 4 || *versions.start() > 0)
            .map(|(name, versions)| SupportedFeatureKey {
                name: Str::Borrowed(name),
                min_version: *versions.start(),
                max_version: *versions.end(),
            })
            .collect(),
        finalized_features_epoch: image.applied.end_offset - 1,
        finalized_features: image
            .features
            .iter()
            .map(|(name, level)| FinalizedFeatureKey {
                name: Str::Owned(name.clone()),
                max_version_level: *level,
                min_version_level: *level,
            })
            .collect(),
        ..Default::default()
    }
}

/// The answer to a request in a version that does not exist, to be encoded in version 0.
pub fn unsupported_version() -> ApiVersionsResponse<'static> {
    ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: vec![advertise(ApiKey::ApiVersions)],
        ..Default::default()
    }
}

fn advertise(api: ApiKey) -> ApiVersion {
    let versions = api.versions();
    ApiVersion { api_key: api.code(), min_version: *versions.start(), max_version: *versions.end() }
}

/// Kafka's rule for the name and version of a client's software: letters and digits, and dots and dashes between them.
fn is_name(text: &str) -> bool {
    let alphanumeric = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    alphanumeric(text.as_bytes().first())
        && alphanumeric(text.as_bytes().last())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_names_follow_kafkas_rule() {
        for good in ["apache-kafka-java", "4.1.0", "a", "librdkafka"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "-a", "a.", "a b", "a_b"] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
