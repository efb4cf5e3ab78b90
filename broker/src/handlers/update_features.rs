//! UpdateFeatures: changes the levels of the cluster's features (KIP-584).
//!
//! Behaviour: all features of a request are changed, or none. `timeout_ms` is not waited for.
//! Version notes: since 1 a change says what it may do, and may be only tried (KIP-778); a version 0 that allows a downgrade
//! means a safe one (Kafka refuses it all the same). Up to 1 each feature is answered by name.

use super::Context;
use crate::controller::client::ControllerClient;
use crate::controller::request::{FeatureUpdate, Outcome, Refusal, UpdateFeatures, UpgradeType};
use crate::protocol::messages::update_features::*;
use crate::protocol::{ErrorCode, Str};

const UPGRADE_TYPES_SINCE: i16 = 1;
/// What stands before the reason for which one feature, and with it the request, was refused.
const OF_ONE_FEATURE: &str = "The update failed for all features since the following feature had an error: ";

pub async fn handle<'a>(
    controller: &ControllerClient,
    context: &Context<'_>,
    request: UpdateFeaturesRequest<'a>,
) -> UpdateFeaturesResponse<'a> {
    let outcome = match wanted(context.version, &request) {
        Ok(wanted) => controller.update_features(wanted).await.flatten(),
        Err(refusal) => Err(refusal),
    };
    response(request, outcome)
}

fn wanted(version: i16, request: &UpdateFeaturesRequest<'_>) -> Result<UpdateFeatures, Refusal> {
    let update = |key: &FeatureUpdateKey<'_>| {
        let (name, level) = (key.feature.to_string(), key.max_version_level);
        Ok(FeatureUpdate { name, level, upgrade: upgrade(version, key)? })
    };
    let updates = request.feature_updates.iter().map(update).collect::<Result<_, Refusal>>()?;
    Ok(UpdateFeatures { updates, validate_only: request.validate_only })
}

fn upgrade(version: i16, key: &FeatureUpdateKey<'_>) -> Result<UpgradeType, Refusal> {
    match (version < UPGRADE_TYPES_SINCE, key.allow_downgrade, key.upgrade_type) {
        (true, false, _) | (false, _, 1) => Ok(UpgradeType::Upgrade),
        (true, true, _) | (false, _, 2) => Ok(UpgradeType::SafeDowngrade),
        (false, _, 3) => Ok(UpgradeType::UnsafeDowngrade),
        _ => {
            let FeatureUpdateKey { feature, max_version_level: level, .. } = key;
            let reason = "The controller does not support the given upgrade type.";
            let text = format!("Invalid update version {level} for feature {feature}. {reason}");
            Err(Refusal::new(ErrorCode::InvalidUpdateVersion, text))
        }
    }
}

/// A request that was refused says nothing of single features: none of them was changed.
fn response<'a>(request: UpdateFeaturesRequest<'a>, outcome: Outcome<()>) -> UpdateFeaturesResponse<'a> {
    match outcome {
        Ok(()) => {
            let done =
                |key: FeatureUpdateKey<'a>| UpdatableFeatureResult { feature: key.feature, ..Default::default() };
            let results = request.feature_updates.into_iter().map(done).collect();
            UpdateFeaturesResponse { results, ..Default::default() }
        }
        Err(Refusal { code, message }) => {
            let of_one = if code == ErrorCode::InvalidUpdateVersion { OF_ONE_FEATURE } else { "" };
            let error_message = message.map(|reason| Str::Owned(format!("{of_one}{reason}")));
            UpdateFeaturesResponse { error_code: code.code(), error_message, ..Default::default() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(allow_downgrade: bool, upgrade_type: i8) -> FeatureUpdateKey<'static> {
        FeatureUpdateKey { feature: "f".into(), max_version_level: 5, allow_downgrade, upgrade_type }
    }

    #[test]
    fn each_version_says_in_its_own_way_what_a_change_may_do() {
        use UpgradeType::*;
        for (version, allow_downgrade, upgrade_type, meant) in [
            (0, false, 1, Upgrade),
            (0, true, 1, SafeDowngrade),
            (1, false, 1, Upgrade),
            (1, false, 2, SafeDowngrade),
            (2, false, 3, UnsafeDowngrade),
        ] {
            assert_eq!(upgrade(version, &key(allow_downgrade, upgrade_type)), Ok(meant), "{version} {upgrade_type}");
        }
        assert_eq!(upgrade(2, &key(false, 0)).unwrap_err().code, ErrorCode::InvalidUpdateVersion);
        assert_eq!(upgrade(2, &key(false, 4)).unwrap_err().code, ErrorCode::InvalidUpdateVersion);
    }

    #[test]
    fn one_wrong_update_refuses_all() {
        let feature_updates = vec![key(false, 1), key(false, 9)];
        let request = UpdateFeaturesRequest { feature_updates, validate_only: true, ..Default::default() };
        assert!(wanted(1, &request).is_err());
    }

    #[test]
    fn features_are_named_only_where_they_were_changed() {
        let request = || UpdateFeaturesRequest { feature_updates: vec![key(false, 1)], ..Default::default() };
        let done = response(request(), Ok(()));
        assert_eq!((done.error_code, done.results[0].error_code, &*done.results[0].feature), (0, 0, "f"));
        let refused = response(request(), Err(Refusal::new(ErrorCode::InvalidUpdateVersion, "no")));
        assert_eq!(refused.error_code, 95);
        assert_eq!(refused.error_message.as_deref(), Some(&*format!("{OF_ONE_FEATURE}no")));
        assert!(refused.results.is_empty());
        let elsewhere = response(request(), Err(Refusal::new(ErrorCode::NotController, "no")));
        assert_eq!(elsewhere.error_message.as_deref(), Some("no"));
    }
}
