//! How a quorum of one starts: what it finds, who it becomes, what a new cluster begins with.

use super::batches::Place;
use super::config_changes::{ELR_VERSION, MIN_INSYNC_REPLICAS};
use super::delta::ImageDelta;
use super::driver::apply;
use super::image::{METADATA_VERSION, MetadataImage, ResourceType};
use super::loader::QuorumControl;
use super::metadata_log::{Found, MetadataError, MetadataLog, read_bootstrap};
use super::quorum_state::QuorumState;
use super::records::{METADATA_VERSION_LATEST, MetadataRecord};
use super::request::{NewTopic, RegisterBroker, Request, Response};
use super::rules::ConfigRules;
use super::state::{Controller, ControllerSettings, TopicDefaults};
use super::topics::config_record;
use crate::log::{LogConfig, LogDirectory};
use crate::protocol::messages::control_records::VotersRecord;
use crate::protocol::messages::metadata_records::{AbortTransactionRecord, FeatureLevelRecord};
use crate::protocol::{DecodeError, Decoder, Wire};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

/// Bytes of a segment at most, so that old ones can go soon after a snapshot.
const SEGMENT_BYTES_MAX: u32 = 64 << 20;

/// What the controller of a node is made of.
#[derive(Clone)]
pub struct DriverConfig {
    pub cluster_id: String,
    /// The directory that the metadata log lies in (`metadata.log.dir`, else the first of `log.dirs`).
    pub directory: Arc<LogDirectory>,
    pub log: MetadataLogConfig,
    /// How this broker registers itself; its id is the node's.
    pub registration: RegisterBroker,
    pub defaults: TopicDefaults,
    /// How the broker's own topics are made when they are first needed.
    pub internal_topics: Vec<NewTopic>,
    /// Whether topics may be deleted (`delete.topic.enable`). Default true.
    pub deletes_topics: bool,
    pub rules: Arc<dyn ConfigRules>,
    /// Gives new topics their ids and places their replicas: random for every start.
    pub seed: u64,
}

/// The metadata log's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataLogConfig {
    /// Bytes of a segment (`metadata.log.segment.bytes`). Default 1 GiB; no more than 64 MiB are used.
    pub segment_bytes: u32,
    /// Milliseconds after which a segment is rolled (`metadata.log.segment.ms`). Default 7 days.
    pub segment_ms: i64,
    /// Bytes of records after which a snapshot is made (`metadata.log.max.record.bytes.between.snapshots`). Default 20 MiB.
    pub snapshot_after_bytes: i64,
    /// Milliseconds after which a snapshot is made if anything has changed (`metadata.log.max.snapshot.interval.ms`);
    /// `None`: never. Default 1 hour.
    pub snapshot_interval_ms: Option<i64>,
}

impl Default for MetadataLogConfig {
    fn default() -> Self {
        const HOUR_MS: i64 = 3_600_000;
        MetadataLogConfig {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * HOUR_MS,
            snapshot_after_bytes: 20 << 20,
            snapshot_interval_ms: Some(HOUR_MS),
        }
    }
}

/// A controller that may begin to work.
pub(super) struct Started {
    pub controller: Controller,
    pub log: MetadataLog,
    pub quorum: QuorumControl,
    /// The epoch in which this node leads.
    pub epoch: i32,
    pub broker_epoch: i64,
}

