//! The state of the cluster, as the service's message.

use super::proto::*;
use crate::controller::health::{Condition, Health};
use crate::controller::image::{self, BrokerRegistration, Configs, PartitionRegistration};
use crate::controller::{ControllerClient, MetadataImage};
use crate::raft::wire::Address;
use crate::raft::{LeaderAndEpoch, ReplicaId};
use std::collections::BTreeSet;
use std::sync::Arc;

pub fn cluster_state(
    controller: &ControllerClient,
    leader: LeaderAndEpoch,
    image: &MetadataImage,
    health: &Health,
    drained: &BTreeSet<i32>,
    list_max: usize,
) -> ClusterState {
    let list = |condition| {
        let found = health.partitions(condition);
        Some(partition_list(found.len(), found.iter().take(list_max)))
    };
    ClusterState {
        node_id: controller.node_id(),
        cluster_id: controller.cluster_id().to_owned(),
        metadata_end_offset: image.applied.end_offset,
        active_controller_id: leader.leader.map(|leader| leader.0),
        controller_epoch: leader.epoch.0,
        voters: voters(controller),
        brokers: image.brokers.values().map(|registration| broker(registration, health, drained)).collect(),
        topics: image.topics.len() as u64,
        partitions: image.topics.partition_count() as u64,
        offline: list(Condition::Offline),
        under_replicated: list(Condition::UnderReplicated),
        under_min_isr: list(Condition::UnderMinIsr),
        at_min_isr: list(Condition::AtMinIsr),
        reassignments: Some(reassignments(image, health, list_max)),
        broker_configs: configs(image.configs.default_broker()),
        not_preferred: health.not_preferred(drained) as u64,
    }
}

/// What is set for a resource, by name.
pub fn configs(configs: &Configs) -> Vec<Config> {
    let config = |(name, value): (&String, &String)| Config { name: name.clone(), value: value.clone() };
    configs.iter().map(config).collect()
}

pub fn partition_list<'a>(count: usize, first: impl Iterator<Item = &'a (Arc<str>, i32)>) -> PartitionList {
    PartitionList { count: count as u64, first: first.map(partition).collect() }
}

fn partition((topic, number): &(Arc<str>, i32)) -> Partition {
    Partition { topic: topic.to_string(), partition: *number }
}

fn voters(controller: &ControllerClient) -> Vec<Voter> {
    let border = controller.border();
    if border.voters.is_empty() {
        return vec![Voter { id: border.local.id.0, ..Voter::default() }];
    }
    let voter = |(id, at): (&ReplicaId, &Address)| Voter { id: id.0, host: at.host.clone(), port: at.port.into() };
    border.voters.iter().map(voter).collect()
}

fn broker(registration: &Arc<BrokerRegistration>, health: &Health, drained: &BTreeSet<i32>) -> Broker {
    let load = health.load(registration.id);
    let endpoint = |endpoint: &image::Endpoint| Endpoint {
        listener: endpoint.name.clone(),
        host: endpoint.host.clone(),
        port: endpoint.port.into(),
    };
    Broker {
        id: registration.id,
        epoch: registration.epoch,
        incarnation: registration.incarnation.to_string(),
        rack: registration.rack.clone(),
        fenced: registration.fenced,
        in_controlled_shutdown: registration.in_controlled_shutdown,
        endpoints: registration.endpoints.iter().map(endpoint).collect(),
        leads: load.leads as u64,
        holds: load.holds as u64,
        drained: drained.contains(&registration.id),
    }
}

fn reassignments(image: &MetadataImage, health: &Health, list_max: usize) -> ReassignmentList {
    let moved = health.partitions(Condition::Reassigned);
    let first = moved.iter().take(list_max).filter_map(|named| {
        let registration = image.topics.partition(&named.0, named.1)?;
        Some(reassignment(partition(named), registration))
    });
    ReassignmentList { count: moved.len() as u64, first: first.collect() }
}

fn reassignment(partition: Partition, registration: &PartitionRegistration) -> Reassignment {
    let (adding, removing) = (registration.adding_replicas(), registration.removing_replicas());
    let stays = |replica: &i32| !removing.contains(replica);
    let in_sync = |replica: &i32| registration.isr.contains(replica);
    Reassignment {
        partition: Some(partition),
        target: registration.replicas.iter().copied().filter(stays).collect(),
        adding: adding.to_vec(),
        adding_in_sync: adding.iter().copied().filter(in_sync).collect(),
        removing: removing.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::image::{Reassignment as Moving, UNASSIGNED_DIRECTORY};

    #[test]
    fn a_move_tells_where_it_goes_and_how_far_it_is() {
        let registration = PartitionRegistration {
            replicas: [4, 2, 1, 3].into(),
            isr: [1, 2, 4].into(),
            directories: [UNASSIGNED_DIRECTORY; 4].into(),
            leader: 1,
            leader_epoch: 0,
            partition_epoch: 0,
            leader_recovering: false,
            reassignment: Some(Arc::new(Moving { removing: vec![1], adding: vec![4, 3] })),
            eligible: None,
        };
        let expected = Reassignment {
            partition: Some(Partition { topic: "t".into(), partition: 7 }),
            target: vec![4, 2, 3],
            adding: vec![4, 3],
            adding_in_sync: vec![4],
            removing: vec![1],
        };
        assert_eq!(reassignment(partition(&("t".into(), 7)), &registration), expected);
    }
}
