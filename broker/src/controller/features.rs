//! Levels of the features that the whole cluster works with (KIP-584, KIP-778, KIP-1022). The checks, their order and their
//! texts are Kafka's.

use super::config_changes::{ELR_VERSION, MIN_INSYNC_REPLICAS};
use super::image::{METADATA_VERSION, ResourceType};
use super::leadership::level;
use super::request::{FeatureUpdate, Outcome, Refusal, UpdateFeatures, UpgradeType};
use super::state::{Controller, Records};
use super::topics::config_record;
use super::{SUPPORTED_FEATURES, topics};
use crate::protocol::ErrorCode;
use crate::protocol::messages::metadata_records::{ClearElrRecord, FeatureLevelRecord, PartitionChangeRecord};

/// The levels of metadata.version that changed what records hold (`MetadataVersion.didMetadataChange`): there is no way back
/// below one of them.
const CHANGED_METADATA: [i16; 7] = [8, 11, 13, 14, 15, 17, 23];

impl Controller {
    pub(super) fn update_features(&self, request: &UpdateFeatures) -> Outcome<Records> {
        if !topics::repeated(request.updates.iter().map(|update| update.name.as_str())).is_empty() {
            return Err(Refusal::new(ErrorCode::InvalidRequest, "Each feature must appear at most once."));
        }
        let mut records = Records::new();
        for update in &request.updates {
            self.check_feature(update, &request.updates)?;
            records.extend(self.feature_records(update));
        }
        Ok(if request.validate_only { Records::new() } else { records })
    }

    fn check_feature(&self, update: &FeatureUpdate, all: &[FeatureUpdate]) -> Outcome<()> {
        let FeatureUpdate { name, level, upgrade } = update;
        let invalid = |reason: String| {
            let text = format!("Invalid update version {level} for feature {name}. {reason}");
            Err(Refusal::new(ErrorCode::InvalidUpdateVersion, text))
        };
        let current = self.image.feature_level(name);
        if *level < 0 {
            return invalid("A feature version cannot be less than 0.".into());
        }
        if let Some(reason) = self.unsupported(name, *level) {
            return invalid(reason);
        }
        if *level < current && *upgrade == UpgradeType::Upgrade {
            let text = "Can't downgrade the version of this feature without setting the upgrade type to either safe or \
                        unsafe downgrade.";
            return invalid(text.into());
        }
        if *level > current && *upgrade != UpgradeType::Upgrade {
            return invalid("Can't downgrade to a newer version.".into());
        }
        match name.as_str() {
            METADATA_VERSION => self.check_metadata_version(update, current),
            ELR_VERSION => {
                let proposed = all.iter().find(|update| update.name == METADATA_VERSION);
                let metadata_version = proposed.map_or(self.metadata_version(), |update| update.level);
                if *level > 0 && metadata_version < level::ELR {
                    let needs = format!("it depends on {METADATA_VERSION} level {}", level::ELR);
                    return invalid(format!("{name} could not be set to {level} because {needs}"));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Why this node or a broker cannot work with the level.
    fn unsupported(&self, name: &str, level: i16) -> Option<String> {
        let reason = |who: String, levels: Option<(i16, i16)>| match levels {
            Some((min, max)) if (min..=max).contains(&level) => None,
            // Every node can do without a feature.
            None if level == 0 => None,
            None | Some((_, 0)) => Some(format!("{who} does not support this feature.")),
            Some((min, max)) => Some(format!("{who} only supports versions {min}-{max}")),
        };
        let own = SUPPORTED_FEATURES.iter().find(|(feature, _)| *feature == name);
        let own = own.map(|(_, levels)| (*levels.start(), *levels.end()));
        let nodes = self.image.brokers.values().map(|broker| ("Broker", broker.id, &broker.features));
        let controllers = self.image.controllers.values().map(|node| ("Controller", node.id, &node.features));
        let mut nodes = nodes.chain(controllers).map(|(kind, id, features)| {
            let feature = features.iter().find(|feature| feature.name == name);
            (format!("{kind} {id}"), feature.map(|feature| (feature.min, feature.max)))
        });
        reason(format!("Local controller {}", self.settings.node_id), own)
            .or_else(|| nodes.find_map(|(who, levels)| reason(who, levels)))
    }

    fn check_metadata_version(&self, update: &FeatureUpdate, current: i16) -> Outcome<()> {
        let level = update.level;
        let lost = CHANGED_METADATA.iter().any(|changed| level < *changed && *changed <= current);
        if !lost {
            return Ok(());
        }
        let reason = match update.upgrade {
            UpgradeType::UnsafeDowngrade => "Unsafe metadata downgrade is not supported in this version.",
            _ => "Refusing to perform the requested downgrade because it might delete metadata information.",
        };
        let text = format!("Invalid metadata.version {level}. {reason}");
        Err(Refusal::new(ErrorCode::InvalidUpdateVersion, text))
    }

    fn feature_records(&self, update: &FeatureUpdate) -> Records {
        let FeatureUpdate { name, level, .. } = update;
        let record = FeatureLevelRecord { name: name.clone().into(), feature_level: *level };
        match (name == ELR_VERSION, self.elr_enabled(), *level > 0) {
            (true, false, true) => [vec![record.into()], self.one_min_insync_replicas()].concat(),
            (true, true, false) => [self.eligible_in_sync(), vec![record.into()]].concat(),
            _ => vec![record.into()],
        }
    }

    /// Makes `min.insync.replicas` the same on all brokers, and known to the controller: what is eligible follows from it.
    fn one_min_insync_replicas(&self) -> Records {
        let record =
            |broker: &str, value: Option<&str>| config_record(ResourceType::Broker, broker, MIN_INSYNC_REPLICAS, value);
        let mut records = Records::new();
        if !self.image.configs.default_broker().contains_key(MIN_INSYNC_REPLICAS) {
            records.push(record("", Some(&self.settings.min_insync_replicas.to_string())));
        }
        let brokers = self.image.configs.resources(ResourceType::Broker);
        let own = brokers.filter(|(name, configs)| !name.is_empty() && configs.contains_key(MIN_INSYNC_REPLICAS));
        records.extend(own.map(|(name, _)| record(name, None)));
        records
    }

    /// Without the feature the ISR alone says who may lead: where it is empty, those that are eligible become it.
    fn eligible_in_sync(&self) -> Records {
        let mut records = Records::new();
        for topic in self.image.topics.iter() {
            let empty = (0..).zip(&topic.partitions).filter(|(_, partition)| partition.isr.is_empty());
            records.extend(empty.map(|(partition_id, partition)| {
                let all = [partition.elr(), partition.last_known_elr(), &partition.replicas];
                let isr = all.into_iter().find(|replicas| !replicas.is_empty()).map(<[i32]>::to_vec);
                PartitionChangeRecord { topic_id: topic.id, partition_id, isr, ..Default::default() }.into()
            }));
        }
        records.push(ClearElrRecord { topic_name: "".into() }.into());
        records
    }
}
