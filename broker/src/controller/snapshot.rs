//! An image as records: what a snapshot of the metadata log holds (KIP-630), in the order of Apache Kafka's.
//!
//! Replaying the records into an empty image gives the same image, but for `applied`, which a snapshot has in its name
//! and header.

use super::image::{
    BrokerRegistration, ControllerRegistration, Endpoint, METADATA_VERSION, MetadataImage, PartitionRegistration,
    ResourceType, SupportedFeature,
};
use super::records::MetadataRecord;
use crate::protocol::Uuid;
use crate::protocol::messages::metadata_records::*;
use std::borrow::Cow;

impl MetadataImage {
    /// The records that make this image.
    pub fn records(&self) -> impl Iterator<Item = MetadataRecord<'_>> {
        let brokers = self.brokers.values().map(|broker| RegisterBrokerRecord::from(&**broker).into());
        let controllers =
            self.controllers.values().map(|controller| RegisterControllerRecord::from(&**controller).into());
        let unused = self.unused.iter().map(|bytes| MetadataRecord::Unused(Cow::Borrowed(bytes)));
        self.feature_records()
            .chain(brokers)
            .chain(controllers)
            .chain(self.topic_records())
            .chain(self.config_records())
            .chain(self.producer_ids_record())
            .chain(unused)
    }

    /// The metadata.version comes first: it says how the others are to be read.
    fn feature_records(&self) -> impl Iterator<Item = MetadataRecord<'_>> {
        let (first, others): (Vec<_>, Vec<_>) = self.features.iter().partition(|(name, _)| *name == METADATA_VERSION);
        first
            .into_iter()
            .chain(others)
            .map(|(name, level)| FeatureLevelRecord { name: Cow::Borrowed(name), feature_level: *level }.into())
    }

    fn topic_records(&self) -> impl Iterator<Item = MetadataRecord<'_>> {
        self.topics.iter().flat_map(|topic| {
            let record = TopicRecord { name: Cow::Borrowed(&topic.name), topic_id: topic.id };
            let partitions = (0..).zip(&topic.partitions);
            let partitions = partitions.map(|(number, partition)| partition.record(topic.id, number).into());
            std::iter::once(record.into()).chain(partitions)
        })
    }

    fn config_records(&self) -> impl Iterator<Item = MetadataRecord<'_>> {
        ResourceType::ALL.into_iter().flat_map(|resource| {
            self.configs.resources(resource).flat_map(move |(resource_name, configs)| {
                configs.iter().map(move |(name, value)| {
                    ConfigRecord {
                        resource_type: resource.code(),
                        resource_name: Cow::Borrowed(resource_name),
                        name: Cow::Borrowed(name),
                        value: Some(Cow::Borrowed(value)),
                    }
                    .into()
                })
            })
        })
    }

    fn producer_ids_record(&self) -> Option<MetadataRecord<'_>> {
        let record = ProducerIdsRecord { broker_id: -1, broker_epoch: -1, next_producer_id: self.next_producer_id };
        (self.next_producer_id > 0).then(|| record.into())
    }
}

impl PartitionRegistration {
    /// The record that creates this partition as it is.
    pub(super) fn record(&self, topic_id: Uuid, partition_id: i32) -> PartitionRecord {
        let eligible = self.eligible.as_ref();
        PartitionRecord {
            partition_id,
            topic_id,
            replicas: self.replicas.to_vec(),
            isr: self.isr.to_vec(),
            removing_replicas: self.removing_replicas().to_vec(),
            adding_replicas: self.adding_replicas().to_vec(),
            leader: self.leader,
            leader_recovery_state: i8::from(self.leader_recovering),
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            directories: self.directories.to_vec(),
            eligible_leader_replicas: eligible.map(|eligible| eligible.elr.clone()),
            last_known_elr: eligible.map(|eligible| eligible.last_known_elr.clone()),
        }
    }
}

impl<'a> From<&'a BrokerRegistration> for RegisterBrokerRecord<'a> {
    fn from(broker: &'a BrokerRegistration) -> Self {
        RegisterBrokerRecord {
            broker_id: broker.id,
            is_migrating_zk_broker: false,
            incarnation_id: broker.incarnation,
            broker_epoch: broker.epoch,
            end_points: broker.endpoints.iter().map(BrokerEndpoint::from).collect(),
            features: broker.features.iter().map(BrokerFeature::from).collect(),
            rack: broker.rack.as_deref().map(Cow::Borrowed),
            fenced: broker.fenced,
            in_controlled_shutdown: broker.in_controlled_shutdown,
            log_dirs: broker.directories.clone(),
        }
    }
}

impl<'a> From<&'a ControllerRegistration> for RegisterControllerRecord<'a> {
    fn from(controller: &'a ControllerRegistration) -> Self {
        RegisterControllerRecord {
            controller_id: controller.id,
            incarnation_id: controller.incarnation,
            zk_migration_ready: controller.zk_migration_ready,
            end_points: controller.endpoints.iter().map(ControllerEndpoint::from).collect(),
            features: controller.features.iter().map(ControllerFeature::from).collect(),
        }
    }
}

macro_rules! endpoint_records {
    ($($record:ident),*) => { $(
        impl<'a> From<&'a Endpoint> for $record<'a> {
            fn from(endpoint: &'a Endpoint) -> Self {
                $record {
                    name: Cow::Borrowed(&endpoint.name),
                    host: Cow::Borrowed(&endpoint.host),
                    port: endpoint.port,
                    security_protocol: endpoint.security_protocol,
                }
            }
        }
    )* };
}

macro_rules! feature_records {
    ($($record:ident),*) => { $(
        impl<'a> From<&'a SupportedFeature> for $record<'a> {
            fn from(feature: &'a SupportedFeature) -> Self {
                $record {
                    name: Cow::Borrowed(&feature.name),
                    min_supported_version: feature.min,
                    max_supported_version: feature.max,
                }
            }
        }
    )* };
}

endpoint_records!(BrokerEndpoint, ControllerEndpoint);
feature_records!(BrokerFeature, ControllerFeature);
