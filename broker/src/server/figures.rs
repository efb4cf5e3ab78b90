//! What Prometheus is told of the broker's state, looked up when it asks.

use crate::coordinator::Groups;
use crate::handlers::Rooms;
use crate::log::LogDirs;
use crate::metrics::{Figures, GroupCount, LogDirFigures, Snapshot, TopicFigures};
use crate::partition::{Partition, Partitions};
use std::collections::BTreeMap;
use std::sync::Arc;

pub struct BrokerFigures {
    partitions: Arc<Partitions>,
    log_dirs: Arc<LogDirs>,
    groups: Arc<Groups>,
}

impl BrokerFigures {
    pub fn of(rooms: &Rooms) -> BrokerFigures {
        BrokerFigures {
            partitions: rooms.partitions.clone(),
            log_dirs: rooms.log_dirs.clone(),
            groups: rooms.groups.clone(),
        }
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
        Snapshot {
            partitions: sizes.len() as u64,
            leaders: sizes.iter().filter(|(partition, _)| partition.is_led()).count() as u64,
            under_replicated: 0,
            log_dirs: self.log_dirs(&sizes),
            topics: topics
                .into_iter()
                .map(|(name, size_bytes)| TopicFigures { name: name.to_owned(), size_bytes })
                .collect(),
            groups: self.groups.state_counts().into_iter().map(group).collect(),
        }
    }
}
