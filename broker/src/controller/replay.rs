//! How a record changes the image: the only place where it changes.

use super::delta::ImageDelta;
use super::image::{
    BrokerRegistration, ControllerRegistration, Endpoint, MetadataImage, PartitionRegistration, ResourceType,
    SupportedFeature, UNASSIGNED_DIRECTORY,
};
use super::records::{METADATA_VERSION_LATEST, METADATA_VERSION_MIN, MetadataRecord};
use crate::controller::image::METADATA_VERSION;
use crate::protocol::Uuid;
use crate::protocol::messages::metadata_records::*;
use std::sync::Arc;

/// Why a record does not fit the image: the log is not what a controller wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    #[error("a topic {0} that is not there")]
    UnknownTopic(Uuid),
    #[error("a partition {partition} of the topic {topic} that is not there, or leaves a gap")]
    UnknownPartition { topic: Uuid, partition: i32 },
    #[error("a topic {0} that is there already")]
    TopicExists(String),
    #[error("a broker {0} that is not registered")]
    UnknownBroker(i32),
    #[error("a configuration of the unknown resource type {0}")]
    UnknownResourceType(i8),
    #[error("metadata.version {0}, where {METADATA_VERSION_MIN} to {METADATA_VERSION_LATEST} are known")]
    MetadataVersion(i16),
}

type Result<T> = std::result::Result<T, ReplayError>;

/// The value of a field of [`PartitionChangeRecord`] that leaves the leader as it is.
const LEADER_UNCHANGED: i32 = -2;

impl MetadataImage {
    /// Applies one record, and notes in `delta` what it changed. The caller moves `applied` on.
    /// Errors: [`ReplayError`], and then the image must not be used: the record contradicts those before it.
    pub fn replay(&mut self, record: &MetadataRecord<'_>, delta: &mut ImageDelta) -> Result<()> {
        match record {
            MetadataRecord::RegisterBroker(record) => self.replay_register_broker(record, delta),
            MetadataRecord::UnregisterBroker(record) => self.replay_unregister_broker(record, delta)?,
            MetadataRecord::BrokerRegistrationChange(record) => self.replay_broker_change(record, delta)?,
            MetadataRecord::FenceBroker(record) => self.fence(record.id, true, delta)?,
            MetadataRecord::UnfenceBroker(record) => self.fence(record.id, false, delta)?,
            MetadataRecord::RegisterController(record) => self.replay_register_controller(record),
            MetadataRecord::Topic(record) => self.replay_topic(record, delta)?,
            MetadataRecord::RemoveTopic(record) => self.replay_remove_topic(record, delta)?,
            MetadataRecord::Partition(record) => self.replay_partition(record, delta)?,
            MetadataRecord::PartitionChange(record) => self.replay_partition_change(record, delta)?,
            MetadataRecord::ClearElr(record) => self.replay_clear_elr(record, delta),
            MetadataRecord::Config(record) => self.replay_config(record, delta)?,
            MetadataRecord::FeatureLevel(record) => self.replay_feature_level(record, delta)?,
            MetadataRecord::ProducerIds(record) => self.next_producer_id = record.next_producer_id,
            MetadataRecord::Unused(bytes) => self.unused.push_back(bytes[..].into()),
            // Transactions are the business of whoever reads the log: inside one, the image is not shown.
            MetadataRecord::NoOp(_)
            | MetadataRecord::BeginTransaction(_)
            | MetadataRecord::EndTransaction(_)
            | MetadataRecord::AbortTransaction(_) => {}
        }
        Ok(())
    }

    fn replay_register_broker(&mut self, record: &RegisterBrokerRecord<'_>, delta: &mut ImageDelta) {
        let broker = BrokerRegistration {
            id: record.broker_id,
            epoch: record.broker_epoch,
            incarnation: record.incarnation_id,
            endpoints: record.end_points.iter().map(Endpoint::from).collect(),
            features: record.features.iter().map(SupportedFeature::from).collect(),
            rack: record.rack.as_deref().map(str::to_owned),
            fenced: record.fenced,
            in_controlled_shutdown: record.in_controlled_shutdown,
            directories: record.log_dirs.clone(),
        };
        self.brokers.insert(record.broker_id, Arc::new(broker));
        delta.brokers.insert(record.broker_id);
    }

    fn replay_unregister_broker(&mut self, record: &UnregisterBrokerRecord, delta: &mut ImageDelta) -> Result<()> {
        self.brokers.remove(&record.broker_id).ok_or(ReplayError::UnknownBroker(record.broker_id))?;
        delta.brokers.insert(record.broker_id);
        Ok(())
    }

    fn broker_mut(&mut self, id: i32) -> Result<&mut BrokerRegistration> {
        self.brokers.get_mut(&id).map(Arc::make_mut).ok_or(ReplayError::UnknownBroker(id))
    }

