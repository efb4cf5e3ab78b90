//! The table of topic settings, and how a topic's settings come about: its own values over the broker's over the defaults.

use std::collections::{BTreeMap, HashSet};

use super::setting::Allowed::{Any, AtLeast, Between, BetweenOrMinusOne, Checked, ListOf, OneOf};
use super::setting::{Key, Setting, Value, elements, settings};
use super::settings::{Settings, Source, Values};
use super::{ConfigError, broker};
use crate::log::{CleanupPolicy, LogConfig};
use crate::protocol::batch::{Compression, TimestampType};

settings! {
    "Topics" {
        /// What happens to old segments: deleted, or compacted to the newest record of each key.
        /// Compaction is not built yet: a compacted topic keeps every record.
        CLEANUP_POLICY: Vec<String> = "cleanup.policy", "delete", ListOf(broker::CLEANUP_POLICIES), "", ClusterWide;
        /// The level of gzip where compression.type is gzip.
        COMPRESSION_GZIP_LEVEL: i32 = "compression.gzip.level", "-1", BetweenOrMinusOne(1, 9), "", ClusterWide;
        /// The level of lz4 where compression.type is lz4.
        COMPRESSION_LZ4_LEVEL: i32 = "compression.lz4.level", "9", Between(1, 17), "", ClusterWide;
        /// The codec of stored batches; producer keeps what the producer chose.
        COMPRESSION_TYPE: String = "compression.type", "producer", OneOf(broker::COMPRESSION_TYPES), "", ClusterWide;
        /// The level of zstd where compression.type is zstd.
        COMPRESSION_ZSTD_LEVEL: i32 = "compression.zstd.level", "3", Between(-131072, 22), "", ClusterWide;
        /// Time that a tombstone stays behind its compaction.
        DELETE_RETENTION_MS: i64 = "delete.retention.ms", "86400000", AtLeast(0), "milliseconds", ClusterWide;
        /// Time between a segment's removal from the log and from the disk.
        FILE_DELETE_DELAY_MS: i64 = "file.delete.delay.ms", "60000", AtLeast(0), "milliseconds", ClusterWide;
        /// Records of a partition after which it is synced to the disk.
        FLUSH_MESSAGES: i64 = "flush.messages", "9223372036854775807", AtLeast(1), "records", ClusterWide;
        /// Time after which a partition is synced to the disk.
        FLUSH_MS: i64 = "flush.ms", "9223372036854775807", AtLeast(0), "milliseconds", ClusterWide;
        /// The followers that are held to follower.replication.throttled.rate while they are not in sync (KIP-73).
        FOLLOWER_THROTTLED_REPLICAS: Vec<String> = "follower.replication.throttled.replicas", "",
            Checked(REPLICAS, |value| check_replicas("follower.replication.throttled.replicas", value)), "", ClusterWide;
        /// Bytes of the log between two entries of its offset index.
        INDEX_INTERVAL_BYTES: i32 = "index.interval.bytes", "4096", AtLeast(0), "bytes", ClusterWide;
        /// segment.bytes without its lower bound, for tests.
        INTERNAL_SEGMENT_BYTES: Option<i32> = "internal.segment.bytes", none, Any, "bytes", ClusterWide, internal;
        /// The replicas that, as leaders, are held to leader.replication.throttled.rate (KIP-73).
        LEADER_THROTTLED_REPLICAS: Vec<String> = "leader.replication.throttled.replicas", "",
            Checked(REPLICAS, |value| check_replicas("leader.replication.throttled.replicas", value)), "", ClusterWide;
        /// Accepted; there is no tiered storage.
        LOCAL_RETENTION_BYTES: i64 = "local.retention.bytes", "-2", AtLeast(-2), "bytes", ClusterWide;
        /// Accepted; there is no tiered storage.
        LOCAL_RETENTION_MS: i64 = "local.retention.ms", "-2", AtLeast(-2), "milliseconds", ClusterWide;
        /// Time that a record stays uncompacted at most.
        MAX_COMPACTION_LAG_MS: i64 = "max.compaction.lag.ms", "9223372036854775807", AtLeast(1), "milliseconds", ClusterWide;
        /// The largest record batch, as it arrives (compressed).
        MAX_MESSAGE_BYTES: i32 = "max.message.bytes", "1048588", AtLeast(0), "bytes", ClusterWide;
        /// How far a record's timestamp may lie ahead of the broker's clock.
        MESSAGE_TIMESTAMP_AFTER_MAX_MS: i64 = "message.timestamp.after.max.ms", "3600000", AtLeast(0), "milliseconds",
            ClusterWide;
        /// How far a record's timestamp may lie behind the broker's clock.
        MESSAGE_TIMESTAMP_BEFORE_MAX_MS: i64 = "message.timestamp.before.max.ms", "9223372036854775807", AtLeast(0),
            "milliseconds", ClusterWide;
        /// Whether a record keeps its producer's timestamp or gets the broker's.
        MESSAGE_TIMESTAMP_TYPE: String = "message.timestamp.type", "CreateTime", OneOf(broker::TIMESTAMP_TYPES), "", ClusterWide;
        /// The share of a log that must be uncompacted before it is compacted.
        MIN_CLEANABLE_DIRTY_RATIO: f64 = "min.cleanable.dirty.ratio", "0.5", Between(0, 1), "", ClusterWide;
        /// Time that a record stays uncompacted at least.
        MIN_COMPACTION_LAG_MS: i64 = "min.compaction.lag.ms", "0", AtLeast(0), "milliseconds", ClusterWide;
        /// Replicas that must have a record before it is acknowledged under acks=all.
        MIN_INSYNC_REPLICAS: i32 = "min.insync.replicas", "1", AtLeast(1), "replicas", ClusterWide;
        /// Whether a segment's file takes its whole size on the disk when it is made.
        PREALLOCATE: bool = "preallocate", "false", Any, "", ClusterWide;
        /// Accepted; there is no tiered storage.
        REMOTE_LOG_COPY_DISABLE: bool = "remote.log.copy.disable", "false", Any, "", ClusterWide;
        /// Accepted; there is no tiered storage.
        REMOTE_LOG_DELETE_ON_DISABLE: bool = "remote.log.delete.on.disable", "false", Any, "", ClusterWide;
        /// Whether old segments move to tiered storage. There is none: only false is accepted.
        REMOTE_STORAGE_ENABLE: bool = "remote.storage.enable", "false", Any, "", ClusterWide;
        /// Bytes of a partition that are kept; older segments are deleted. -1: no limit.
        RETENTION_BYTES: i64 = "retention.bytes", "-1", Any, "bytes", ClusterWide;
        /// Time that a segment is kept after its newest record; -1: for ever.
        RETENTION_MS: i64 = "retention.ms", "604800000", AtLeast(-1), "milliseconds", ClusterWide;
        /// The size at which a segment is closed and a new one is begun.
        SEGMENT_BYTES: i32 = "segment.bytes", "1073741824", AtLeast(1 << 20), "bytes", ClusterWide;
        /// The largest offset index of a segment.
        SEGMENT_INDEX_BYTES: i32 = "segment.index.bytes", "10485760", AtLeast(4), "bytes", ClusterWide;
        /// The most that chance takes off segment.ms, so that segments do not all roll at once.
        SEGMENT_JITTER_MS: i64 = "segment.jitter.ms", "0", AtLeast(0), "milliseconds", ClusterWide;
        /// The age at which a segment is closed, full or not.
        SEGMENT_MS: i64 = "segment.ms", "604800000", AtLeast(1), "milliseconds", ClusterWide;
        /// Whether a replica that is not in sync may lead when no other can: this loses records.
        UNCLEAN_LEADER_ELECTION_ENABLE: bool = "unclean.leader.election.enable", "false", Any, "", ClusterWide;
    }
}

