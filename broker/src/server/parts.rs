//! The parts of a node, made of its configuration.

use super::apply::{Applier, FoundPartitions};
use super::config_rules::Rules;
use super::sockets::BoundListener;
use crate::config::{Config, broker};
use crate::controller::driver::{Driver, DriverConfig, MetadataLogConfig};
use crate::controller::health::IsrDefaults;
use crate::controller::image::{Endpoint, SupportedFeature};
use crate::controller::request::{
    AlterPartition, AlteredPartition, NewTopic, Outcome, Refusal, RegisterBroker, RegisterController,
};
use crate::controller::state::{ControllerSettings, LeaderBalance, TopicDefaults};
use crate::controller::{ControllerClient, SUPPORTED_FEATURES, topic_name};
use crate::coordinator::{BoxFuture, GroupConfig};
use crate::handlers::{MetadataSettings, Rooms, Settings};
use crate::log::{FileCache, LogDirectory, LogDirs};
use crate::partition::rate::Windows;
use crate::partition::{FetcherSettings, Followers, IsrChannel, ReplicaSettings};
use crate::protocol::Uuid;
use crate::raft::wire::{Address, Border};
use crate::raft::{self, ReplicaId, ReplicaKey};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// Log files that are open at the same time, at most; those beyond are closed, and opened again when they are used.
const OPEN_FILES_MAX: usize = 4096;
/// Listeners speak PLAINTEXT, in Kafka's numbers.
const PLAINTEXT: i16 = 0;

/// Errors: a directory that cannot be used, or that belongs to another node or cluster.
pub fn log_dirs(config: &Config) -> anyhow::Result<Arc<LogDirs>> {
    let mut paths = config.log_dirs.dirs.clone();
    if !paths.contains(&config.log_dirs.metadata_dir) {
        paths.push(config.log_dirs.metadata_dir.clone());
    }
    let known = LogDirs::cluster_id_of(&paths)?;
    let cluster_id = config.node.cluster_id.clone().or(known).or_else(|| cluster_id_of_voters(config));
    let log_dirs = LogDirs::open(&paths, config.node.id, cluster_id.as_deref(), FileCache::new(OPEN_FILES_MAX))?;
    log_dirs.set_producer_id_expiration_ms(config.log_dirs.producer_id_expiration_ms);
    Ok(Arc::new(log_dirs))
}

/// The id of a new cluster that nobody has named: the nodes that name the same voters come to the same one.
fn cluster_id_of_voters(config: &Config) -> Option<String> {
    if config.quorum.voters.is_empty() {
        return None;
    }
    let voters: Vec<String> =
        config.quorum.voters.iter().map(|(id, (host, port))| format!("{id}@{host}:{port}")).collect();
    let voters = voters.join(",");
    let half = |algorithm| crc_fast::checksum(algorithm, voters.as_bytes()).to_be_bytes();
    let (high, low) = (half(crc_fast::CrcAlgorithm::Crc64Nvme), half(crc_fast::CrcAlgorithm::Crc64Ecma182));
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&high);
    bytes[8..].copy_from_slice(&low);
    Some(Uuid::from_random(bytes).to_string())
}

/// Errors: the metadata cannot be loaded.
pub fn controller(config: &Config, log_dirs: &LogDirs) -> anyhow::Result<(Driver, ControllerClient)> {
    let is_metadata = |directory: &&Arc<LogDirectory>| directory.path() == config.log_dirs.metadata_dir;
    let directory = log_dirs.directories().iter().find(is_metadata).expect("it is among those opened").clone();
    Ok(Driver::start(DriverConfig {
        directory,
        log: MetadataLogConfig {
            segment_bytes: config.metadata_log.segment_bytes,
            segment_ms: config.metadata_log.segment_ms,
            snapshot_after_bytes: config.metadata_log.snapshot_after_bytes,
            snapshot_interval_ms: config.metadata_log.snapshot_interval_ms,
        },
        quorum: quorum(config),
        border: border(config, log_dirs.cluster_id()),
        controller: controller_settings(config),
        internal_topics: vec![offsets_topic(config)],
        deletes_topics: config.topics.delete,
        rules: Arc::new(Rules { broker_id: config.node.id, settings: config.settings.clone() }),
        seed: rand::random(),
    })?)
}

