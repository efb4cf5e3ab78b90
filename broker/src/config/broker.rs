//! The table of the broker's settings: Kafka's, with Kafka's defaults, and the few of our own.

use super::listeners;
use super::setting::Allowed::{Any, AtLeast, Between, BetweenOrMinusOne, Checked, ListOf, OneOf};
use super::setting::{Setting, settings};

/// The codecs that `compression.type` names (`BrokerCompressionType`).
pub(super) const COMPRESSION_TYPES: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];
pub(super) const CLEANUP_POLICIES: &[&str] = &["compact", "delete"];
pub(super) const TIMESTAMP_TYPES: &[&str] = &["CreateTime", "LogAppendTime"];
const SECURITY_PROTOCOLS: &[&str] = &["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];

settings! {
    "The node" {
        /// The number of this node, one of its own for each node of a cluster. Without it and without broker.id: 1.
        NODE_ID: Option<i32> = "node.id", none, AtLeast(0), "", ReadOnly;
        /// The older name of node.id. If both are given they must be the same.
        BROKER_ID: i32 = "broker.id", "-1", Any, "", ReadOnly;
        /// What this node is: a broker, which serves clients; a controller, which votes in the quorum that keeps the metadata;
        /// or both. Not set: both.
        PROCESS_ROLES: Option<Vec<String>> = "process.roles", none, ListOf(&["broker", "controller"]), "", ReadOnly;
        /// The id of the cluster that an empty directory is formatted for. Not set: for a single node a random one, else one that
        /// follows from controller.quorum.voters. A directory that has an id keeps it. Ours alone.
        CLUSTER_ID: Option<String> = "cluster.id", none, Checked("an id of 22 letters, digits, - and _, as kafka-storage.sh random-uuid gives it", super::quorum::check_cluster_id), "", ReadOnly;
        /// The rack or zone of this broker, told to clients and used for placing replicas.
        BROKER_RACK: Option<String> = "broker.rack", none, Any, "", ReadOnly;
    }

    "The quorum" {
        /// The controllers, as id@host:port, several by commas; the same on every node. Not set: this node is a quorum of one.
        CONTROLLER_QUORUM_VOTERS: Vec<String> = "controller.quorum.voters", "", Any, "", ReadOnly;
        /// The addresses of controllers, host:port, by which Apache Kafka's nodes find a quorum whose voters may change. Here
        /// the voters are named; one address, as in the files of a single node, is accepted.
        CONTROLLER_QUORUM_BOOTSTRAP_SERVERS: Vec<String> = "controller.quorum.bootstrap.servers", "", Any, "", ReadOnly;
        /// How long an election, or the wait before one, takes at least; at most twice that. Kafka's default is 1000.
        CONTROLLER_QUORUM_ELECTION_TIMEOUT_MS: i32 = "controller.quorum.election.timeout.ms", "250", AtLeast(0),
            "milliseconds", ReadOnly;
        /// How long a voter hears nothing from the active controller before it asks for an election. Kafka's default is 2000.
        CONTROLLER_QUORUM_FETCH_TIMEOUT_MS: i32 = "controller.quorum.fetch.timeout.ms", "500", AtLeast(0), "milliseconds",
            ReadOnly;
        /// The longest wait before another try after a lost election. Kafka's default is 1000.
        CONTROLLER_QUORUM_ELECTION_BACKOFF_MAX_MS: i32 = "controller.quorum.election.backoff.max.ms", "250", AtLeast(0),
            "milliseconds", ReadOnly;
        /// How long a node of the quorum waits for the answer of another. Kafka's default is 2000.
        CONTROLLER_QUORUM_REQUEST_TIMEOUT_MS: i32 = "controller.quorum.request.timeout.ms", "500", AtLeast(0),
            "milliseconds", ReadOnly;
        /// The wait before a request that failed is sent again.
        CONTROLLER_QUORUM_RETRY_BACKOFF_MS: i32 = "controller.quorum.retry.backoff.ms", "20", AtLeast(0), "milliseconds",
            ReadOnly;
        /// How often a broker tells the active controller that it lives: below half of broker.session.timeout.ms. Kafka's default
        /// is 2000.
        BROKER_HEARTBEAT_INTERVAL_MS: i32 = "broker.heartbeat.interval.ms", "100", Any, "milliseconds", ReadOnly;
        /// How long the active controller hears nothing from a broker before it gives the broker's partitions other leaders. A
        /// process that ends is noticed at once, by its connection. Controllers enforce it, so all nodes need the same. Where it
        /// is not set and 600 is too short for broker.heartbeat.interval.ms, it is 4.5 times that. Kafka's default is 9000.
        BROKER_SESSION_TIMEOUT_MS: i32 = "broker.session.timeout.ms", "600", Any, "milliseconds", ReadOnly;
        /// Whether a broker that is asked to stop has its partitions led by others before it does.
        CONTROLLED_SHUTDOWN_ENABLE: bool = "controlled.shutdown.enable", "true", Any, "", ReadOnly;
    }

    "Listeners and connections" {
        /// Where clients connect: NAME://host:port, several by commas. Without a host: every address of the machine. IPv6
        /// addresses go in brackets. This release speaks PLAINTEXT only.
        LISTENERS: String = "listeners", "PLAINTEXT://:9092", Any, "", ReadOnly;
        /// The addresses that clients are told, one for each listener. Not set: those of listeners, with the name of this
        /// machine where they have no host. If neither is set: localhost.
        ADVERTISED_LISTENERS: Option<String> = "advertised.listeners", none, Any, "", ReadOnly;
        /// The security protocol of each listener name, NAME:PROTOCOL, several by commas.
        LISTENER_SECURITY_PROTOCOL_MAP: String = "listener.security.protocol.map",
            "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT", Any, "", ReadOnly;
        /// The names of the listeners that are for controllers; they are not told to clients.
        CONTROLLER_LISTENER_NAMES: Option<String> = "controller.listener.names", none, Any, "", ReadOnly;
        /// The name of the listener that brokers use among themselves. Not set: the one that speaks
        /// security.inter.broker.protocol.
        INTER_BROKER_LISTENER_NAME: Option<String> = "inter.broker.listener.name", none, Any, "", ReadOnly;
        /// The security protocol among brokers, if inter.broker.listener.name is not set.
        SECURITY_INTER_BROKER_PROTOCOL: String = "security.inter.broker.protocol", "PLAINTEXT",
            OneOf(SECURITY_PROTOCOLS), "", ReadOnly;
        /// The largest request that is read; a connection that announces a larger one is closed.
        SOCKET_REQUEST_MAX_BYTES: i32 = "socket.request.max.bytes", "104857600", AtLeast(1), "bytes", ReadOnly;
        /// The send buffer (SO_SNDBUF) of a connection; -1 leaves it to the operating system.
        SOCKET_SEND_BUFFER_BYTES: i32 = "socket.send.buffer.bytes", "102400", Any, "bytes", ReadOnly;
        /// The receive buffer (SO_RCVBUF) of a connection; -1 leaves it to the operating system.
        SOCKET_RECEIVE_BUFFER_BYTES: i32 = "socket.receive.buffer.bytes", "102400", Any, "bytes", ReadOnly;
        /// Connections that the operating system keeps waiting for us to accept them.
        SOCKET_LISTEN_BACKLOG_SIZE: i32 = "socket.listen.backlog.size", "50", AtLeast(1), "connections", ReadOnly;
        /// A connection without a request for this long is closed; negative: never.
        CONNECTIONS_MAX_IDLE_MS: i64 = "connections.max.idle.ms", "600000", Any, "milliseconds", ReadOnly;
        /// Connections at the same time; more are refused.
        MAX_CONNECTIONS: i32 = "max.connections", "2147483647", AtLeast(0), "connections", ClusterWide;
        /// Connections at the same time from one address; more are refused.
        MAX_CONNECTIONS_PER_IP: i32 = "max.connections.per.ip", "2147483647", AtLeast(0), "connections", ClusterWide;
        /// Other limits than max.connections.per.ip for single addresses or host names: host:limit, several by commas.
        MAX_CONNECTIONS_PER_IP_OVERRIDES: String = "max.connections.per.ip.overrides", "",
            Checked("host:limit, several by commas", listeners::check_ip_overrides), "connections", ClusterWide;
    }

    "Topics" {
        /// Whether a topic that does not exist is created when a client asks for it.
        AUTO_CREATE_TOPICS_ENABLE: bool = "auto.create.topics.enable", "true", Any, "", ReadOnly;
        /// Whether topics may be deleted.
        DELETE_TOPIC_ENABLE: bool = "delete.topic.enable", "true", Any, "", ReadOnly;
        /// Partitions of a topic that is created without their number.
        NUM_PARTITIONS: i32 = "num.partitions", "1", AtLeast(1), "partitions", ReadOnly;
        /// Replicas of each partition of a topic that is created without their number.
        DEFAULT_REPLICATION_FACTOR: i32 = "default.replication.factor", "1", Any, "replicas", ReadOnly;
        /// Replicas that must have a record before it is acknowledged under acks=all.
        MIN_INSYNC_REPLICAS: i32 = "min.insync.replicas", "1", AtLeast(1), "replicas", ClusterWide;
        /// Whether a replica that is not in sync may lead when no other can: this loses records.
        UNCLEAN_LEADER_ELECTION_ENABLE: bool = "unclean.leader.election.enable", "false", Any, "", ClusterWide;
        /// Whether leaders go back to the first of the replicas when it can lead again.
        AUTO_LEADER_REBALANCE_ENABLE: bool = "auto.leader.rebalance.enable", "true", Any, "", ReadOnly;
        /// How often it is looked for leaders that are to go back.
        LEADER_IMBALANCE_CHECK_INTERVAL_SECONDS: i64 = "leader.imbalance.check.interval.seconds", "300", AtLeast(1),
            "seconds", ReadOnly;
        /// The largest record batch, as it arrives (compressed).
        MESSAGE_MAX_BYTES: i32 = "message.max.bytes", "1048588", AtLeast(0), "bytes", ClusterWide;
        /// The most partitions in one answer to DescribeTopicPartitions; clients ask again for the rest.
        MAX_REQUEST_PARTITION_SIZE_LIMIT: i32 = "max.request.partition.size.limit", "2000", AtLeast(1), "partitions", ReadOnly;
    }

    "Fetch" {
        /// The most that one Fetch is answered with, unless the first batch alone is larger.
        FETCH_MAX_BYTES: i32 = "fetch.max.bytes", "57671680", AtLeast(1024), "bytes", ReadOnly;
        /// Incremental fetch sessions kept at the same time (KIP-227).
        MAX_INCREMENTAL_FETCH_SESSION_CACHE_SLOTS: i32 = "max.incremental.fetch.session.cache.slots", "1000", AtLeast(0),
            "sessions", ReadOnly;
    }

    "Replication" {
        /// Connections over which a broker fetches from each other one that leads what it follows.
        NUM_REPLICA_FETCHERS: i32 = "num.replica.fetchers", "1", Any, "connections", ReadOnly;
        /// Bytes that a follower's fetch waits for.
        REPLICA_FETCH_MIN_BYTES: i32 = "replica.fetch.min.bytes", "1", Any, "bytes", ReadOnly;
        /// The most of one partition that a follower fetches at once, unless the first batch alone is larger.
        REPLICA_FETCH_MAX_BYTES: i32 = "replica.fetch.max.bytes", "1048576", AtLeast(0), "bytes", ReadOnly;
        /// The most that a follower fetches at once, unless the first batch alone is larger.
        REPLICA_FETCH_RESPONSE_MAX_BYTES: i32 = "replica.fetch.response.max.bytes", "10485760", AtLeast(0), "bytes", ReadOnly;
        /// The longest that a follower's fetch waits for records. Less than replica.lag.time.max.ms.
        REPLICA_FETCH_WAIT_MAX_MS: i32 = "replica.fetch.wait.max.ms", "500", Any, "milliseconds", ReadOnly;
        /// The longest pause before a partition or a leader that could not be fetched from is tried again.
        REPLICA_FETCH_BACKOFF_MS: i32 = "replica.fetch.backoff.ms", "1000", AtLeast(0), "milliseconds", ReadOnly;
        /// Time without an answer after which a follower gives its connection up.
        REPLICA_SOCKET_TIMEOUT_MS: i32 = "replica.socket.timeout.ms", "30000", Any, "milliseconds", ReadOnly;
        /// Time that a follower may lag behind before its leader takes it out of the in-sync replicas.
        REPLICA_LAG_TIME_MAX_MS: i64 = "replica.lag.time.max.ms", "30000", Any, "milliseconds", ReadOnly;
        /// Which replica a consumer that says its rack is sent to. Not set: the leader.
        /// org.apache.kafka.common.replica.RackAwareReplicaSelector: one in its rack.
        REPLICA_SELECTOR_CLASS: Option<String> = "replica.selector.class", none, Any, "", ReadOnly;
        /// The most that this broker, as a leader, sends to replicas that are not in sync and that a topic's
        /// leader.replication.throttled.replicas names (KIP-73).
        LEADER_REPLICATION_THROTTLED_RATE: i64 = "leader.replication.throttled.rate", "9223372036854775807", AtLeast(0),
            "bytes a second", ClusterWide;
        /// The most that this broker, as a follower, fetches of partitions that it is not in sync with and that a topic's
        /// follower.replication.throttled.replicas names (KIP-73).
        FOLLOWER_REPLICATION_THROTTLED_RATE: i64 = "follower.replication.throttled.rate", "9223372036854775807", AtLeast(0),
            "bytes a second", ClusterWide;
        /// The windows over which these rates are measured.
        REPLICATION_QUOTA_WINDOW_NUM: i32 = "replication.quota.window.num", "11", AtLeast(1), "windows", ReadOnly;
        /// The length of each of these windows.
        REPLICATION_QUOTA_WINDOW_SIZE_SECONDS: i32 = "replication.quota.window.size.seconds", "1", AtLeast(1), "seconds",
            ReadOnly;
    }

    "Log directories" {
        /// The one directory for logs, if log.dirs is not set.
        LOG_DIR: String = "log.dir", "/tmp/kafka-logs", Any, "", ReadOnly;
        /// The directories for logs, several by commas. Not set: log.dir.
        LOG_DIRS: Option<String> = "log.dirs", none, Any, "", ReadOnly;
        /// The directory of the metadata log. Not set: the first of log.dirs.
        METADATA_LOG_DIR: Option<String> = "metadata.log.dir", none, Any, "", ReadOnly;
        /// Threads for each log directory that recover logs at the start and flush them at the end.
        NUM_RECOVERY_THREADS_PER_DATA_DIR: i32 = "num.recovery.threads.per.data.dir", "2", AtLeast(1), "threads", ReadOnly;
        /// Time between two looks for segments that retention lets go.
        LOG_RETENTION_CHECK_INTERVAL_MS: i64 = "log.retention.check.interval.ms", "300000", AtLeast(1), "milliseconds", ReadOnly;
        /// Time between two looks for logs that log.flush.interval.ms wants synced.
        LOG_FLUSH_SCHEDULER_INTERVAL_MS: i64 = "log.flush.scheduler.interval.ms", "9223372036854775807", Any,
            "milliseconds", ReadOnly;
        /// Time between two writes of recovery-point-offset-checkpoint: what lies behind it is checked after a crash.
        LOG_FLUSH_OFFSET_CHECKPOINT_INTERVAL_MS: i32 = "log.flush.offset.checkpoint.interval.ms", "60000", AtLeast(0),
            "milliseconds", ReadOnly;
        /// Time between two writes of log-start-offset-checkpoint.
        LOG_FLUSH_START_OFFSET_CHECKPOINT_INTERVAL_MS: i32 = "log.flush.start.offset.checkpoint.interval.ms", "60000",
            AtLeast(0), "milliseconds", ReadOnly;
        /// Time between two writes of replication-offset-checkpoint, the high watermarks.
        REPLICA_HIGH_WATERMARK_CHECKPOINT_INTERVAL_MS: i64 = "replica.high.watermark.checkpoint.interval.ms", "5000", Any,
            "milliseconds", ReadOnly;
        /// Time without a record after which an idempotent producer's sequence numbers are forgotten.
        PRODUCER_ID_EXPIRATION_MS: i32 = "producer.id.expiration.ms", "86400000", AtLeast(1), "milliseconds", ClusterWide;
        /// Time between two looks for producers that producer.id.expiration.ms lets go.
        PRODUCER_ID_EXPIRATION_CHECK_INTERVAL_MS: i32 = "producer.id.expiration.check.interval.ms", "600000", AtLeast(1),
            "milliseconds", ReadOnly, internal;
    }

    "Logs, where a topic does not say otherwise" {
        /// The size at which a segment is closed and a new one is begun.
        LOG_SEGMENT_BYTES: i32 = "log.segment.bytes", "1073741824", AtLeast(1 << 20), "bytes", ClusterWide;
        /// The age at which a segment is closed, full or not. Not set: log.roll.hours.
        LOG_ROLL_MS: Option<i64> = "log.roll.ms", none, AtLeast(1), "milliseconds", ClusterWide;
        /// log.roll.ms in hours, if that is not set.
        LOG_ROLL_HOURS: i32 = "log.roll.hours", "168", AtLeast(1), "hours", ReadOnly;
        /// The most that chance takes off log.roll.ms, so that segments do not all roll at once. Not set:
        /// log.roll.jitter.hours.
        LOG_ROLL_JITTER_MS: Option<i64> = "log.roll.jitter.ms", none, AtLeast(0), "milliseconds", ClusterWide;
        /// log.roll.jitter.ms in hours, if that is not set.
        LOG_ROLL_JITTER_HOURS: i32 = "log.roll.jitter.hours", "0", AtLeast(0), "hours", ReadOnly;
        /// Bytes of a partition that are kept; older segments are deleted. -1: no limit.
        LOG_RETENTION_BYTES: i64 = "log.retention.bytes", "-1", Any, "bytes", ClusterWide;
        /// Time that a segment is kept after its newest record; -1: for ever. Not set: log.retention.minutes.
        LOG_RETENTION_MS: Option<i64> = "log.retention.ms", none,
            Checked("-1, or at least 1", |value| check_retention("log.retention.ms", value)), "milliseconds", ClusterWide;
        /// log.retention.ms in minutes, if that is not set. Not set: log.retention.hours.
        LOG_RETENTION_MINUTES: Option<i32> = "log.retention.minutes", none,
            Checked("-1, or at least 1", |value| check_retention("log.retention.minutes", value)), "minutes", ReadOnly;
        /// log.retention.ms in hours, if neither that nor log.retention.minutes is set.
        LOG_RETENTION_HOURS: i32 = "log.retention.hours", "168",
            Checked("-1, or at least 1", |value| check_retention("log.retention.hours", value)), "hours", ReadOnly;
        /// What happens to old segments: deleted, or compacted to the newest record of each key.
        /// Compaction is not built yet: a compacted topic keeps every record.
        LOG_CLEANUP_POLICY: Vec<String> = "log.cleanup.policy", "delete", ListOf(CLEANUP_POLICIES), "", ClusterWide;
        /// Bytes of the log between two entries of its offset index.
        LOG_INDEX_INTERVAL_BYTES: i32 = "log.index.interval.bytes", "4096", AtLeast(0), "bytes", ClusterWide;
        /// The largest offset index of a segment.
        LOG_INDEX_SIZE_MAX_BYTES: i32 = "log.index.size.max.bytes", "10485760", AtLeast(4), "bytes", ClusterWide;
        /// Records of a partition after which it is synced to the disk.
        LOG_FLUSH_INTERVAL_MESSAGES: i64 = "log.flush.interval.messages", "9223372036854775807", AtLeast(1), "records",
            ClusterWide;
        /// Time after which a partition is synced to the disk. Not set: log.flush.scheduler.interval.ms.
        LOG_FLUSH_INTERVAL_MS: Option<i64> = "log.flush.interval.ms", none, Any, "milliseconds", ClusterWide;
        /// Whether a segment's file takes its whole size on the disk when it is made.
        LOG_PREALLOCATE: bool = "log.preallocate", "false", Any, "", ClusterWide;
        /// Time between a segment's removal from the log and from the disk.
        LOG_SEGMENT_DELETE_DELAY_MS: i64 = "log.segment.delete.delay.ms", "60000", AtLeast(0), "milliseconds", ClusterWide;
        /// Whether a record keeps its producer's timestamp or gets the broker's.
        LOG_MESSAGE_TIMESTAMP_TYPE: String = "log.message.timestamp.type", "CreateTime", OneOf(TIMESTAMP_TYPES), "", ClusterWide;
        /// How far a record's timestamp may lie behind the broker's clock.
        LOG_MESSAGE_TIMESTAMP_BEFORE_MAX_MS: i64 = "log.message.timestamp.before.max.ms", "9223372036854775807", AtLeast(0),
            "milliseconds", ClusterWide;
        /// How far a record's timestamp may lie ahead of the broker's clock.
        LOG_MESSAGE_TIMESTAMP_AFTER_MAX_MS: i64 = "log.message.timestamp.after.max.ms", "3600000", AtLeast(0),
            "milliseconds", ClusterWide;
        /// The codec of stored batches; producer keeps what the producer chose.
        COMPRESSION_TYPE: String = "compression.type", "producer", OneOf(COMPRESSION_TYPES), "", ClusterWide;
        /// The level of gzip where compression.type is gzip.
        COMPRESSION_GZIP_LEVEL: i32 = "compression.gzip.level", "-1", BetweenOrMinusOne(1, 9), "", ClusterWide;
        /// The level of lz4 where compression.type is lz4.
        COMPRESSION_LZ4_LEVEL: i32 = "compression.lz4.level", "9", Between(1, 17), "", ClusterWide;
        /// The level of zstd where compression.type is zstd.
        COMPRESSION_ZSTD_LEVEL: i32 = "compression.zstd.level", "3", Between(-131072, 22), "", ClusterWide;
        /// Time that a tombstone stays behind its compaction.
        LOG_CLEANER_DELETE_RETENTION_MS: i64 = "log.cleaner.delete.retention.ms", "86400000", AtLeast(0), "milliseconds",
            ClusterWide;
        /// The share of a log that must be uncompacted before it is compacted.
        LOG_CLEANER_MIN_CLEANABLE_RATIO: f64 = "log.cleaner.min.cleanable.ratio", "0.5", Between(0, 1), "", ClusterWide;
        /// Time that a record stays uncompacted at least.
        LOG_CLEANER_MIN_COMPACTION_LAG_MS: i64 = "log.cleaner.min.compaction.lag.ms", "0", AtLeast(0), "milliseconds",
            ClusterWide;
        /// Time that a record stays uncompacted at most.
        LOG_CLEANER_MAX_COMPACTION_LAG_MS: i64 = "log.cleaner.max.compaction.lag.ms", "9223372036854775807", AtLeast(1),
            "milliseconds", ClusterWide;
    }

    "The metadata log" {
        /// The size at which a segment of the metadata log is closed.
        METADATA_LOG_SEGMENT_BYTES: i32 = "metadata.log.segment.bytes", "1073741824", AtLeast(8 << 20), "bytes", ReadOnly;
        /// The age at which a segment of the metadata log is closed.
        METADATA_LOG_SEGMENT_MS: i64 = "metadata.log.segment.ms", "604800000", Any, "milliseconds", ReadOnly;
        /// Bytes of the metadata log after which a snapshot is written.
        METADATA_LOG_MAX_RECORD_BYTES_BETWEEN_SNAPSHOTS: i64 = "metadata.log.max.record.bytes.between.snapshots", "20971520",
            AtLeast(1), "bytes", ReadOnly;
        /// Time after which a snapshot is written if there is anything new; 0: only by size.
        METADATA_LOG_MAX_SNAPSHOT_INTERVAL_MS: i64 = "metadata.log.max.snapshot.interval.ms", "3600000", AtLeast(0),
            "milliseconds", ReadOnly;
        /// Bytes of the metadata log and its snapshots that are kept.
        METADATA_MAX_RETENTION_BYTES: i64 = "metadata.max.retention.bytes", "104857600", Any, "bytes", ReadOnly;
        /// Time that segments and snapshots of the metadata log are kept.
        METADATA_MAX_RETENTION_MS: i64 = "metadata.max.retention.ms", "604800000", Any, "milliseconds", ReadOnly;
    }

    "Consumer groups and their offsets" {
        /// Time that the first rebalance of an empty group waits for more members.
        GROUP_INITIAL_REBALANCE_DELAY_MS: i32 = "group.initial.rebalance.delay.ms", "3000", Any, "milliseconds", ReadOnly;
        /// The shortest session timeout that a member may ask for.
        GROUP_MIN_SESSION_TIMEOUT_MS: i32 = "group.min.session.timeout.ms", "6000", Any, "milliseconds", ReadOnly;
        /// The longest session timeout that a member may ask for.
        GROUP_MAX_SESSION_TIMEOUT_MS: i32 = "group.max.session.timeout.ms", "1800000", Any, "milliseconds", ReadOnly;
        /// The most members of a group.
        GROUP_MAX_SIZE: i32 = "group.max.size", "2147483647", AtLeast(1), "members", ReadOnly;
        /// The most that a client may store beside a committed offset.
        OFFSET_METADATA_MAX_BYTES: i32 = "offset.metadata.max.bytes", "4096", Any, "bytes", ReadOnly;
        /// The longest that a commit of offsets waits for the replicas.
        OFFSETS_COMMIT_TIMEOUT_MS: i32 = "offsets.commit.timeout.ms", "5000", AtLeast(1), "milliseconds", ReadOnly;
        /// Time that offsets are kept after their group became empty.
        OFFSETS_RETENTION_MINUTES: i32 = "offsets.retention.minutes", "10080", AtLeast(1), "minutes", ReadOnly;
        /// Time between two looks for offsets that offsets.retention.minutes lets go.
        OFFSETS_RETENTION_CHECK_INTERVAL_MS: i64 = "offsets.retention.check.interval.ms", "600000", AtLeast(1),
            "milliseconds", ReadOnly;
        /// Bytes that are read at once when a group's state is loaded.
        OFFSETS_LOAD_BUFFER_SIZE: i32 = "offsets.load.buffer.size", "5242880", AtLeast(1), "bytes", ReadOnly;
        /// Partitions of __consumer_offsets; not to be changed once it exists.
        OFFSETS_TOPIC_NUM_PARTITIONS: i32 = "offsets.topic.num.partitions", "50", AtLeast(1), "partitions", ReadOnly;
        /// Replicas of __consumer_offsets. While a cluster is a single node and this is not set: 1.
        OFFSETS_TOPIC_REPLICATION_FACTOR: i16 = "offsets.topic.replication.factor", "3", AtLeast(1), "replicas", ReadOnly;
        /// The segment size of __consumer_offsets.
        OFFSETS_TOPIC_SEGMENT_BYTES: i32 = "offsets.topic.segment.bytes", "104857600", AtLeast(1), "bytes", ReadOnly;
    }

    "Metrics (our own)" {
        /// Where /metrics, /healthz and /readyz are served over HTTP: host:port; without a host: every address of the machine.
        /// The default is done without if it is taken.
        /// Empty: nowhere. Not one of Kafka's settings.
        METRICS_LISTENER: String = "metrics.listener", ":9464",
            Checked("host:port, :port or nothing", listeners::check_metrics_listener), "", ReadOnly;
    }

    "Administration (our own)" {
        /// Where the operator of the cluster reaches this node by gRPC (proto/admin.proto), without TLS: host:port; without a
        /// host: every address of the machine. Who reaches it may stop the node. Empty: nowhere. Not one of Kafka's settings.
        ADMIN_LISTENER: String = "admin.listener", "",
            Checked("host:port, :port or nothing", listeners::check_admin_listener), "", ReadOnly;
    }
}

/// Every setting of the table.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    SECTIONS.iter().flat_map(|(_, settings)| settings.iter().copied())
}

