//! What Prometheus is told of the broker's state, looked up when it asks.

use crate::controller::ControllerClient;
use crate::controller::image::Topic;
use crate::coordinator::Groups;
use crate::handlers::Rooms;
use crate::log::LogDirs;
use crate::metrics::{ClusterFigures, Figures, GroupCount, LogDirFigures, Snapshot, TopicFigures};
use crate::partition::{Partition, Partitions};
use std::collections::BTreeMap;
use std::sync::Arc;

pub struct BrokerFigures {
    partitions: Arc<Partitions>,
    log_dirs: Arc<LogDirs>,
    groups: Arc<Groups>,
    controller: Arc<ControllerClient>,
}

impl BrokerFigures {
    pub fn of(rooms: &Rooms) -> BrokerFigures {
        BrokerFigures {
            partitions: rooms.partitions.clone(),
            log_dirs: rooms.log_dirs.clone(),
            groups: rooms.groups.clone(),
            controller: rooms.controller.clone(),
        }
    }

    fn cluster(&self) -> ClusterFigures {
        let (image, leader) = (self.controller.image(), self.controller.leader());
        let is_active_controller = self.controller.leads();
        let offline = |topic: &Arc<Topic>| topic.partitions.iter().filter(|one| !one.has_leader()).count() as u64;
        ClusterFigures {
            is_active_controller,
            has_controller: leader.leader.is_some(),
            quorum_epoch: leader.epoch.0.unsigned_abs().into(),
            metadata_offset: image.applied.end_offset.unsigned_abs(),
            brokers: image.brokers.len() as u64,
            fenced_brokers: image.brokers.values().filter(|broker| broker.fenced).count() as u64,
            offline_partitions: if is_active_controller { image.topics.iter().map(offline).sum() } else { 0 },
        }
    }

    /// What the partitions lack that this broker leads, as the metadata say it.
    fn replication(&self, partitions: &[(Arc<Partition>, u64)]) -> Replication {
        let (image, mut counted) = (self.controller.image(), Replication::default());
        for (partition, _) in partitions.iter().filter(|(partition, _)| partition.is_led()) {
            let topic = image.topics.by_id(partition.topic_id);
            let Some(registration) = topic.and_then(|topic| topic.partition(partition.index)) else { continue };
            let (in_sync, replicas) = (registration.isr.len(), registration.replicas.len());
            let min_isr = partition.log(|log| log.config().min_insync_replicas as usize).unwrap_or(1).min(replicas);
            counted.under_replicated += u64::from(in_sync < replicas);
            counted.under_min_isr += u64::from(in_sync < min_isr);
            counted.at_min_isr += u64::from(in_sync == min_isr && in_sync < replicas);
        }
        counted
    }

    fn log_dirs(&self, sizes: &[(Arc<Partition>, u64)]) -> Vec<LogDirFigures> {
        let directory = |directory: &Arc<crate::log::LogDirectory>| {
            let here = |partition: &Partition| partition.log(|log| log.directory().id() == directory.id());
            let size =
                |(partition, size): &(Arc<Partition>, u64)| if here(partition) == Some(true) { *size } else { 0 };
            LogDirFigures {
                path: directory.path().display().to_string(),
                size_bytes: sizes.iter().map(size).sum(),
                online: directory.space().is_ok(),
            }
        };
        self.log_dirs.directories().iter().map(directory).collect()
    }
}

#[derive(Default)]
struct Replication {
    under_replicated: u64,
    under_min_isr: u64,
    at_min_isr: u64,
}

impl Figures for BrokerFigures {
    fn snapshot(&self) -> Snapshot {
        let size = |partition: Arc<Partition>| {
            let size = partition.log(|log| log.size_bytes()).unwrap_or(0);
            (partition, size)
        };
        let sizes: Vec<_> = self.partitions.all().into_iter().map(size).collect();
        let mut topics = BTreeMap::<&str, u64>::new();
        for (partition, size) in &sizes {
            *topics.entry(&partition.topic).or_default() += size;
        }
        let group = |(state, groups): (crate::coordinator::group::GroupState, usize)| GroupCount {
            state: state.name(),
            groups: groups as u64,
        };
        let replication = self.replication(&sizes);
        Snapshot {
            partitions: sizes.len() as u64,
            leaders: sizes.iter().filter(|(partition, _)| partition.is_led()).count() as u64,
            under_replicated: replication.under_replicated,
            under_min_isr: replication.under_min_isr,
            at_min_isr: replication.at_min_isr,
            cluster: self.cluster(),
            log_dirs: self.log_dirs(&sizes),
            topics: topics
                .into_iter()
                .map(|(name, size_bytes)| TopicFigures { name: name.to_owned(), size_bytes })
                .collect(),
            groups: self.groups.state_counts().into_iter().map(group).collect(),
        }
    }
}