fn quorum(config: &Config) -> raft::Settings {
    let local = ReplicaKey::of(ReplicaId(config.node.id));
    let voters = config.quorum.voters.keys().copied().map(ReplicaId);
    let alone = config.quorum.voters.is_empty().then_some(local.id);
    raft::Settings {
        election_timeout_ms: config.quorum.election_timeout_ms,
        fetch_timeout_ms: config.quorum.fetch_timeout_ms,
        election_backoff_max_ms: config.quorum.election_backoff_max_ms,
        request_timeout_ms: config.quorum.request_timeout_ms,
        retry_backoff_ms: config.quorum.retry_backoff_ms,
        ..raft::Settings::new(local, voters.chain(alone))
    }
}

fn border(config: &Config, cluster_id: &str) -> Border {
    let address =
        |(id, (host, port)): (&i32, &(String, u16))| (ReplicaId(*id), Address { host: host.clone(), port: *port });
    let listener = config.network.listeners.controller.first().map_or("CONTROLLER", |listener| &listener.name);
    Border {
        cluster_id: cluster_id.to_owned(),
        local: ReplicaKey::of(ReplicaId(config.node.id)),
        listener: listener.to_owned(),
        voters: config.quorum.voters.iter().map(address).collect::<BTreeMap<_, _>>(),
    }
}

fn controller_settings(config: &Config) -> ControllerSettings {
    ControllerSettings {
        node_id: config.node.id,
        defaults: TopicDefaults {
            partitions: config.topics.partitions,
            replication_factor: config.topics.replication_factor,
        },
        session_timeout_ms: config.quorum.session_timeout_ms,
        min_insync_replicas: config.topics.min_insync_replicas,
        unclean_leader_election: config.topics.unclean_leader_election,
        // As in Apache Kafka 4, one leader that is not where it is preferred is enough.
        leader_balance: config
            .topics
            .leader_balance_interval_ms
            .map(|interval_ms| LeaderBalance { interval_ms, imbalance_percentage: 0 }),
    }
}

/// How the controller of a node makes itself known; `None` for one that nobody else needs to find.
pub fn controller_registration(config: &Config) -> Option<RegisterController> {
    let listener = config.network.listeners.advertised_controller.as_ref().filter(|_| config.node.is_controller)?;
    Some(RegisterController {
        id: config.node.id,
        incarnation: Uuid::from_random(rand::random()),
        endpoints: vec![Endpoint {
            name: listener.name.clone(),
            host: listener.host.clone(),
            port: listener.port,
            security_protocol: PLAINTEXT,
        }],
        features: features(),
    })
}

fn features() -> Vec<SupportedFeature> {
    let feature = |(name, levels): (&str, std::ops::RangeInclusive<i16>)| SupportedFeature {
        name: name.to_owned(),
        min: *levels.start(),
        max: *levels.end(),
    };
    SUPPORTED_FEATURES.into_iter().map(feature).collect()
}

pub fn registration(config: &Config, listeners: &[BoundListener], log_dirs: &LogDirs) -> RegisterBroker {
    let endpoint = |listener: &BoundListener| {
        let advertised = config.network.listeners.advertised.iter().find(|other| other.name == listener.name)?;
        Some(Endpoint {
            name: listener.name.clone(),
            host: advertised.host.clone(),
            // A port of 0 is the one that the operating system chose.
            port: if advertised.port == 0 { listener.port } else { advertised.port },
            security_protocol: PLAINTEXT,
        })
    };
    RegisterBroker {
        id: config.node.id,
        incarnation: Uuid::from_random(rand::random()),
        endpoints: listeners.iter().filter_map(endpoint).collect(),
        features: features(),
        rack: config.node.rack.clone(),
        directories: log_dirs.directories().iter().map(|directory| directory.id()).collect(),
        previous_epoch: log_dirs.previous_broker_epoch(),
    }
}

fn offsets_topic(config: &Config) -> NewTopic {
    let configs = [
        ("cleanup.policy", "compact".to_owned()),
        ("compression.type", "producer".to_owned()),
        ("segment.bytes", config.offsets.topic_segment_bytes.to_string()),
    ];
    NewTopic {
        partitions: config.offsets.topic_partitions,
        replication_factor: config.offsets.topic_replication_factor,
        configs: configs.into_iter().map(|(name, value)| (name.to_owned(), Some(value))).collect(),
        ..NewTopic::with_defaults(topic_name::CONSUMER_OFFSETS)
    }
}

