//! The metadata of the whole cluster at one offset of the metadata log: immutable for its readers, structurally shared.
//!
//! - A clone costs a handful of reference counts, whatever it holds; a change copies only the path to what it changes.
//! - Only [`replay`](MetadataImage::replay) changes an image, and the same records give the same image.
//! - All maps are ordered, so that whoever walks them does so in the same order on every node and in every run.

mod brokers;
mod configs;
mod difference;
mod topics;

pub use brokers::{BrokerRegistration, ControllerRegistration, Endpoint, SupportedFeature};
pub use configs::{Configs, ConfigsImage, ResourceType};
pub use topics::{
    EligibleReplicas, LOST_DIRECTORY, MIGRATING_DIRECTORY, NO_LEADER, PartitionRegistration, Reassignment, Topic,
    TopicsImage, UNASSIGNED_DIRECTORY,
};

use imbl::{OrdMap, Vector};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The feature that says which records may be written (KIP-584, KIP-778).
pub const METADATA_VERSION: &str = "metadata.version";

/// The metadata of the cluster. See the [module](self).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetadataImage {
    /// How far the metadata log has been applied.
    pub applied: Applied,
    pub brokers: OrdMap<i32, Arc<BrokerRegistration>>,
    pub controllers: OrdMap<i32, Arc<ControllerRegistration>>,
    pub topics: TopicsImage,
    pub configs: ConfigsImage,
    /// The finalized level of each feature that is not at level 0.
    pub features: Arc<BTreeMap<String, i16>>,
    /// The first producer id of the next block. Those below are handed out.
    pub next_producer_id: i64,
    /// Records that Apache Kafka wrote and that mean nothing to us yet (ACLs, credentials, quotas, tokens), as they were
    /// and in their order: a snapshot carries them on, so that nothing is lost when the log before it goes.
    pub unused: Vector<Arc<[u8]>>,
}

/// A position in the metadata log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The offset behind the last applied record.
    pub end_offset: i64,
    /// The leader epoch of the last applied record.
    pub epoch: i32,
    /// The timestamp of the last applied batch, in milliseconds since 1970.
    pub timestamp: i64,
}

impl MetadataImage {
    /// The level of `feature`, 0 where nothing was finalized.
    pub fn feature_level(&self, feature: &str) -> i16 {
        self.features.get(feature).copied().unwrap_or(0)
    }

    /// The registration of an unfenced broker.
    pub fn live_broker(&self, id: i32) -> Option<&BrokerRegistration> {
        self.brokers.get(&id).map(|broker| &**broker).filter(|broker| !broker.fenced)
    }

    pub fn live_brokers(&self) -> impl Iterator<Item = &BrokerRegistration> {
        self.brokers.values().map(|broker| &**broker).filter(|broker| !broker.fenced)
    }

    /// The replicas of a partition that clients of the listener `listener` cannot reach: their brokers are fenced, gone, or
    /// have no address there, or their log directory has failed.
    pub fn offline_replicas(&self, partition: &PartitionRegistration, listener: &str) -> impl Iterator<Item = i32> {
        let replicas = partition.replicas.iter().zip(partition.directories.iter());
        let online = |id, directory| {
            let broker = self.live_broker(id).filter(|broker| broker.endpoint(listener).is_some());
            broker.is_some_and(|broker| broker.has_directory(directory))
        };
        replicas.filter(move |(id, directory)| !online(**id, **directory)).map(|(id, _)| *id)
    }

    /// Where clients of the listener `listener` reach an unfenced broker.
    pub fn address(&self, id: i32, listener: &str) -> Option<&Endpoint> {
        self.live_broker(id)?.endpoint(listener)
    }

    /// The offset of the last applied record; -1 where there is none.
    pub fn last_offset(&self) -> i64 {
        self.applied.end_offset - 1
    }
}