const REPLICAS: &str = "* or a list of partition:broker";

/// A broker setting that a topic setting takes its default from, and by how much its number is multiplied.
pub struct Synonym {
    pub setting: &'static Setting,
    pub factor: i64,
}

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// The broker settings behind a topic setting, the first that is set wins
/// (`org.apache.kafka.server.config.ServerTopicConfigSynonyms`).
pub fn synonyms(name: &str) -> Vec<Synonym> {
    let same = |setting| vec![Synonym { setting, factor: 1 }];
    let first_set = |settings: &[(&'static Setting, i64)]| {
        settings.iter().map(|&(setting, factor)| Synonym { setting, factor }).collect()
    };
    match name {
        "cleanup.policy" => same(broker::LOG_CLEANUP_POLICY.setting),
        "compression.type" => same(broker::COMPRESSION_TYPE.setting),
        "compression.gzip.level" => same(broker::COMPRESSION_GZIP_LEVEL.setting),
        "compression.lz4.level" => same(broker::COMPRESSION_LZ4_LEVEL.setting),
        "compression.zstd.level" => same(broker::COMPRESSION_ZSTD_LEVEL.setting),
        "delete.retention.ms" => same(broker::LOG_CLEANER_DELETE_RETENTION_MS.setting),
        "file.delete.delay.ms" => same(broker::LOG_SEGMENT_DELETE_DELAY_MS.setting),
        "flush.messages" => same(broker::LOG_FLUSH_INTERVAL_MESSAGES.setting),
        "flush.ms" => first_set(&[
            (broker::LOG_FLUSH_INTERVAL_MS.setting, 1),
            (broker::LOG_FLUSH_SCHEDULER_INTERVAL_MS.setting, 1),
        ]),
        "index.interval.bytes" => same(broker::LOG_INDEX_INTERVAL_BYTES.setting),
        "max.compaction.lag.ms" => same(broker::LOG_CLEANER_MAX_COMPACTION_LAG_MS.setting),
        "max.message.bytes" => same(broker::MESSAGE_MAX_BYTES.setting),
        "message.timestamp.after.max.ms" => same(broker::LOG_MESSAGE_TIMESTAMP_AFTER_MAX_MS.setting),
        "message.timestamp.before.max.ms" => same(broker::LOG_MESSAGE_TIMESTAMP_BEFORE_MAX_MS.setting),
        "message.timestamp.type" => same(broker::LOG_MESSAGE_TIMESTAMP_TYPE.setting),
        "min.cleanable.dirty.ratio" => same(broker::LOG_CLEANER_MIN_CLEANABLE_RATIO.setting),
        "min.compaction.lag.ms" => same(broker::LOG_CLEANER_MIN_COMPACTION_LAG_MS.setting),
        "min.insync.replicas" => same(broker::MIN_INSYNC_REPLICAS.setting),
        "preallocate" => same(broker::LOG_PREALLOCATE.setting),
        "retention.bytes" => same(broker::LOG_RETENTION_BYTES.setting),
        "retention.ms" => first_set(&[
            (broker::LOG_RETENTION_MS.setting, 1),
            (broker::LOG_RETENTION_MINUTES.setting, MINUTE_MS),
            (broker::LOG_RETENTION_HOURS.setting, HOUR_MS),
        ]),
        "segment.bytes" => same(broker::LOG_SEGMENT_BYTES.setting),
        "segment.index.bytes" => same(broker::LOG_INDEX_SIZE_MAX_BYTES.setting),
        "segment.jitter.ms" => {
            first_set(&[(broker::LOG_ROLL_JITTER_MS.setting, 1), (broker::LOG_ROLL_JITTER_HOURS.setting, HOUR_MS)])
        }
        "segment.ms" => first_set(&[(broker::LOG_ROLL_MS.setting, 1), (broker::LOG_ROLL_HOURS.setting, HOUR_MS)]),
        "unclean.leader.election.enable" => same(broker::UNCLEAN_LEADER_ELECTION_ENABLE.setting),
        _ => Vec::new(),
    }
}

/// Every topic setting, internal ones included.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    SECTIONS.iter().flat_map(|(_, settings)| settings.iter().copied())
}

