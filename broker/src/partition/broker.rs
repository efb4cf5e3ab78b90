//! The broker as its partitions see it: who else is alive, what time it is, and who takes up what a partition asks for.

use super::partition::Partition;
use super::rate::Windows;
use super::replica::View;
use super::sync::SyncQueue;
use super::throttle::Throttles;
use super::traffic::TopicTraffic;
use super::watched::IsrMoves;
use crate::clock::Clock;
use crate::controller::image::MetadataImage;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock, Weak};
use tokio::sync::Notify;

/// A broker that is neither fenced nor shutting down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveBroker {
    /// The epoch of its registration.
    pub epoch: i64,
    pub rack: Option<String>,
}

/// By broker id.
pub type LiveBrokers = HashMap<i32, LiveBroker>;

/// The brokers of `image` that may be in sync.
pub fn live_brokers(image: &MetadataImage) -> LiveBrokers {
    let serving = image.live_brokers().filter(|broker| !broker.in_controlled_shutdown);
    serving.map(|broker| (broker.id, LiveBroker { epoch: broker.epoch, rack: broker.rack.clone() })).collect()
}

/// What replicas are configured with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaSettings {
    pub broker_id: i32,
    /// Milliseconds that a follower may be behind and stay in the ISR (`replica.lag.time.max.ms`). Default 30,000.
    pub lag_time_max_ms: i64,
    /// Whether consumers are sent to a replica in their own rack (`replica.selector.class`, KIP-392). Default not.
    pub rack_aware: bool,
    /// What throttles measure their rates over.
    pub throttle_windows: Windows,
}

impl Default for ReplicaSettings {
    fn default() -> Self {
        ReplicaSettings {
            broker_id: 1,
            lag_time_max_ms: 30_000,
            rack_aware: false,
            throttle_windows: Windows::default(),
        }
    }
}

/// Partitions that ask for something, each once until it is taken.
#[derive(Debug, Default)]
pub struct Asking {
    partitions: Mutex<Vec<Weak<Partition>>>,
    asked: Notify,
}

impl Asking {
    pub(super) fn add(&self, partition: Weak<Partition>) {
        self.partitions.lock().expect("no panic while held").push(partition);
        self.asked.notify_one();
    }

    /// Those that have asked since the last call.
    pub fn take(&self) -> Vec<Arc<Partition>> {
        let asking = std::mem::take(&mut *self.partitions.lock().expect("no panic while held"));
        asking.iter().filter_map(Weak::upgrade).collect()
    }

    /// Returns once one has asked since the last return.
    pub async fn asked(&self) {
        self.asked.notified().await;
    }
}

/// Whether the disks of this broker take what is written.
#[derive(Debug, Default)]
pub struct Disks {
    failed: AtomicBool,
    noticed: Notify,
}

impl Disks {
    /// A write or a sync has failed.
    pub(super) fn fail(&self) {
        if !self.failed.swap(true, Ordering::Relaxed) {
            self.noticed.notify_one();
        }
    }

    /// Returns once one has failed since [`Disks::heal`].
    pub async fn failed(&self) {
        self.noticed.notified().await;
    }

    /// They take writes again.
    pub fn heal(&self) {
        self.failed.store(false, Ordering::Relaxed);
    }
}

/// See the [module](self).
#[derive(Debug)]
pub struct Broker {
    pub settings: ReplicaSettings,
    pub throttles: Throttles,
    live: RwLock<Arc<LiveBrokers>>,
    /// The metadata as it was applied last.
    image: RwLock<Arc<MetadataImage>>,
    clock: Clock,
    /// Partitions that have closed a segment which is not synced yet.
    pub rolled: Asking,
    /// Partitions whose leader wants another ISR.
    pub isr_changes: Asking,
    /// Partitions whose log is to be synced now.
    pub syncs: SyncQueue,
    pub disks: Disks,
    pub traffic: TopicTraffic,
    pub isr_moves: IsrMoves,
}

impl Broker {
    pub fn new(settings: ReplicaSettings) -> Broker {
        Broker {
            throttles: Throttles::new(settings.throttle_windows),
            settings,
            live: RwLock::default(),
            image: RwLock::default(),
            clock: Clock::start(),
            rolled: Asking::default(),
            isr_changes: Asking::default(),
            syncs: SyncQueue::default(),
            disks: Disks::default(),
            traffic: TopicTraffic::default(),
            isr_moves: IsrMoves::default(),
        }
    }

    /// Milliseconds, never going back.
    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    pub fn live(&self) -> Arc<LiveBrokers> {
        self.live.read().expect("no panic while held").clone()
    }

    pub fn set_live(&self, live: LiveBrokers) {
        *self.live.write().expect("no panic while held") = Arc::new(live);
    }

    /// The metadata as it was applied last.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.image.read().expect("no panic while held").clone()
    }

    pub fn set_image(&self, image: Arc<MetadataImage>) {
        *self.image.write().expect("no panic while held") = image;
    }

    fn live_epoch(&self, id: i32) -> Option<i64> {
        self.live.read().expect("no panic while held").get(&id).map(|broker| broker.epoch)
    }

    /// Works with the view of replicas at this moment.
    pub(super) fn view<T>(&self, work: impl FnOnce(View<'_>) -> T) -> T {
        work(View { now: self.now(), live: &|id| self.live_epoch(id) })
    }
}
