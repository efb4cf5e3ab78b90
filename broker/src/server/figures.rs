//! What Prometheus is told of the broker's state, looked up when it asks.

use crate::controller::ControllerClient;
use crate::controller::client::Subscriber;
use crate::controller::election_counts::{ElectionCounts, ElectionKind};
use crate::controller::image::Topic;
use crate::coordinator::{self, Groups};
use crate::handlers::Rooms;
use crate::log::LogDirs;
use crate::metrics::{
    ClusterFigures, Figures, GROUP_OFFSETS_MAX, GroupCount, GroupOffset, HIGH_WATERMARKS_MAX, HighWatermark,
    LedFigures, LogDirFigures, Snapshot, TopicFigures, TrafficFigures, VolumeFigures,
};
use crate::partition::{Led, Partition, Partitions, TrafficCount};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

pub struct BrokerFigures {
    partitions: Arc<Partitions>,
    log_dirs: Arc<LogDirs>,
    groups: Arc<Groups>,
    controller: Arc<ControllerClient>,
    /// Of the times when this node was the active controller.
    elections: Arc<Mutex<ElectionCounts>>,
}

impl BrokerFigures {
    pub fn of(rooms: &Rooms) -> BrokerFigures {
        BrokerFigures {
            partitions: rooms.partitions.clone(),
            log_dirs: rooms.log_dirs.clone(),
            groups: rooms.groups.clone(),
            controller: rooms.controller.clone(),
            elections: Arc::default(),
        }
    }

    /// Counts elections from what it is told.
    pub fn election_counter(&self) -> Subscriber {
        let (counts, controller) = (self.elections.clone(), self.controller.clone());
        Box::new(move |old, new, delta| {
            if controller.leads() {
                counts.lock().expect("no panic while held").add(old, new, delta);
            }
        })
    }

    fn cluster(&self) -> ClusterFigures {
        let (image, leader) = (self.controller.image(), self.controller.leader());
        let is_active_controller = self.controller.leads();
        let offline = |topic: &Arc<Topic>| topic.partitions.iter().filter(|one| !one.has_leader()).count() as u64;
        let elections = *self.elections.lock().expect("no panic while held");
        ClusterFigures {
            is_active_controller,
            has_controller: leader.leader.is_some(),
            quorum_epoch: leader.epoch.0.unsigned_abs().into(),
            metadata_offset: image.applied.end_offset.unsigned_abs(),
            brokers: image.brokers.len() as u64,
            fenced_brokers: image.brokers.values().filter(|broker| broker.fenced).count() as u64,
            offline_partitions: if is_active_controller { image.topics.iter().map(offline).sum() } else { 0 },
            elections: ElectionKind::ALL.iter().map(|kind| (kind.name(), elections.of(*kind))).collect(),
        }
    }

    /// What is to be told of the partitions that this broker leads. What they lack is as the metadata say it.
    fn led(&self, held: &[Held]) -> LedFigures {
        let image = self.controller.image();
        let moves = &self.partitions.broker().isr_moves;
        let mut figures =
            LedFigures { isr_shrinks: moves.shrinks(), isr_expands: moves.expands(), ..LedFigures::default() };
        for (partition, led) in held.iter().filter_map(|held| Some((&held.partition, held.led?))) {
            figures.partitions += 1;
            figures.lag_max = figures.lag_max.max(led.lag_max);
            let topic = image.topics.by_id(partition.topic_id);
            let Some(registration) = topic.and_then(|topic| topic.partition(partition.index)) else { continue };
            let (in_sync, replicas) = (registration.isr.len(), registration.replicas.len());
            let min_isr = partition.log(|log| log.config().min_insync_replicas as usize).unwrap_or(1).min(replicas);
            figures.under_replicated += u64::from(in_sync < replicas);
            figures.under_min_isr += u64::from(in_sync < min_isr);
            figures.at_min_isr += u64::from(in_sync == min_isr && in_sync < replicas);
            figures.reassigning += u64::from(registration.reassignment.is_some());
        }
        figures.high_watermarks = high_watermarks(held, HIGH_WATERMARKS_MAX);
        figures
    }

