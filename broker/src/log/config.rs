//! What a topic's configuration says about its logs. Kafka's topic properties, with their units and defaults.

use crate::protocol::batch::{Compression, TimestampType};

/// `cleanup.policy`: whether old segments are deleted, compacted, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    pub delete: bool,
    pub compact: bool,
}

/// The settings of one topic's logs. Fields carry the names of Kafka's topic properties.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// `cleanup.policy`. Default `delete`.
    pub cleanup_policy: CleanupPolicy,
    /// `compression.type`: `None` keeps what the producer chose (`producer`, the default).
    pub compression_type: Option<Compression>,
    /// Milliseconds that a tombstone stays behind its compaction (`delete.retention.ms`). Default 1 day.
    pub delete_retention_ms: i64,
    /// Milliseconds between a file's removal from the log and from the disk (`file.delete.delay.ms`). Default 60,000.
    pub file_delete_delay_ms: i64,
    /// Records after which the log is synced to disk (`flush.messages`). Default never.
    pub flush_messages: i64,
    /// Milliseconds after which the log is synced to disk (`flush.ms`). Default never.
    pub flush_ms: i64,
    /// Bytes between two entries of the offset index (`index.interval.bytes`). Default 4096.
    pub index_interval_bytes: u32,
    /// Bytes a record batch may have (`max.message.bytes`). Default 1,048,588.
    pub max_message_bytes: u32,
    /// Milliseconds a record stays uncompacted at most (`max.compaction.lag.ms`). Default unbounded.
    pub max_compaction_lag_ms: i64,
    /// Milliseconds a record's timestamp may lie ahead of the broker's clock (`message.timestamp.after.max.ms`). Default 1 hour.
    pub message_timestamp_after_max_ms: i64,
    /// Milliseconds a record's timestamp may lie behind the broker's clock (`message.timestamp.before.max.ms`). Default unbounded.
    pub message_timestamp_before_max_ms: i64,
    /// `message.timestamp.type`. Default `CreateTime`.
    pub message_timestamp_type: TimestampType,
    /// The share of a log that must be uncompacted before it is compacted (`min.cleanable.dirty.ratio`). Default 0.5.
    pub min_cleanable_dirty_ratio: f64,
    /// Milliseconds a record stays uncompacted at least (`min.compaction.lag.ms`). Default 0.
    pub min_compaction_lag_ms: i64,
    /// Replicas that must have a record before acks=all is answered (`min.insync.replicas`). Default 1.
    pub min_insync_replicas: u32,
    /// Whether a segment's file takes its whole size at once (`preallocate`). Default false.
    pub preallocate: bool,
    /// Bytes of a partition kept at most; -1 is unbounded (`retention.bytes`). Default -1.
    pub retention_bytes: i64,
    /// Milliseconds a segment is kept behind its newest record; -1 is unbounded (`retention.ms`). Default 7 days.
    pub retention_ms: i64,
    /// Bytes of a segment (`segment.bytes`). Default 1 GiB.
    pub segment_bytes: u32,
    /// Bytes of a segment's offset index (`segment.index.bytes`). Default 10 MiB.
    pub segment_index_bytes: u32,
    /// Milliseconds of random delay before a segment is rolled for its age (`segment.jitter.ms`). Default 0.
    pub segment_jitter_ms: i64,
    /// Milliseconds after which a segment is rolled, full or not (`segment.ms`). Default 7 days.
    pub segment_ms: i64,
    /// Whether a replica outside the ISR may lead when no other can (`unclean.leader.election.enable`). Default false.
    pub unclean_leader_election_enable: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        const HOUR_MS: i64 = 3_600_000;
        LogConfig {
            cleanup_policy: CleanupPolicy { delete: true, compact: false },
            compression_type: None,
            delete_retention_ms: 24 * HOUR_MS,
            file_delete_delay_ms: 60_000,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            index_interval_bytes: 4096,
            max_message_bytes: 1_048_588,
            max_compaction_lag_ms: i64::MAX,
            message_timestamp_after_max_ms: HOUR_MS,
            message_timestamp_before_max_ms: i64::MAX,
            message_timestamp_type: TimestampType::CreateTime,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            min_insync_replicas: 1,
            preallocate: false,
            retention_bytes: -1,
            retention_ms: 7 * 24 * HOUR_MS,
            segment_bytes: 1 << 30,
            segment_index_bytes: 10 << 20,
            segment_jitter_ms: 0,
            segment_ms: 7 * 24 * HOUR_MS,
            unclean_leader_election_enable: false,
        }
    }
}