/// Checks one value of a topic. Errors: `UnknownTopicSetting`, `InvalidValue`, in Kafka's words.
pub fn validate(name: &str, value: &str) -> Result<(), ConfigError> {
    let setting = all().find(|setting| setting.name == name);
    let setting = setting.ok_or_else(|| ConfigError::UnknownTopicSetting(name.to_owned()))?;
    setting.normalize(value).map(drop)
}

/// Checks all of a topic's own values, each and together. Errors: those of `validate`, and `Conflict`.
pub fn validate_all(broker: &Settings, overrides: &BTreeMap<String, String>) -> Result<(), ConfigError> {
    overrides.iter().try_for_each(|(name, value)| validate(name, value))?;
    let topic = TopicSettings::new(broker, overrides);
    let (least, most) = (topic.get(MIN_COMPACTION_LAG_MS), topic.get(MAX_COMPACTION_LAG_MS));
    if least > most {
        let text =
            format!("conflict topic config setting min.compaction.lag.ms ({least}) > max.compaction.lag.ms ({most})");
        return Err(ConfigError::Conflict(text));
    }
    if topic.get(REMOTE_STORAGE_ENABLE) {
        let text = "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.";
        return Err(ConfigError::Conflict(text.to_owned()));
    }
    Ok(())
}

