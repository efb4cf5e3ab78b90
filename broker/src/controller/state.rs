//! The controller itself: decides what a request changes, and knows the image that its records have made so far.

use super::delta::ImageDelta;
use super::image::{Applied, METADATA_VERSION, MetadataImage, UNASSIGNED_DIRECTORY};
use super::records::MetadataRecord;
use super::replay::ReplayError;
use super::request::{Request, Response};
use super::rules::ConfigRules;
use crate::protocol::Uuid;
use rand::RngCore;
use std::sync::Arc;

/// The records that a request takes, in order; they are appended as one batch, all or none.
pub type Records = Vec<MetadataRecord<'static>>;

/// The most records that one request may take, as Kafka bounds it (`QuorumController.MAX_RECORDS_PER_USER_OP`).
pub const RECORDS_PER_REQUEST_MAX: usize = 10_000;

/// What a topic gets where its creator does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicDefaults {
    /// `num.partitions`. Default 1.
    pub partitions: i32,
    /// `default.replication.factor`. Default 1.
    pub replication_factor: i16,
}

impl Default for TopicDefaults {
    fn default() -> Self {
        TopicDefaults { partitions: 1, replication_factor: 1 }
    }
}

/// Decides about changes of the metadata. [`handle`](Controller::handle) changes nothing, [`replay`](Controller::replay)
/// alone does.
#[derive(Clone)]
pub struct Controller {
    pub(super) image: MetadataImage,
    pub(super) defaults: TopicDefaults,
    pub(super) rules: Arc<dyn ConfigRules>,
}

impl Controller {
    /// A controller that goes on from `image`.
    pub fn new(image: MetadataImage, defaults: TopicDefaults, rules: Arc<dyn ConfigRules>) -> Controller {
        Controller { image, defaults, rules }
    }

    pub fn image(&self) -> &MetadataImage {
        &self.image
    }

    /// Decides about a request: the answer, once the records are durable. `random` gives new topics their ids and
    /// places their replicas.
    pub fn handle(&self, random: &mut dyn RngCore, request: Request) -> (Response, Records) {
        match request {
            Request::CreateTopics(request) => {
                let (outcomes, records) = self.create_topics(random, request);
                (Response::CreateTopics(outcomes), records)
            }
            Request::DeleteTopics(topics) => {
                let (outcomes, records) = self.delete_topics(&topics);
                (Response::DeleteTopics(outcomes), records)
            }
            Request::CreatePartitions(request) => {
                let (outcomes, records) = self.create_partitions(random, request);
                (Response::CreatePartitions(outcomes), records)
            }
            Request::AlterConfigs(request) => {
                let (outcomes, records) = self.alter_configs(request);
                (Response::AlterConfigs(outcomes), records)
            }
            Request::AllocateProducerIds { broker_id, broker_epoch } => {
                let (outcome, records) = self.allocate_producer_ids(broker_id, broker_epoch);
                (Response::AllocateProducerIds(outcome), records)
            }
            Request::RegisterBroker(request) => {
                let (broker_epoch, records) = self.register_broker(request);
                (Response::RegisterBroker { broker_epoch }, records)
            }
        }
    }

    /// Applies a record that was decided on or read from the log, at the end of the log.
    /// Errors: [`ReplayError`], and then the controller must not be used.
    pub fn replay(&mut self, record: &MetadataRecord<'_>, delta: &mut ImageDelta) -> Result<(), ReplayError> {
        self.image.replay(record, delta)?;
        self.image.applied.end_offset += 1;
        Ok(())
    }

    /// Counts the control record that began an epoch: it takes an offset and changes nothing.
    pub fn control_applied(&mut self) {
        self.image.applied.end_offset += 1;
    }

    /// Takes note of the epoch and the timestamp of the batch that was applied.
    pub fn batch_applied(&mut self, epoch: i32, timestamp: i64) {
        self.image.applied = Applied { epoch, timestamp, ..self.image.applied };
    }

    /// The level of metadata.version, which says in which versions records may be written.
    pub fn metadata_version(&self) -> i16 {
        self.image.feature_level(METADATA_VERSION)
    }

    /// Goes back to `image`: the records behind it could not be made durable.
    pub fn revert(&mut self, image: MetadataImage) {
        self.image = image;
    }

    /// The directory for a new replica on a broker: its only one; where it has several, it chooses itself (KIP-858).
    pub(super) fn directory_for(&self, broker: i32) -> Uuid {
        match self.image.brokers.get(&broker).map(|broker| &broker.directories[..]) {
            Some([only]) => *only,
            _ => UNASSIGNED_DIRECTORY,
        }
    }
}