/// Loads the metadata, leads the next epoch, and registers the broker.
pub(super) fn start(config: &DriverConfig, now: i64) -> Result<Started, MetadataError> {
    let log_config = LogConfig {
        segment_bytes: config.log.segment_bytes.min(SEGMENT_BYTES_MAX),
        segment_ms: config.log.segment_ms,
        retention_ms: -1,
        retention_bytes: -1,
        ..LogConfig::default()
    };
    let Found { mut log, loader, quorum_state } = MetadataLog::open(&config.directory, log_config, now)?;
    let node_id = config.registration.id;
    let directory = log.directory().to_owned();
    let io = |source| MetadataError::Io { path: directory.clone(), source };
    check_voters(&directory, node_id, &quorum_state, &loader.quorum)?;
    let epoch = loader.applied().epoch.max(quorum_state.leader_epoch) + 1;
    log.write_quorum_state(&lead(node_id, epoch, &quorum_state)).map_err(io)?;

    let (quorum, unfinished) = (loader.quorum.clone(), loader.in_transaction());
    let settings = ControllerSettings { node_id, defaults: config.defaults, ..ControllerSettings::default() };
    let mut controller = Controller::new(loader.into_image(), settings, config.rules.clone(), now);
    let mut bytes = controller.lead(node_id, epoch, now);
    let mut delta = ImageDelta::default();
    if unfinished {
        // A transaction that its controller did not finish never happened (KIP-868).
        let abort = AbortTransactionRecord::default().into();
        apply(&mut controller, epoch, now, &[abort], &mut bytes, &mut delta);
    }
    if controller.metadata_version() == 0 {
        let formatted = read_bootstrap(&config.directory)?;
        apply(&mut controller, epoch, now, &bootstrap(&formatted), &mut bytes, &mut delta);
    }
    let broker_epoch = register(config, &mut controller, epoch, now, &mut bytes, &mut delta);
    log.append(&bytes, now).map_err(io)?;
    Ok(Started { controller, log, quorum, epoch, broker_epoch })
}

impl Controller {
    /// The first batch of an epoch, by which its leader makes itself known in the log.
    fn lead(&mut self, node_id: i32, epoch: i32, now: i64) -> Vec<u8> {
        let place = Place { base_offset: self.image().applied.end_offset, epoch, timestamp: now };
        let batch = place.leader_change(node_id);
        self.control_applied();
        self.batch_applied(epoch, now);
        batch
    }
}

fn register(
    config: &DriverConfig,
    controller: &mut Controller,
    epoch: i32,
    now: i64,
    bytes: &mut Vec<u8>,
    delta: &mut ImageDelta,
) -> i64 {
    let mut random = StdRng::seed_from_u64(config.seed);
    let request = Request::RegisterBroker(config.registration.clone());
    let (response, records) = controller.handle(now, &mut random, request);
    let Response::RegisterBroker(Ok(broker_epoch)) = response else {
        unreachable!("the controller answered {response:?}")
    };
    apply(controller, epoch, now, &records, bytes, delta);
    broker_epoch
}

fn lead(node_id: i32, leader_epoch: i32, before: &QuorumState) -> QuorumState {
    let voters = if before.data_version == 0 { vec![node_id] } else { Vec::new() };
    QuorumState { leader_id: node_id, leader_epoch, voted_id: -1, voters, data_version: before.data_version }
}

/// The records of a new cluster: those that its directory was formatted with, or the newest metadata.version.
fn bootstrap(formatted: &MetadataImage) -> Vec<MetadataRecord<'_>> {
    if formatted.feature_level(METADATA_VERSION) == 0 {
        let name = Cow::Borrowed(METADATA_VERSION);
        return vec![FeatureLevelRecord { name, feature_level: METADATA_VERSION_LATEST }.into()];
    }
    let mut records: Vec<_> = formatted.records().collect();
    let elr = formatted.feature_level(ELR_VERSION) > 0;
    if elr && !formatted.configs.default_broker().contains_key(MIN_INSYNC_REPLICAS) {
        records.push(config_record(ResourceType::Broker, "", MIN_INSYNC_REPLICAS, Some("1")));
    }
    records
}

/// A quorum of several nodes is not for one of them to lead alone.
fn check_voters(
    directory: &Path,
    node_id: i32,
    state: &QuorumState,
    quorum: &QuorumControl,
) -> Result<(), MetadataError> {
    let mut voters = state.voters.clone();
    if let Some(record) = &quorum.voters {
        let read = VotersRecord::read(&mut Decoder::new(record, 0, true));
        let reason = |error: DecodeError| MetadataError::QuorumState {
            path: directory.to_owned(),
            reason: format!("the voters in the log cannot be read: {error}"),
        };
        voters = read.map_err(reason)?.voters.iter().map(|voter| voter.voter_id).collect();
    }
    if voters.is_empty() || voters == [node_id] {
        return Ok(());
    }
    Err(MetadataError::Voters { path: directory.to_owned(), voters, node_id })
}
