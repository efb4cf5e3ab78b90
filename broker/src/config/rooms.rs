//! The settings as the rooms of the broker receive them: each gets its own small struct, and none the whole.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::listeners::{self, Listeners};
use super::quorum::{NodeConfig, QuorumConfig};
use super::settings::Settings;
use super::{ConfigError, broker};

/// Listeners and connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkConfig {
    pub listeners: Listeners,
    /// `socket.request.max.bytes`.
    pub request_bytes_max: u32,
    /// `socket.send.buffer.bytes`. `None`: the operating system's.
    pub send_buffer_bytes: Option<u32>,
    /// `socket.receive.buffer.bytes`. `None`: the operating system's.
    pub receive_buffer_bytes: Option<u32>,
    /// `socket.listen.backlog.size`.
    pub backlog: u32,
    /// `connections.max.idle.ms`. `None`: a connection may idle for ever.
    pub idle_ms_max: Option<u64>,
    pub limits: ConnectionLimits,
}

impl NetworkConfig {
    /// Errors: `InvalidValue`.
    pub fn from_settings(
        settings: &Settings,
        node: &NodeConfig,
        quorum: &QuorumConfig,
        machine: &str,
    ) -> Result<NetworkConfig, ConfigError> {
        let buffer = |bytes: i32| u32::try_from(bytes).ok().filter(|bytes| *bytes > 0);
        Ok(NetworkConfig {
            listeners: Listeners::from_settings(settings, node, quorum, machine)?,
            request_bytes_max: unsigned(settings.get(broker::SOCKET_REQUEST_MAX_BYTES)),
            send_buffer_bytes: buffer(settings.get(broker::SOCKET_SEND_BUFFER_BYTES)),
            receive_buffer_bytes: buffer(settings.get(broker::SOCKET_RECEIVE_BUFFER_BYTES)),
            backlog: unsigned(settings.get(broker::SOCKET_LISTEN_BACKLOG_SIZE)),
            idle_ms_max: u64::try_from(settings.get(broker::CONNECTIONS_MAX_IDLE_MS)).ok(),
            limits: ConnectionLimits::from_settings(settings),
        })
    }
}

/// How many connections there may be at the same time. May change while the broker runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// `max.connections`.
    pub connections_max: u32,
    /// `max.connections.per.ip`.
    pub per_ip_max: u32,
    /// `max.connections.per.ip.overrides`, by address or host name.
    pub per_ip_overrides: BTreeMap<String, u32>,
}

impl ConnectionLimits {
    pub fn from_settings(settings: &Settings) -> ConnectionLimits {
        let overrides = settings.get(broker::MAX_CONNECTIONS_PER_IP_OVERRIDES);
        ConnectionLimits {
            connections_max: unsigned(settings.get(broker::MAX_CONNECTIONS)),
            per_ip_max: unsigned(settings.get(broker::MAX_CONNECTIONS_PER_IP)),
            per_ip_overrides: listeners::ip_overrides(&overrides).expect("checked when it was stored"),
        }
    }
}

/// Topics that are created without details, and what may be done with topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicsConfig {
    /// `auto.create.topics.enable`.
    pub auto_create: bool,
    /// `delete.topic.enable`.
    pub delete: bool,
    /// `num.partitions`.
    pub partitions: i32,
    /// `default.replication.factor`.
    pub replication_factor: i16,
    /// `max.request.partition.size.limit`.
    pub described_partitions_max: u32,
    /// `min.insync.replicas`.
    pub min_insync_replicas: i32,
    /// `unclean.leader.election.enable`.
    pub unclean_leader_election: bool,
    /// `leader.imbalance.check.interval.seconds`, in milliseconds; `None` without `auto.leader.rebalance.enable`.
    pub leader_balance_interval_ms: Option<i64>,
}

impl TopicsConfig {
    /// Errors: `InvalidValue`.
    pub fn from_settings(settings: &Settings) -> Result<TopicsConfig, ConfigError> {
        let factor = settings.get(broker::DEFAULT_REPLICATION_FACTOR);
        let key = broker::DEFAULT_REPLICATION_FACTOR.name();
        let replication_factor = i16::try_from(factor).ok().filter(|factor| *factor >= 1);
        Ok(TopicsConfig {
            auto_create: settings.get(broker::AUTO_CREATE_TOPICS_ENABLE),
            delete: settings.get(broker::DELETE_TOPIC_ENABLE),
            partitions: settings.get(broker::NUM_PARTITIONS),
            replication_factor: replication_factor
                .ok_or_else(|| ConfigError::invalid(key, &factor.to_string(), "Value must be between 1 and 32767"))?,
            described_partitions_max: unsigned(settings.get(broker::MAX_REQUEST_PARTITION_SIZE_LIMIT)),
            min_insync_replicas: settings.get(broker::MIN_INSYNC_REPLICAS),
            unclean_leader_election: settings.get(broker::UNCLEAN_LEADER_ELECTION_ENABLE),
            leader_balance_interval_ms: settings
                .get(broker::AUTO_LEADER_REBALANCE_ENABLE)
                .then(|| settings.get(broker::LEADER_IMBALANCE_CHECK_INTERVAL_SECONDS).saturating_mul(1000)),
        })
    }
}

