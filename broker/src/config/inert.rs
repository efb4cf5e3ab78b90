//! Settings of Apache Kafka 4.1 that have no effect here, with the reason: a file that starts Apache Kafka starts this.

/// Of settings that somebody gives who counts on a protection that is not there.
pub(super) const UNPROTECTED: &str = "this broker serves everybody: TLS, SASL and ACLs are not built yet";

/// Names by reason; a name that ends with a dot stands for all that begin with it.
const INERT: &[(&str, &[&str])] = &[
    (UNPROTECTED, &["ssl.", "sasl.", "authorizer.class.name", "super.users"]),
    (
        "TLS, SASL and ACLs are not built yet",
        &[
            "listener.name.",
            "delegation.token.",
            "principal.builder.class",
            "security.providers",
            "connections.max.reauth.ms",
            "connection.failed.authentication.delay.ms",
        ],
    ),
    ("there is no tiered storage", &["remote.", "rlmm.config.", "rsm.config.", "log.local."]),
    ("transactions are not built yet", &["transaction.", "transactional.", "add.partitions.to.txn."]),
    (
        "the consumer protocol of KIP-848 is not built yet",
        &["group.consumer.", "group.coordinator.rebalance.protocols"],
    ),
    ("share groups are not built yet", &["group.share.", "share."]),
    ("streams groups are not built yet", &["group.streams."]),
    (
        "quotas are not built yet",
        &[
            "quota.",
            "alter.log.dirs.replication.quota.",
            "controller.quota.",
            "client.quota.callback.class",
            "max.connection.creation.rate",
        ],
    ),
    (
        "nodes of a cluster here do not need it",
        &[
            "controller.quorum.append.linger.ms",
            "controller.socket.timeout.ms",
            "early.start.listeners",
            "initial.broker.registration.timeout.ms",
            "log.dir.failure.timeout.ms",
            "metadata.max.idle.interval.ms",
            "num.replica.alter.log.dirs.threads",
            "replica.socket.receive.buffer.bytes",
            "request.timeout.ms",
            "socket.connection.setup.timeout.max.ms",
            "socket.connection.setup.timeout.ms",
            "unclean.leader.election.interval.ms",
        ],
    ),
    (
        "there is no cleaner with threads and buffers of its own",
        &[
            "log.cleaner.backoff.ms",
            "log.cleaner.dedupe.buffer.size",
            "log.cleaner.enable",
            "log.cleaner.io.",
            "log.cleaner.threads",
        ],
    ),
    (
        "there are no such threads, queues and purgatories",
        &[
            "background.threads",
            "delete.records.purgatory.purge.interval.requests",
            "fetch.purgatory.purge.interval.requests",
            "group.coordinator.append.linger.ms",
            "group.coordinator.threads",
            "num.io.threads",
            "num.network.threads",
            "producer.purgatory.purge.interval.requests",
            "queued.max.request.bytes",
            "queued.max.requests",
        ],
    ),
    (
        "metrics are served to Prometheus by metrics.listener",
        &[
            "kafka.metrics.",
            "metric.reporters",
            "metrics.num.samples",
            "metrics.recording.level",
            "metrics.sample.window.ms",
            "telemetry.max.bytes",
        ],
    ),
    ("no Java classes are loaded", &["alter.config.policy.class.name", "create.topic.policy.class.name"]),
    ("the records of __consumer_offsets are not compressed", &["offsets.topic.compression.codec"]),
    (
        "it is internal to Apache Kafka",
        &[
            "controller.performance.",
            "internal.metadata.",
            "log.initial.task.delay.ms",
            "server.max.startup.time.ms",
            "unstable.",
        ],
    ),
];

/// Why a setting of Apache Kafka has no effect here. `None`: it has one, or Kafka does not know it either.
pub fn reason(name: &str) -> Option<&'static str> {
    let stands_for =
        |pattern: &&str| if pattern.ends_with('.') { name.starts_with(*pattern) } else { name == *pattern };
    INERT.iter().find(|(_, patterns)| patterns.iter().any(&stands_for)).map(|(reason, _)| *reason)
}

#[cfg(test)]
pub(super) fn patterns() -> impl Iterator<Item = &'static str> {
    INERT.iter().flat_map(|(_, patterns)| patterns.iter().copied())
}