/// The setting of this name, if we have it.
pub fn find(name: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.name == name)
}

/// The settings that say the same in several units, the strongest first: those that `setting` is one of, or itself.
pub(super) fn synonyms(setting: &'static Setting) -> Vec<&'static Setting> {
    let groups: [&[&'static Setting]; 4] = [
        &[LOG_RETENTION_MS.setting, LOG_RETENTION_MINUTES.setting, LOG_RETENTION_HOURS.setting],
        &[LOG_ROLL_MS.setting, LOG_ROLL_HOURS.setting],
        &[LOG_ROLL_JITTER_MS.setting, LOG_ROLL_JITTER_HOURS.setting],
        &[LOG_FLUSH_INTERVAL_MS.setting, LOG_FLUSH_SCHEDULER_INTERVAL_MS.setting],
    ];
    let of_setting = groups.into_iter().find(|group| group.iter().any(|one| one.name == setting.name));
    let alone = setting.name == LOG_FLUSH_SCHEDULER_INTERVAL_MS.name();
    of_setting.filter(|_| !alone).map_or(vec![setting], <[_]>::to_vec)
}

fn check_retention(name: &str, value: &str) -> Result<(), String> {
    match value.parse::<i64>() {
        Ok(0) => Err(format!("{name} must be unlimited (-1) or, greater than or equal to 1")),
        _ => Ok(()),
    }
}