    fn log_dirs(&self, held: &[Held]) -> Vec<LogDirFigures> {
        let directory = |directory: &Arc<crate::log::LogDirectory>| {
            let here = |partition: &Partition| partition.log(|log| log.directory().id() == directory.id());
            let size = |held: &Held| if here(&held.partition) == Some(true) { held.size_bytes } else { 0 };
            let volume = directory.space().ok();
            LogDirFigures {
                path: directory.path().display().to_string(),
                size_bytes: held.iter().map(size).sum(),
                volume: volume
                    .map(|volume| VolumeFigures { free_bytes: volume.usable_bytes, total_bytes: volume.total_bytes }),
            }
        };
        self.log_dirs.directories().iter().map(directory).collect()
    }

    fn traffic(&self) -> Vec<TrafficFigures> {
        let figures = |(topic, count): (Arc<str>, TrafficCount)| TrafficFigures {
            topic,
            produced_records: count.produced_records,
            produced_bytes: count.produced_bytes,
            fetched_bytes: count.fetched_bytes,
        };
        self.partitions.broker().traffic.counts().into_iter().map(figures).collect()
    }
}

/// A partition that this broker has a replica of.
struct Held {
    partition: Arc<Partition>,
    size_bytes: u64,
    led: Option<Led>,
}

impl Held {
    fn now(partition: Arc<Partition>) -> Held {
        let size_bytes = partition.log(|log| log.size_bytes()).unwrap_or(0);
        Held { led: partition.led(), size_bytes, partition }
    }
}

/// Those of the first `max` partitions that are led, by topic and number. Of very many partitions only these are sorted.
fn high_watermarks(held: &[Held], max: usize) -> Vec<HighWatermark> {
    let mut led: Vec<(&str, i32, &Held, Led)> =
        held.iter().filter_map(|held| Some((&*held.partition.topic, held.partition.index, held, held.led?))).collect();
    if led.len() > max {
        led.select_nth_unstable_by_key(max, |(topic, partition, ..)| (*topic, *partition));
        led.truncate(max);
    }
    let figure = |(_, partition, held, led): (&str, i32, &Held, Led)| HighWatermark {
        topic: held.partition.topic.clone(),
        partition,
        offset: led.high_watermark,
    };
    led.into_iter().map(figure).collect()
}

fn topic_sizes(held: &[Held]) -> Vec<TopicFigures> {
    let mut topics = BTreeMap::<&str, u64>::new();
    for Held { partition, size_bytes, .. } in held {
        *topics.entry(&partition.topic).or_default() += size_bytes;
    }
    topics.into_iter().map(|(name, size_bytes)| TopicFigures { name: name.to_owned(), size_bytes }).collect()
}

fn group_offset(it: coordinator::GroupOffset) -> GroupOffset {
    GroupOffset { group: it.group, topic: it.topic, partition: it.partition, offset: it.offset }
}

impl Figures for BrokerFigures {
    fn snapshot(&self) -> Snapshot {
        let held: Vec<_> = self.partitions.all().into_iter().map(Held::now).collect();
        let group = |(state, groups): (coordinator::group::GroupState, usize)| GroupCount {
            state: state.name(),
            groups: groups as u64,
        };
        Snapshot {
            partitions: held.len() as u64,
            led: self.led(&held),
            cluster: self.cluster(),
            log_dirs: self.log_dirs(&held),
            topics: topic_sizes(&held),
            traffic: self.traffic(),
            groups: self.groups.state_counts().into_iter().map(group).collect(),
            group_offsets: self.groups.committed_offsets(GROUP_OFFSETS_MAX).into_iter().map(group_offset).collect(),
        }
    }
}