/// The settings of a topic's logs: its own values over the broker's. A value of the topic that no longer passes the checks
/// (it was stored by another version) has no effect.
pub fn resolve(broker: &Settings, overrides: &BTreeMap<String, String>) -> LogConfig {
    let topic = TopicSettings::new(broker, overrides);
    let segment_bytes = topic.get(INTERNAL_SEGMENT_BYTES).unwrap_or_else(|| topic.get(SEGMENT_BYTES));
    LogConfig {
        cleanup_policy: cleanup_policy(&topic.get(CLEANUP_POLICY)),
        compression_type: compression(&topic.get(COMPRESSION_TYPE)),
        delete_retention_ms: topic.get(DELETE_RETENTION_MS),
        file_delete_delay_ms: topic.get(FILE_DELETE_DELAY_MS),
        flush_messages: topic.get(FLUSH_MESSAGES),
        flush_ms: topic.get(FLUSH_MS),
        index_interval_bytes: size(topic.get(INDEX_INTERVAL_BYTES)),
        max_message_bytes: size(topic.get(MAX_MESSAGE_BYTES)),
        max_compaction_lag_ms: topic.get(MAX_COMPACTION_LAG_MS),
        message_timestamp_after_max_ms: topic.get(MESSAGE_TIMESTAMP_AFTER_MAX_MS),
        message_timestamp_before_max_ms: topic.get(MESSAGE_TIMESTAMP_BEFORE_MAX_MS),
        message_timestamp_type: timestamp_type(&topic.get(MESSAGE_TIMESTAMP_TYPE)),
        min_cleanable_dirty_ratio: topic.get(MIN_CLEANABLE_DIRTY_RATIO),
        min_compaction_lag_ms: topic.get(MIN_COMPACTION_LAG_MS),
        min_insync_replicas: size(topic.get(MIN_INSYNC_REPLICAS)),
        preallocate: topic.get(PREALLOCATE),
        retention_bytes: topic.get(RETENTION_BYTES).max(-1),
        retention_ms: topic.get(RETENTION_MS).max(-1),
        segment_bytes: size(segment_bytes),
        segment_index_bytes: size(topic.get(SEGMENT_INDEX_BYTES)),
        segment_jitter_ms: topic.get(SEGMENT_JITTER_MS),
        segment_ms: topic.get(SEGMENT_MS),
        unclean_leader_election_enable: topic.get(UNCLEAN_LEADER_ELECTION_ENABLE),
    }
}

/// The replicas of a topic in one broker that its throttles hold for (KIP-73).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThrottledReplicas {
    /// `leader.replication.throttled.replicas`.
    pub leaders: ReplicaList,
    /// `follower.replication.throttled.replicas`.
    pub followers: ReplicaList,
}

/// Replicas in one broker, by partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplicaList {
    All,
    Of(HashSet<i32>),
}

impl ThrottledReplicas {
    pub fn of(overrides: &Values, broker_id: i32) -> ThrottledReplicas {
        let list = |key: Key<Vec<String>>| match overrides.get(key.name()) {
            Some(value) => ReplicaList::read(value, broker_id),
            None => ReplicaList::Of(HashSet::new()),
        };
        ThrottledReplicas { leaders: list(LEADER_THROTTLED_REPLICAS), followers: list(FOLLOWER_THROTTLED_REPLICAS) }
    }
}

