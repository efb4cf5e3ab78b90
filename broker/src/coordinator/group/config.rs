//! The settings of the group coordinator, with Kafka's units and defaults.

/// Fields carry the names of Kafka's properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// Milliseconds of the shortest session timeout a member may ask for (`group.min.session.timeout.ms`). Default 6,000.
    pub min_session_timeout_ms: i32,
    /// Milliseconds of the longest session timeout a member may ask for (`group.max.session.timeout.ms`). Default 30 minutes.
    pub max_session_timeout_ms: i32,
    /// Milliseconds that an empty group waits for more members before its first generation
    /// (`group.initial.rebalance.delay.ms`). Default 3,000.
    pub initial_rebalance_delay_ms: i32,
    /// Members a group may have (`group.max.size`). Default unbounded.
    pub max_size: usize,
    /// Length of the metadata that may be committed with an offset (`offset.metadata.max.bytes`). Default 4096.
    pub offset_metadata_max_bytes: usize,
    /// Milliseconds that offsets are kept behind the end of their group (`offsets.retention.minutes`). Default 7 days.
    pub offsets_retention_ms: i64,
    /// Milliseconds between two searches for expired offsets (`offsets.retention.check.interval.ms`). Default 10 minutes.
    pub offsets_retention_check_interval_ms: i64,
    /// Bytes read at a time when a partition is loaded (`offsets.load.buffer.size`). Default 5 MiB.
    pub offsets_load_buffer_size: usize,
    /// Milliseconds that an answer waits for its records to be committed (`offsets.commit.timeout.ms`). Default 5,000.
    pub offsets_commit_timeout_ms: u64,
    /// Partitions that `__consumer_offsets` is created with (`offsets.topic.num.partitions`). Default 50.
    pub offsets_topic_num_partitions: i32,
    /// Replicas that `__consumer_offsets` is created with (`offsets.topic.replication.factor`). Default 3.
    pub offsets_topic_replication_factor: i16,
    /// `segment.bytes` that `__consumer_offsets` is created with (`offsets.topic.segment.bytes`). Default 100 MiB.
    pub offsets_topic_segment_bytes: u32,
}

impl Default for GroupConfig {
    fn default() -> Self {
        GroupConfig {
            min_session_timeout_ms: 6_000,
            max_session_timeout_ms: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            max_size: i32::MAX as usize,
            offset_metadata_max_bytes: 4096,
            offsets_retention_ms: 7 * 24 * 3_600_000,
            offsets_retention_check_interval_ms: 600_000,
            offsets_load_buffer_size: 5 << 20,
            offsets_commit_timeout_ms: 5_000,
            offsets_topic_num_partitions: 50,
            offsets_topic_replication_factor: 3,
            offsets_topic_segment_bytes: 100 << 20,
        }
    }
}
