//! The controller itself: decides what a request changes, and knows the image that its records have made so far.

use super::delta::ImageDelta;
use super::image::{Applied, METADATA_VERSION, MetadataImage};
use super::leadership::{Turn, UNCLEAN_LEADER_ELECTION};
use super::liveness::Liveness;
use super::records::MetadataRecord;
use super::replay::ReplayError;
use super::request::{Outcome, Request, Response};
use super::rules::ConfigRules;
use rand::RngCore;
use std::collections::BTreeSet;
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
    pub(super) liveness: Liveness,
    /// Whether partitions without a leader may have got a candidate without a request that looks for it.
    look_for_leaders: bool,
    /// When leaders are next balanced.
    pub(super) next_balance: i64,
}

impl Controller {
    /// A controller that goes on from `image`: every registered broker is taken to have been heard now.
    pub fn new(
        image: MetadataImage,
        settings: ControllerSettings,
        rules: Arc<dyn ConfigRules>,
        now: i64,
    ) -> Controller {
        let liveness = Liveness::new(settings.session_timeout_ms, image.brokers.keys().copied(), now);
        let next_balance = settings.leader_balance.map_or(i64::MAX, |balance| now + balance.interval_ms);
        Controller { image, settings, rules, liveness, look_for_leaders: true, next_balance }
    }

    /// Gives a broker whose node is likely to be gone less time to be heard than the others: it led the quorum, and the
    /// quorum has lost it. So a node that is frozen costs little more than the quorum's timeout, not the broker's on top.
    pub fn suspect(&mut self, now: i64, broker: i32) {
        self.liveness.suspect(now, broker);
    }

    /// What time has made due: brokers that were not heard for too long are fenced, leaders go back to where they are
    /// preferred. To be called again, with the records replayed, until it gives nothing.
    pub fn tick(&mut self, now: i64) -> Records {
        self.liveness.called(now);
        let mut due = self.fence_the_silent(now);
        if due.is_empty() && std::mem::take(&mut self.look_for_leaders) {
            due = self.lead_the_leaderless(Turn::Nothing);
        }
        if !due.is_empty() {
            return due;
        }
        match self.settings.leader_balance {
            Some(balance) if self.next_balance <= now => {
                self.next_balance = now + balance.interval_ms;
                self.balance_leaders(balance)
            }
            _ => Records::new(),
        }
    }

    /// When [`tick`](Controller::tick) is to be called next, if nothing happens before.
    pub fn next_deadline(&self) -> i64 {
        if self.look_for_leaders {
            return i64::MIN;
        }
        self.next_balance.min(self.next_silence()).min(self.liveness.next_call())
    }

    /// The brokers that are to lead nothing.
    pub fn drained(&self) -> &BTreeSet<i32> {
        &self.liveness.drained
    }

    pub fn image(&self) -> &MetadataImage {
        &self.image
    }

    /// Decides about a request: the answer, once the records are durable. Only [`replay`](Controller::replay) changes the
    /// image; what is kept here beside it is which brokers were heard and which are drained. `random` gives new topics their
    /// ids and places their replicas.
    pub fn handle(&mut self, now: i64, random: &mut dyn RngCore, request: Request) -> (Response, Records) {
        self.liveness.called(now);
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
            Request::ElectLeaders(request) => {
                let (elections, records) = self.elect_leaders(&request);
                (Response::ElectLeaders(elections), records)
            }
            Request::AlterReassignments(request) => {
                let (outcomes, records) = self.alter_reassignments(&request);
                (Response::AlterReassignments(outcomes), records)
            }
            Request::RegisterBroker(request) => done(Response::RegisterBroker, self.register_broker(now, request)),
            Request::BrokerHeartbeat(heartbeat) => {
                done(Response::BrokerHeartbeat, self.broker_heartbeat(now, &heartbeat))
            }
            Request::BrokerLost { id, epoch } => changed(Response::BrokerLost, self.broker_lost(now, id, epoch)),
            Request::UnregisterBroker { id } => changed(Response::UnregisterBroker, self.unregister_broker(id)),
            Request::DrainLeaders { broker, drained } => {
                done(Response::DrainLeaders, self.drain_leaders(now, broker, drained))
            }
            Request::AlterPartition(request) => done(Response::AlterPartition, self.alter_partition(&request)),
            Request::UpdateFeatures(request) => changed(Response::UpdateFeatures, self.update_features(&request)),
            Request::RegisterController(request) => {
                changed(Response::RegisterController, self.register_controller(request))
            }
            Request::AssignReplicasToDirs(request) => {
                done(Response::AssignReplicasToDirs, self.assign_replicas_to_dirs(&request))
            }
        }
    }

    /// Applies a record that was decided on or read from the log, at the end of the log.
    /// Errors: [`ReplayError`], and then the controller must not be used.
    pub fn replay(&mut self, record: &MetadataRecord<'_>, delta: &mut ImageDelta) -> Result<(), ReplayError> {
        self.image.replay(record, delta)?;
        if let MetadataRecord::Config(config) = record {
            self.look_for_leaders |= config.name == UNCLEAN_LEADER_ELECTION;
        }
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
}

/// The answer and the records of a request that was done, or its refusal alone.
fn done<T>(answer: fn(Outcome<T>) -> Response, outcome: Outcome<(T, Records)>) -> (Response, Records) {
    match outcome {
        Ok((outcome, records)) => (answer(Ok(outcome)), records),
        Err(refusal) => (answer(Err(refusal)), Records::new()),
    }
}

/// As [`done`], where there is nothing to say but that it was.
fn changed(answer: fn(Outcome<()>) -> Response, outcome: Outcome<Records>) -> (Response, Records) {
    done(answer, outcome.map(|records| ((), records)))
}