pub fn group_config(config: &Config) -> GroupConfig {
    GroupConfig {
        min_session_timeout_ms: config.groups.session_timeout_ms_min,
        max_session_timeout_ms: config.groups.session_timeout_ms_max,
        initial_rebalance_delay_ms: config.groups.initial_rebalance_delay_ms,
        max_size: config.groups.members_max as usize,
        offset_metadata_max_bytes: config.offsets.metadata_bytes_max as usize,
        offsets_retention_ms: config.offsets.retention_ms,
        offsets_retention_check_interval_ms: config.offsets.retention_check_interval_ms,
        offsets_load_buffer_size: config.offsets.load_buffer_bytes as usize,
        offsets_commit_timeout_ms: u64::try_from(config.offsets.commit_timeout_ms).unwrap_or(0),
        offsets_topic_num_partitions: config.offsets.topic_partitions,
        offsets_topic_replication_factor: config.offsets.topic_replication_factor,
        offsets_topic_segment_bytes: config.offsets.topic_segment_bytes,
    }
}

/// Errors: a log directory cannot be read.
pub fn applier(config: &Config, rooms: &Rooms, incarnation: Uuid) -> anyhow::Result<Applier> {
    const METADATA_TOPIC: &str = "__cluster_metadata";
    let found = rooms.log_dirs.partitions()?.into_iter().filter(|found| found.topic != METADATA_TOPIC);
    let found: FoundPartitions = found.map(|found| ((found.topic.clone(), found.partition), found)).collect();
    Ok(Applier {
        broker_id: config.node.id,
        incarnation,
        superseded: watch::Sender::new(false),
        log_dirs: rooms.log_dirs.clone(),
        partitions: rooms.partitions.clone(),
        groups: rooms.groups.clone(),
        settings: config.settings.clone(),
        found: Mutex::new(found),
        failed: Mutex::default(),
        applying: Mutex::default(),
        followers: followers(config, rooms),
        open_threads: (config.log_dirs.recovery_threads_per_dir as usize).max(1) * rooms.log_dirs.directories().len(),
        commit_timeout: Duration::from_millis(u64::try_from(config.offsets.commit_timeout_ms).unwrap_or(0)),
        runtime: tokio::runtime::Handle::current(),
    })
}

/// What replicas are configured with.
pub fn replicas(config: &Config) -> ReplicaSettings {
    ReplicaSettings {
        broker_id: config.node.id,
        lag_time_max_ms: config.replication.lag_time_max_ms,
        rack_aware: config.replication.rack_aware,
        throttle_windows: Windows {
            count: config.replication.throttle_windows,
            size_ms: i64::from(config.replication.throttle_window_seconds) * 1000,
        },
    }
}

fn followers(config: &Config, rooms: &Rooms) -> Arc<Followers> {
    let replication = &config.replication;
    let settings = FetcherSettings {
        listener: config.network.listeners.inter_broker.clone(),
        fetchers: replication.fetchers as usize,
        wait_max_ms: replication.fetch_wait_max_ms,
        bytes_min: replication.fetch_bytes_min,
        partition_bytes_max: replication.partition_bytes_max,
        response_bytes_max: replication.response_bytes_max,
        backoff_max_ms: replication.fetch_backoff_ms.into(),
        socket_timeout_ms: replication.socket_timeout_ms.into(),
    };
    let controller = rooms.controller.clone();
    let vanished = controller.vanished().clone();
    let epoch = Arc::new(move || controller.broker_epoch());
    Followers::new(settings, rooms.partitions.broker().clone(), epoch, vanished, tokio::runtime::Handle::current())
}

/// The way of leaders to the controller.
impl IsrChannel for ControllerClient {
    fn broker_epoch(&self) -> i64 {
        ControllerClient::broker_epoch(self)
    }

    fn alter(&self, request: AlterPartition) -> BoxFuture<'_, Result<Vec<Outcome<AlteredPartition>>, Refusal>> {
        Box::pin(async move { self.alter_partition(request).await? })
    }
}

/// What a topic's `min.insync.replicas` is where nothing else says it.
pub fn isr_defaults(config: &Config) -> IsrDefaults {
    IsrDefaults {
        node_id: config.node.id,
        min_insync_replicas: usize::try_from(config.settings.get(broker::MIN_INSYNC_REPLICAS)).unwrap_or(1),
    }
}

pub fn settings(config: &Config) -> Settings {
    Settings {
        node_id: config.node.id,
        config: config.settings.clone(),
        metadata: MetadataSettings { auto_create_topics: config.topics.auto_create },
        fetch_bytes_max: i32::try_from(config.fetch.bytes_max).unwrap_or(i32::MAX),
    }
}