impl ReplicaList {
    fn read(value: &str, broker_id: i32) -> ReplicaList {
        if value.trim() == "*" {
            return ReplicaList::All;
        }
        let replica = |text: &str| {
            let (partition, broker) = text.split_once(':')?;
            Some((partition.parse::<i32>().ok()?, broker.parse::<i32>().ok()?))
        };
        let replicas = elements(value).filter_map(replica);
        ReplicaList::Of(replicas.filter(|(_, broker)| *broker == broker_id).map(|(partition, _)| partition).collect())
    }

    pub fn contains(&self, partition: i32) -> bool {
        match self {
            ReplicaList::All => true,
            ReplicaList::Of(partitions) => partitions.contains(&partition),
        }
    }
}

/// A topic's settings, looked up in its own values, then in the broker's.
pub struct TopicSettings<'a> {
    broker: &'a Settings,
    overrides: &'a Values,
}

impl<'a> TopicSettings<'a> {
    pub fn new(broker: &'a Settings, overrides: &'a Values) -> TopicSettings<'a> {
        TopicSettings { broker, overrides }
    }

    /// The topic's own value, if it has one that passes the checks.
    pub fn own(&self, setting: &Setting) -> Option<String> {
        setting.normalize(self.overrides.get(setting.name)?).ok()
    }

    /// The value in effect, as Kafka writes it.
    pub fn text(&self, setting: &Setting) -> Option<String> {
        self.own(setting).or_else(|| self.inherited(setting)).or_else(|| setting.default.map(str::to_owned))
    }

    /// The layers in which the topic setting or the broker's has a value, with the name it has there. As in Kafka
    /// (`ConfigHelper`), other units are shown only behind a value in milliseconds.
    pub fn values(&self, setting: &'static Setting) -> Vec<(&'static str, String, Source)> {
        let own = self.own(setting).map(|value| (setting.name, value, Source::Topic));
        let synonym = synonyms(setting.name).into_iter().next().map(|synonym| synonym.setting);
        own.into_iter().chain(synonym.into_iter().flat_map(|synonym| self.broker.values(synonym))).collect()
    }

    fn get<T: Value>(&self, key: Key<T>) -> T {
        T::read(self.text(key.setting).as_deref()).expect("values are checked before they are used")
    }

    fn inherited(&self, setting: &Setting) -> Option<String> {
        synonyms(setting.name).into_iter().find_map(|synonym| {
            let text = self.broker.text(synonym.setting)?;
            Some(if synonym.factor == 1 { text.to_owned() } else { multiplied(text, synonym.factor) })
        })
    }
}

/// Minutes or hours as milliseconds; a negative number stands for "no limit" in every unit.
fn multiplied(number: &str, factor: i64) -> String {
    let number: i64 = number.parse().expect("only numbers have a factor");
    if number < 0 { "-1".to_owned() } else { (number * factor).to_string() }
}

/// A number that its setting's range keeps from being negative.
fn size(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

fn cleanup_policy(policies: &[String]) -> CleanupPolicy {
    let has = |name| policies.iter().any(|policy| policy == name);
    CleanupPolicy { delete: has("delete"), compact: has("compact") }
}

fn compression(name: &str) -> Option<Compression> {
    match name {
        "uncompressed" => Some(Compression::None),
        "gzip" => Some(Compression::Gzip),
        "snappy" => Some(Compression::Snappy),
        "lz4" => Some(Compression::Lz4),
        "zstd" => Some(Compression::Zstd),
        _ => None,
    }
}

fn timestamp_type(name: &str) -> TimestampType {
    if name == "LogAppendTime" { TimestampType::LogAppendTime } else { TimestampType::CreateTime }
}

fn check_replicas(name: &str, value: &str) -> Result<(), String> {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let replica =
        |text: &str| text.split_once(':').is_some_and(|(partition, broker)| number(partition) && number(broker));
    if value == "*" || elements(value).all(replica) {
        return Ok(());
    }
    Err(format!(
        "{name} must be the literal '*' or a list of replicas in the following format: \
         [partitionId]:[brokerId],[partitionId]:[brokerId],..."
    ))
}