    fn fence(&mut self, id: i32, fenced: bool, delta: &mut ImageDelta) -> Result<()> {
        self.broker_mut(id)?.fenced = fenced;
        delta.brokers.insert(id);
        Ok(())
    }

    fn replay_broker_change(&mut self, record: &BrokerRegistrationChangeRecord, delta: &mut ImageDelta) -> Result<()> {
        let broker = self.broker_mut(record.broker_id)?;
        match record.fenced {
            1 => broker.fenced = true,
            -1 => broker.fenced = false,
            _ => {}
        }
        if record.in_controlled_shutdown == 1 {
            broker.in_controlled_shutdown = true;
        }
        if !record.log_dirs.is_empty() {
            broker.directories = record.log_dirs.clone();
        }
        delta.brokers.insert(record.broker_id);
        Ok(())
    }

    fn replay_register_controller(&mut self, record: &RegisterControllerRecord<'_>) {
        let controller = ControllerRegistration {
            id: record.controller_id,
            incarnation: record.incarnation_id,
            zk_migration_ready: record.zk_migration_ready,
            endpoints: record.end_points.iter().map(Endpoint::from).collect(),
            features: record.features.iter().map(SupportedFeature::from).collect(),
        };
        self.controllers.insert(record.controller_id, Arc::new(controller));
    }

    fn replay_topic(&mut self, record: &TopicRecord<'_>, delta: &mut ImageDelta) -> Result<()> {
        if self.topics.by_id(record.topic_id).is_some() || self.topics.id_of(&record.name).is_some() {
            return Err(ReplayError::TopicExists(record.name.to_string()));
        }
        let name = self.topics.insert(&record.name, record.topic_id);
        delta.topic_created(record.topic_id, name);
        Ok(())
    }

    fn replay_remove_topic(&mut self, record: &RemoveTopicRecord, delta: &mut ImageDelta) -> Result<()> {
        let topic = self.topics.remove(record.topic_id).ok_or(ReplayError::UnknownTopic(record.topic_id))?;
        if self.configs.clear(ResourceType::Topic, &topic.name) {
            delta.configs.insert((ResourceType::Topic, topic.name.clone()));
        }
        delta.topic_deleted(&topic);
        Ok(())
    }

    fn put_partition(
        &mut self,
        topic: Uuid,
        partition: i32,
        registration: PartitionRegistration,
        delta: &mut ImageDelta,
    ) -> Result<()> {
        let put = self.topics.put(topic, partition, registration);
        let name = put.ok_or(ReplayError::UnknownPartition { topic, partition })?;
        delta.partition_changed(topic, name, partition);
        Ok(())
    }

    fn replay_partition(&mut self, record: &PartitionRecord, delta: &mut ImageDelta) -> Result<()> {
        self.put_partition(record.topic_id, record.partition_id, PartitionRegistration::from(record), delta)
    }

    fn replay_partition_change(&mut self, record: &PartitionChangeRecord, delta: &mut ImageDelta) -> Result<()> {
        let topic = self.topics.by_id(record.topic_id).ok_or(ReplayError::UnknownTopic(record.topic_id))?;
        let partition = topic.partition(record.partition_id);
        let unknown = ReplayError::UnknownPartition { topic: record.topic_id, partition: record.partition_id };
        let changed = partition.ok_or(unknown)?.changed_by(record);
        self.put_partition(record.topic_id, record.partition_id, changed, delta)
    }

    /// Forgets the eligible leader replicas of a topic, or of all topics where the name is empty.
    fn replay_clear_elr(&mut self, record: &ClearElrRecord<'_>, delta: &mut ImageDelta) {
        let topics: Vec<_> = match &*record.topic_name {
            "" => self.topics.iter().cloned().collect(),
            name => self.topics.by_name(name).cloned().into_iter().collect(),
        };
        for topic in topics {
            for (partition, registration) in (0..).zip(&topic.partitions) {
                if registration.eligible.is_some() {
                    let cleared = PartitionRegistration { eligible: None, ..(**registration).clone() };
                    self.put_partition(topic.id, partition, cleared, delta).expect("the partition is there");
                }
            }
        }
    }

    fn replay_config(&mut self, record: &ConfigRecord<'_>, delta: &mut ImageDelta) -> Result<()> {
        let code = record.resource_type;
        let resource = ResourceType::from_code(code).ok_or(ReplayError::UnknownResourceType(code))?;
        self.configs.set(resource, &record.resource_name, &record.name, record.value.as_deref());
        delta.configs.insert((resource, record.resource_name.as_ref().into()));
        Ok(())
    }