/// Limits of Fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchConfig {
    /// `fetch.max.bytes`.
    pub bytes_max: u32,
    /// `max.incremental.fetch.session.cache.slots`.
    pub sessions_max: u32,
}

impl FetchConfig {
    pub fn from_settings(settings: &Settings) -> FetchConfig {
        FetchConfig {
            bytes_max: unsigned(settings.get(broker::FETCH_MAX_BYTES)),
            sessions_max: unsigned(settings.get(broker::MAX_INCREMENTAL_FETCH_SESSION_CACHE_SLOTS)),
        }
    }
}

/// How replicas are kept alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicationConfig {
    /// `num.replica.fetchers`.
    pub fetchers: u32,
    /// `replica.fetch.min.bytes`.
    pub fetch_bytes_min: i32,
    /// `replica.fetch.max.bytes`.
    pub partition_bytes_max: i32,
    /// `replica.fetch.response.max.bytes`.
    pub response_bytes_max: i32,
    /// `replica.fetch.wait.max.ms`.
    pub fetch_wait_max_ms: i32,
    /// `replica.fetch.backoff.ms`.
    pub fetch_backoff_ms: u32,
    /// `replica.socket.timeout.ms`.
    pub socket_timeout_ms: u32,
    /// `replica.lag.time.max.ms`.
    pub lag_time_max_ms: i64,
    /// Whether `replica.selector.class` is Kafka's `RackAwareReplicaSelector`.
    pub rack_aware: bool,
    /// `replication.quota.window.num`.
    pub throttle_windows: u32,
    /// `replication.quota.window.size.seconds`.
    pub throttle_window_seconds: u32,
}

/// What replicas that are moved may take, in bytes a second. May change while the broker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottledRates {
    /// `leader.replication.throttled.rate`.
    pub leader: i64,
    /// `follower.replication.throttled.rate`.
    pub follower: i64,
}

impl ThrottledRates {
    pub fn from_settings(settings: &Settings) -> ThrottledRates {
        ThrottledRates {
            leader: settings.get(broker::LEADER_REPLICATION_THROTTLED_RATE),
            follower: settings.get(broker::FOLLOWER_REPLICATION_THROTTLED_RATE),
        }
    }
}

impl ReplicationConfig {
    /// Errors: `InvalidValue`.
    pub fn from_settings(settings: &Settings) -> Result<ReplicationConfig, ConfigError> {
        Ok(ReplicationConfig {
            fetchers: unsigned(settings.get(broker::NUM_REPLICA_FETCHERS)).max(1),
            fetch_bytes_min: settings.get(broker::REPLICA_FETCH_MIN_BYTES).max(1),
            partition_bytes_max: settings.get(broker::REPLICA_FETCH_MAX_BYTES),
            response_bytes_max: settings.get(broker::REPLICA_FETCH_RESPONSE_MAX_BYTES),
            fetch_wait_max_ms: settings.get(broker::REPLICA_FETCH_WAIT_MAX_MS).max(0),
            fetch_backoff_ms: unsigned(settings.get(broker::REPLICA_FETCH_BACKOFF_MS)),
            socket_timeout_ms: unsigned(settings.get(broker::REPLICA_SOCKET_TIMEOUT_MS)),
            lag_time_max_ms: settings.get(broker::REPLICA_LAG_TIME_MAX_MS),
            rack_aware: is_rack_aware(settings)?,
            throttle_windows: unsigned(settings.get(broker::REPLICATION_QUOTA_WINDOW_NUM)),
            throttle_window_seconds: unsigned(settings.get(broker::REPLICATION_QUOTA_WINDOW_SIZE_SECONDS)),
        })
    }
}

fn is_rack_aware(settings: &Settings) -> Result<bool, ConfigError> {
    const RACK_AWARE: &str = "org.apache.kafka.common.replica.RackAwareReplicaSelector";
    let key = broker::REPLICA_SELECTOR_CLASS.name();
    match settings.get(broker::REPLICA_SELECTOR_CLASS).filter(|class| !class.is_empty()) {
        None => Ok(false),
        Some(class) if class == RACK_AWARE => Ok(true),
        Some(class) => Err(ConfigError::invalid(key, &class, format!("only {RACK_AWARE} is known"))),
    }
}

