//! The controller itself: decides what a request changes, and knows the image that its records have made so far.

use super::delta::ImageDelta;
use super::image::{Applied, METADATA_VERSION, MetadataImage, UNASSIGNED_DIRECTORY};
use super::records::MetadataRecord;
use super::replay::ReplayError;
use super::request::{Refusal, Request, Response};
use super::rules::ConfigRules;
use crate::protocol::{ErrorCode, Uuid};
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

/// What a controller is told by the configuration of its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerSettings {
    pub node_id: i32,
    pub defaults: TopicDefaults,
    /// Time without a heartbeat after which a broker is fenced (`broker.session.timeout.ms`). Default 600.
    pub session_timeout_ms: i64,
    /// `min.insync.replicas`. Default 1.
    pub min_insync_replicas: i32,
    /// `unclean.leader.election.enable`. Default false.
    pub unclean_leader_election: bool,
    /// When leaders go back to where they are preferred; `None` where they stay (`auto.leader.rebalance.enable`).
    pub leader_balance: Option<LeaderBalance>,
}

/// How leaders are balanced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderBalance {
    /// `leader.imbalance.check.interval.seconds`, in milliseconds. Default 300,000.
    pub interval_ms: i64,
    /// The share of the partitions that prefer a broker and are led by others above which they go back
    /// (`leader.imbalance.per.broker.percentage`). Default 10.
    pub imbalance_percentage: u32,
}

impl Default for LeaderBalance {
    fn default() -> Self {
        LeaderBalance { interval_ms: 300_000, imbalance_percentage: 10 }
    }
}

impl Default for ControllerSettings {
    fn default() -> Self {
        ControllerSettings {
            node_id: 1,
            defaults: TopicDefaults::default(),
            session_timeout_ms: 600,
            min_insync_replicas: 1,
            unclean_leader_election: false,
            leader_balance: Some(LeaderBalance::default()),
        }
    }
}

/// Decides about changes of the metadata. [`handle`](Controller::handle) changes nothing, [`replay`](Controller::replay)
/// alone does.
#[derive(Clone)]
pub struct Controller {
    pub(super) image: MetadataImage,
    pub(super) settings: ControllerSettings,
    pub(super) rules: Arc<dyn ConfigRules>,
}

impl Controller {
    /// A controller that goes on from `image`: every registered broker is taken to have been heard now.
    pub fn new(
        image: MetadataImage,
        settings: ControllerSettings,
        rules: Arc<dyn ConfigRules>,
        _now: i64,
    ) -> Controller {
        Controller { image, settings, rules }
    }

    /// Gives a broker whose node is likely to be gone less time to be heard than the others: it led the quorum, and the
    /// quorum has lost it.
    pub fn suspect(&mut self, _now: i64, _broker: i32) {}

    /// What time has made due: brokers that were not heard for too long are fenced, leaders go back to where they are
    /// preferred. To be called again until it gives nothing.
    pub fn tick(&mut self, _now: i64) -> Records {
        Records::new()
    }

    /// When [`tick`](Controller::tick) has something to do next.
    pub fn next_deadline(&self) -> i64 {
        i64::MAX
    }

    pub fn image(&self) -> &MetadataImage {
        &self.image
    }

    /// Decides about a request: the answer, once the records are durable. `random` gives new topics their ids and
    /// places their replicas.
    pub fn handle(&mut self, _now: i64, random: &mut dyn RngCore, request: Request) -> (Response, Records) {
        let unbuilt = || Refusal::from(ErrorCode::UnknownServerError);
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
                (Response::RegisterBroker(Ok(broker_epoch)), records)
            }
            Request::BrokerHeartbeat(_) => (Response::BrokerHeartbeat(Err(unbuilt())), Records::new()),
            Request::BrokerLost { .. } => (Response::BrokerLost(Err(unbuilt())), Records::new()),
            Request::UnregisterBroker { .. } => (Response::UnregisterBroker(Err(unbuilt())), Records::new()),
            Request::DrainLeaders { .. } => (Response::DrainLeaders(Err(unbuilt())), Records::new()),
            Request::AlterPartition(_) => (Response::AlterPartition(Err(unbuilt())), Records::new()),
            Request::ElectLeaders(_) => (Response::ElectLeaders(Vec::new()), Records::new()),
            Request::AlterReassignments(_) => (Response::AlterReassignments(Vec::new()), Records::new()),
            Request::UpdateFeatures(_) => (Response::UpdateFeatures(Err(unbuilt())), Records::new()),
            Request::RegisterController(_) => (Response::RegisterController(Err(unbuilt())), Records::new()),
            Request::AssignReplicasToDirs(_) => (Response::AssignReplicasToDirs(Err(unbuilt())), Records::new()),
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
