//! Brokers that register, and the producer ids they get.

use super::image::{Endpoint, PartitionRegistration, SupportedFeature};
use super::records::MetadataRecord;
use super::request::{Outcome, ProducerIdBlock, RegisterBroker};
use super::state::{Controller, Records};
use crate::protocol::messages::metadata_records::*;
use crate::protocol::{ErrorCode, Uuid};
use std::borrow::Cow;

/// Producer ids that a broker gets at once (Kafka's `PRODUCER_ID_BLOCK_SIZE`).
pub const PRODUCER_ID_BLOCK: i64 = 1000;

impl Controller {
    /// Registers a broker and unfences it, since a quorum of one shares its process and knows that it lives. Each
    /// partition it can lead gets a new leader epoch: what the last incarnation had not synced may be lost, and nobody
    /// may take an offset of that time for one of this (KIP-320).
    pub(super) fn register_broker(&self, request: RegisterBroker) -> (i64, Records) {
        let (broker_id, broker_epoch) = (request.id, self.image.applied.end_offset);
        let unfenced = BrokerRegistrationChangeRecord { broker_id, broker_epoch, fenced: -1, ..Default::default() };
        let mut records: Records = vec![request.record(broker_epoch).into(), unfenced.into()];
        for topic in self.image.topics.iter() {
            let partitions = (0..).zip(&topic.partitions);
            let elected = partitions.filter_map(|(number, partition)| elect(topic.id, number, partition, broker_id));
            records.extend(elected.map(MetadataRecord::from));
        }
        (broker_epoch, records)
    }

    pub(super) fn allocate_producer_ids(
        &self,
        broker_id: i32,
        broker_epoch: i64,
    ) -> (Outcome<ProducerIdBlock>, Records) {
        match self.image.brokers.get(&broker_id) {
            None => return (Err(ErrorCode::BrokerIdNotRegistered.into()), Records::new()),
            Some(broker) if broker.epoch != broker_epoch => {
                return (Err(ErrorCode::StaleBrokerEpoch.into()), Records::new());
            }
            Some(_) => {}
        }
        let first = self.image.next_producer_id;
        let Some(next_producer_id) = first.checked_add(PRODUCER_ID_BLOCK) else {
            return (Err(ErrorCode::UnknownServerError.into()), Records::new());
        };
        let record = ProducerIdsRecord { broker_id, broker_epoch, next_producer_id };
        (Ok(ProducerIdBlock { first, count: PRODUCER_ID_BLOCK }), vec![record.into()])
    }
}

/// Makes `broker` the leader of a partition that it leads already, or that has no leader and no better candidate.
fn elect(
    topic_id: Uuid,
    partition_id: i32,
    partition: &PartitionRegistration,
    broker: i32,
) -> Option<PartitionChangeRecord> {
    let in_sync = partition.isr.contains(&broker);
    let only_candidate = partition.isr.is_empty()
        && (partition.elr().contains(&broker)
            || (partition.elr().is_empty() && partition.last_known_elr().first() == Some(&broker)));
    let leads = partition.leader == broker;
    if !leads && (partition.has_leader() || !(in_sync || only_candidate)) {
        return None;
    }
    let mut change =
        PartitionChangeRecord { partition_id, topic_id, leader: broker, ..PartitionChangeRecord::default() };
    if !in_sync {
        let without = |replicas: &[i32]| Some(replicas.iter().copied().filter(|replica| *replica != broker).collect());
        change.isr = Some(vec![broker]);
        change.eligible_leader_replicas = without(partition.elr());
        change.last_known_elr = Some(Vec::new());
    }
    if partition.leader_recovering {
        change.leader_recovery_state = 0;
    }
    Some(change)
}

impl RegisterBroker {
    /// The record that registers the broker, fenced until it is known to live.
    fn record(self, broker_epoch: i64) -> RegisterBrokerRecord<'static> {
        RegisterBrokerRecord {
            broker_id: self.id,
            is_migrating_zk_broker: false,
            incarnation_id: self.incarnation,
            broker_epoch,
            end_points: self.endpoints.into_iter().map(Endpoint::into_broker_record).collect(),
            features: self.features.into_iter().map(SupportedFeature::into_broker_record).collect(),
            rack: self.rack.map(Cow::Owned),
            fenced: true,
            in_controlled_shutdown: false,
            log_dirs: self.directories,
        }
    }
}

impl Endpoint {
    fn into_broker_record(self) -> BrokerEndpoint<'static> {
        BrokerEndpoint {
            name: self.name.into(),
            host: self.host.into(),
            port: self.port,
            security_protocol: self.security_protocol,
        }
    }
}

impl SupportedFeature {
    fn into_broker_record(self) -> BrokerFeature<'static> {
        BrokerFeature { name: self.name.into(), min_supported_version: self.min, max_supported_version: self.max }
    }
}