    fn replay_feature_level(&mut self, record: &FeatureLevelRecord<'_>, delta: &mut ImageDelta) -> Result<()> {
        let level = record.feature_level;
        if record.name == METADATA_VERSION && !(METADATA_VERSION_MIN..=METADATA_VERSION_LATEST).contains(&level) {
            return Err(ReplayError::MetadataVersion(level));
        }
        let features = Arc::make_mut(&mut self.features);
        match level {
            0 => features.remove(&*record.name),
            level => features.insert(record.name.to_string(), level),
        };
        delta.features = true;
        Ok(())
    }
}

impl From<&PartitionRecord> for PartitionRegistration {
    fn from(record: &PartitionRecord) -> Self {
        let mut partition = PartitionRegistration {
            replicas: record.replicas[..].into(),
            isr: record.isr[..].into(),
            directories: directories(&record.directories, record.replicas.len()),
            leader: record.leader,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
            leader_recovering: record.leader_recovery_state == 1,
            reassignment: None,
            eligible: None,
        };
        partition.set_reassignment(record.removing_replicas.clone(), record.adding_replicas.clone());
        partition.set_eligible(
            record.eligible_leader_replicas.clone().unwrap_or_default(),
            record.last_known_elr.clone().unwrap_or_default(),
        );
        partition
    }
}

/// Records from before KIP-858 name no directories.
fn directories(named: &[Uuid], replicas: usize) -> Arc<[Uuid]> {
    if named.len() == replicas { named.into() } else { vec![UNASSIGNED_DIRECTORY; replicas].into() }
}

impl PartitionRegistration {
    /// This partition behind `change`: what the record leaves out stays, and the epochs move on (KIP-631).
    pub(super) fn changed_by(&self, change: &PartitionChangeRecord) -> PartitionRegistration {
        let mut partition = self.clone();
        if let Some(replicas) = &change.replicas {
            partition.directories = moved_directories(self, replicas);
            partition.replicas = replicas[..].into();
        }
        if let Some(directories) = &change.directories {
            partition.directories = directories[..].into();
        }
        if let Some(isr) = &change.isr {
            partition.isr = isr[..].into();
        }
        if change.leader != LEADER_UNCHANGED {
            partition.leader = change.leader;
            partition.leader_epoch += 1;
        }
        if change.leader_recovery_state >= 0 {
            partition.leader_recovering = change.leader_recovery_state == 1;
        }
        if change.removing_replicas.is_some() || change.adding_replicas.is_some() {
            let kept = |new: &Option<Vec<i32>>, old: &[i32]| new.clone().unwrap_or_else(|| old.to_vec());
            let removing = kept(&change.removing_replicas, self.removing_replicas());
            partition.set_reassignment(removing, kept(&change.adding_replicas, self.adding_replicas()));
        }
        if change.eligible_leader_replicas.is_some() || change.last_known_elr.is_some() {
            let kept = |new: &Option<Vec<i32>>, old: &[i32]| new.clone().unwrap_or_else(|| old.to_vec());
            let elr = kept(&change.eligible_leader_replicas, self.elr());
            partition.set_eligible(elr, kept(&change.last_known_elr, self.last_known_elr()));
        }
        partition.partition_epoch += 1;
        partition
    }
}

/// The directories of `replicas`: a replica that stays keeps its own.
fn moved_directories(partition: &PartitionRegistration, replicas: &[i32]) -> Arc<[Uuid]> {
    replicas.iter().map(|replica| partition.directory(*replica).unwrap_or(UNASSIGNED_DIRECTORY)).collect()
}

impl From<&BrokerEndpoint<'_>> for Endpoint {
    fn from(endpoint: &BrokerEndpoint<'_>) -> Self {
        Endpoint {
            name: endpoint.name.to_string(),
            host: endpoint.host.to_string(),
            port: endpoint.port,
            security_protocol: endpoint.security_protocol,
        }
    }
}

impl From<&ControllerEndpoint<'_>> for Endpoint {
    fn from(endpoint: &ControllerEndpoint<'_>) -> Self {
        Endpoint {
            name: endpoint.name.to_string(),
            host: endpoint.host.to_string(),
            port: endpoint.port,
            security_protocol: endpoint.security_protocol,
        }
    }
}

impl From<&BrokerFeature<'_>> for SupportedFeature {
    fn from(feature: &BrokerFeature<'_>) -> Self {
        SupportedFeature {
            name: feature.name.to_string(),
            min: feature.min_supported_version,
            max: feature.max_supported_version,
        }
    }
}

impl From<&ControllerFeature<'_>> for SupportedFeature {
    fn from(feature: &ControllerFeature<'_>) -> Self {
        SupportedFeature {
            name: feature.name.to_string(),
            min: feature.min_supported_version,
            max: feature.max_supported_version,
        }
    }
}