/// Where logs are, and the rhythm of the work on all of them. What a topic may set for itself is in `LogConfig`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDirsConfig {
    /// `log.dirs` or `log.dir`. Never empty, none of them twice.
    pub dirs: Vec<PathBuf>,
    /// `metadata.log.dir`, or the first of `dirs`.
    pub metadata_dir: PathBuf,
    /// `num.recovery.threads.per.data.dir`.
    pub recovery_threads_per_dir: u32,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval_ms: i64,
    /// `log.flush.scheduler.interval.ms`.
    pub flush_check_interval_ms: i64,
    /// `log.flush.offset.checkpoint.interval.ms`.
    pub recovery_point_checkpoint_interval_ms: i64,
    /// `log.flush.start.offset.checkpoint.interval.ms`.
    pub log_start_offset_checkpoint_interval_ms: i64,
    /// `replica.high.watermark.checkpoint.interval.ms`.
    pub high_watermark_checkpoint_interval_ms: i64,
    /// `producer.id.expiration.ms`.
    pub producer_id_expiration_ms: i64,
    /// `producer.id.expiration.check.interval.ms`.
    pub producer_id_expiration_check_interval_ms: i64,
}

impl LogDirsConfig {
    /// Errors: `InvalidValue`.
    pub fn from_settings(settings: &Settings) -> Result<LogDirsConfig, ConfigError> {
        let dirs = log_dirs(settings)?;
        let metadata_dir = settings.get(broker::METADATA_LOG_DIR).filter(|dir| !dir.is_empty()).map(PathBuf::from);
        Ok(LogDirsConfig {
            metadata_dir: metadata_dir.unwrap_or_else(|| dirs[0].clone()),
            dirs,
            recovery_threads_per_dir: unsigned(settings.get(broker::NUM_RECOVERY_THREADS_PER_DATA_DIR)),
            retention_check_interval_ms: settings.get(broker::LOG_RETENTION_CHECK_INTERVAL_MS),
            flush_check_interval_ms: settings.get(broker::LOG_FLUSH_SCHEDULER_INTERVAL_MS),
            recovery_point_checkpoint_interval_ms: settings.get(broker::LOG_FLUSH_OFFSET_CHECKPOINT_INTERVAL_MS).into(),
            log_start_offset_checkpoint_interval_ms: settings
                .get(broker::LOG_FLUSH_START_OFFSET_CHECKPOINT_INTERVAL_MS)
                .into(),
            high_watermark_checkpoint_interval_ms: settings.get(broker::REPLICA_HIGH_WATERMARK_CHECKPOINT_INTERVAL_MS),
            producer_id_expiration_ms: settings.get(broker::PRODUCER_ID_EXPIRATION_MS).into(),
            producer_id_expiration_check_interval_ms: settings
                .get(broker::PRODUCER_ID_EXPIRATION_CHECK_INTERVAL_MS)
                .into(),
        })
    }
}

fn log_dirs(settings: &Settings) -> Result<Vec<PathBuf>, ConfigError> {
    let (key, text) = match settings.get(broker::LOG_DIRS) {
        Some(text) => ("log.dirs", text),
        None => ("log.dir", settings.get(broker::LOG_DIR)),
    };
    let mut dirs: Vec<PathBuf> = Vec::new();
    for dir in text.split(',').map(str::trim).filter(|dir| !dir.is_empty()).map(PathBuf::from) {
        if dirs.contains(&dir) {
            return Err(ConfigError::invalid(key, &text, format!("{} is there twice", dir.display())));
        }
        dirs.push(dir);
    }
    match dirs.is_empty() {
        true => Err(ConfigError::invalid(key, &text, "at least one directory is expected")),
        false => Ok(dirs),
    }
}

/// The metadata log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataLogConfig {
    /// `metadata.log.segment.bytes`.
    pub segment_bytes: u32,
    /// `metadata.log.segment.ms`.
    pub segment_ms: i64,
    /// `metadata.log.max.record.bytes.between.snapshots`.
    pub snapshot_after_bytes: i64,
    /// `metadata.log.max.snapshot.interval.ms`. `None`: no snapshot for its age.
    pub snapshot_interval_ms: Option<i64>,
    /// `metadata.max.retention.bytes`; negative: no limit.
    pub retention_bytes: i64,
    /// `metadata.max.retention.ms`; negative: no limit.
    pub retention_ms: i64,
}

impl MetadataLogConfig {
    pub fn from_settings(settings: &Settings) -> MetadataLogConfig {
        MetadataLogConfig {
            segment_bytes: unsigned(settings.get(broker::METADATA_LOG_SEGMENT_BYTES)),
            segment_ms: settings.get(broker::METADATA_LOG_SEGMENT_MS),
            snapshot_after_bytes: settings.get(broker::METADATA_LOG_MAX_RECORD_BYTES_BETWEEN_SNAPSHOTS),
            snapshot_interval_ms: Some(settings.get(broker::METADATA_LOG_MAX_SNAPSHOT_INTERVAL_MS))
                .filter(|ms| *ms > 0),
            retention_bytes: settings.get(broker::METADATA_MAX_RETENTION_BYTES),
            retention_ms: settings.get(broker::METADATA_MAX_RETENTION_MS),
        }
    }
}

