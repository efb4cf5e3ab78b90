//! Settings that the operator decides: a value in `spec.config` would contradict what it builds.

/// Settings, and what is set in their place, if anything is.
const RESERVED: &[(&str, &str)] = &[
    ("node.id", "it is the number of the pod"),
    ("broker.id", "it is the number of the pod"),
    ("process.roles", "set spec.controllers.mode instead"),
    ("controller.quorum.voters", "set spec.controllers instead"),
    ("controller.quorum.bootstrap.servers", "set spec.controllers instead"),
    ("controller.listener.names", "set spec.controllers instead"),
    ("listeners", "set spec.listeners instead"),
    ("advertised.listeners", "set spec.listeners instead"),
    ("listener.security.protocol.map", "set spec.listeners instead"),
    ("inter.broker.listener.name", "set spec.listeners instead"),
    ("security.inter.broker.protocol", "set spec.listeners instead"),
    ("log.dirs", "set spec.brokers.storage instead"),
    ("log.dir", "set spec.brokers.storage instead"),
    ("metadata.log.dir", "set spec.brokers.storage instead"),
    ("broker.rack", "set spec.brokers.rackTopologyKey instead"),
    ("cluster.id", "it follows from the names of the controllers, and stays with the volumes"),
    ("leader.replication.throttled.rate", "set spec.rebalance.throttleBytesPerSecond instead"),
    ("follower.replication.throttled.rate", "set spec.rebalance.throttleBytesPerSecond instead"),
    ("metrics.listener", "/metrics is served at port 9404; set spec.metrics for what else there is"),
    ("admin.listener", "the operator reaches the nodes by it"),
];

/// Why this setting cannot be set. `None`: it can.
pub fn reason(name: &str, fsync_before_ack: bool) -> Option<String> {
    let decided = |instead: &str| Some(format!("this is decided by the operator: {instead}"));
    if name == "log.flush.interval.messages" && fsync_before_ack {
        return decided("spec.durability.fsyncBeforeAck is true, which sets it to 1; set only one of them");
    }
    if name == "config.providers" || name.starts_with("config.providers.") {
        return decided("values may name environment variables, ${env:NAME}; set spec.brokers.pod.env instead");
    }
    let (_, instead) = RESERVED.iter().find(|(reserved, _)| *reserved == name)?;
    decided(instead)
}