/// Consumer groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.initial.rebalance.delay.ms`.
    pub initial_rebalance_delay_ms: i32,
    /// `group.min.session.timeout.ms`.
    pub session_timeout_ms_min: i32,
    /// `group.max.session.timeout.ms`.
    pub session_timeout_ms_max: i32,
    /// `group.max.size`.
    pub members_max: u32,
}

impl GroupConfig {
    pub fn from_settings(settings: &Settings) -> GroupConfig {
        GroupConfig {
            initial_rebalance_delay_ms: settings.get(broker::GROUP_INITIAL_REBALANCE_DELAY_MS).max(0),
            session_timeout_ms_min: settings.get(broker::GROUP_MIN_SESSION_TIMEOUT_MS),
            session_timeout_ms_max: settings.get(broker::GROUP_MAX_SESSION_TIMEOUT_MS),
            members_max: unsigned(settings.get(broker::GROUP_MAX_SIZE)),
        }
    }
}

/// Committed offsets and the topic they are kept in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetsConfig {
    /// `offset.metadata.max.bytes`.
    pub metadata_bytes_max: u32,
    /// `offsets.commit.timeout.ms`.
    pub commit_timeout_ms: i32,
    /// `offsets.retention.minutes`, as milliseconds.
    pub retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub retention_check_interval_ms: i64,
    /// `offsets.load.buffer.size`.
    pub load_buffer_bytes: u32,
    /// `offsets.topic.num.partitions`.
    pub topic_partitions: i32,
    /// `offsets.topic.replication.factor`. Not set: 3, as in Kafka; 1 for a node that is a quorum of one.
    pub topic_replication_factor: i16,
    /// `offsets.topic.segment.bytes`.
    pub topic_segment_bytes: u32,
}

impl OffsetsConfig {
    pub fn from_settings(settings: &Settings, quorum: &QuorumConfig) -> OffsetsConfig {
        let factor = broker::OFFSETS_TOPIC_REPLICATION_FACTOR;
        let is_given = settings.is_given(factor.setting) || quorum.voters.len() > 1;
        OffsetsConfig {
            metadata_bytes_max: unsigned(settings.get(broker::OFFSET_METADATA_MAX_BYTES)),
            commit_timeout_ms: settings.get(broker::OFFSETS_COMMIT_TIMEOUT_MS),
            retention_ms: i64::from(settings.get(broker::OFFSETS_RETENTION_MINUTES)) * 60_000,
            retention_check_interval_ms: settings.get(broker::OFFSETS_RETENTION_CHECK_INTERVAL_MS),
            load_buffer_bytes: unsigned(settings.get(broker::OFFSETS_LOAD_BUFFER_SIZE)),
            topic_partitions: settings.get(broker::OFFSETS_TOPIC_NUM_PARTITIONS),
            topic_replication_factor: if is_given { settings.get(factor) } else { 1 },
            topic_segment_bytes: unsigned(settings.get(broker::OFFSETS_TOPIC_SEGMENT_BYTES)),
        }
    }
}

/// Where metrics and health are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsConfig {
    /// `None`: every address of the machine.
    pub host: Option<String>,
    pub port: u16,
    /// Whether somebody asked for this address: then the broker does not start without it.
    pub is_given: bool,
}

impl MetricsConfig {
    /// `None`: `metrics.listener` is empty, nothing is served.
    pub fn from_settings(settings: &Settings) -> Option<MetricsConfig> {
        let text = settings.get(broker::METRICS_LISTENER);
        let (host, port) = listeners::host_and_port(&text)?;
        let is_given = settings.is_given(broker::METRICS_LISTENER.setting);
        Some(MetricsConfig { host: (!host.is_empty()).then(|| host.to_owned()), port, is_given })
    }
}

/// Where the operator of the cluster reaches this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    /// `None`: every address of the machine.
    pub host: Option<String>,
    pub port: u16,
}

impl AdminConfig {
    /// `None`: `admin.listener` is empty, nothing is served.
    pub fn from_settings(settings: &Settings) -> Option<AdminConfig> {
        let text = settings.get(broker::ADMIN_LISTENER);
        let (host, port) = listeners::host_and_port(&text)?;
        Some(AdminConfig { host: (!host.is_empty()).then(|| host.to_owned()), port })
    }
}

/// A number that is not negative by its setting's range, or for which a negative one means 0.
fn unsigned(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}
