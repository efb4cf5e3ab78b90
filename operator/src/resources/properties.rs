//! The configuration that a node reads when it starts.
//!
//! - A node has a file of its own: what differs between nodes (id, roles, addresses) is written out, not computed in a pod.
//! - What is not known before the pod is placed is a reference that the broker resolves (KIP-297): the address of the
//!   machine it runs on. Its rack comes by the command line, where Kubernetes puts in the name of the machine.
//! - What can change while a node runs is not in the file: it is set through the cluster, and no restart follows.

use super::external::{self, ExternalAddress};
use super::ports;
use super::valid::{Role, ValidCluster};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Where a node's volume is mounted.
pub const DATA_PATH: &str = "/var/lib/barnabas/data";
/// Where the properties files are.
pub const CONFIG_PATH: &str = "/etc/barnabas/config";
/// Where the racks are.
pub const RACKS_PATH: &str = "/etc/barnabas/racks";

const CONTROLLER: &str = "CONTROLLER";
const REPLICATION: &str = "REPLICATION";
const INTERNAL: &str = "INTERNAL";
const EXTERNAL: &str = "EXTERNAL";

pub type Properties = BTreeMap<String, String>;

/// The properties of one node. `external`: where clients outside reach it, if that is known.
/// `None`: there is a listener for clients outside, and it is not known yet what address the node has there.
pub fn of_node(cluster: &ValidCluster, id: i32, external: Option<&ExternalAddress>) -> Option<Properties> {
    let role = Role::of(id);
    let mut properties = common(cluster);
    let mut set = |key: &str, value: String| properties.insert(key.to_owned(), value);
    set("node.id", id.to_string());
    set("process.roles", roles(cluster, id).join(","));
    set("listeners", listeners(cluster, id));
    if role == Role::Broker {
        set("advertised.listeners", advertised(cluster, id, external)?);
        set("inter.broker.listener.name", REPLICATION.to_owned());
    }
    Some(properties)
}

/// Broker, controller or both.
pub fn roles(cluster: &ValidCluster, id: i32) -> Vec<&'static str> {
    let broker = (Role::of(id) == Role::Broker).then_some("broker");
    let controller = cluster.voters().contains(&id).then_some("controller");
    broker.into_iter().chain(controller).collect()
}

/// What every node has alike, the user's own among it: that has no name that is written here (`cluster::validate`).
fn common(cluster: &ValidCluster) -> Properties {
    let mut properties = cluster.static_config.clone();
    let mut set = |key: &str, value: &str| properties.insert(key.to_owned(), value.to_owned());
    // The root of a volume may have a directory of the file system in it (lost+found), which is no log.
    set("log.dirs", &format!("{DATA_PATH}/log"));
    set("controller.quorum.voters", &voters(cluster));
    set("controller.listener.names", CONTROLLER);
    set("listener.security.protocol.map", &protocols());
    set("admin.listener", &format!(":{}", ports::ADMIN.number));
    set("metrics.listener", &format!(":{}", ports::METRICS.number));
    set("config.providers", "directory,env");
    set("config.providers.directory.class", "org.apache.kafka.common.config.provider.DirectoryConfigProvider");
    set("config.providers.env.class", "org.apache.kafka.common.config.provider.EnvVarConfigProvider");
    if cluster.fsync_before_ack {
        // In the file and not set while brokers run: it holds from the first record on.
        set("log.flush.interval.messages", "1");
    }
    properties
}

fn voters(cluster: &ValidCluster) -> String {
    let voter = |id| format!("{id}@{}:{}", cluster.host(id), ports::CONTROLLER.number);
    cluster.voters().map(voter).collect::<Vec<_>>().join(",")
}

/// All names, whether a node listens by them or not: a listener for clients that comes later is nothing to controllers.
fn protocols() -> String {
    let names = [CONTROLLER, REPLICATION, INTERNAL, EXTERNAL];
    names.map(|name| format!("{name}:PLAINTEXT")).join(",")
}

fn listeners(cluster: &ValidCluster, id: i32) -> String {
    let listener = |name: &str, port: i32| format!("{name}://:{port}");
    let mut listeners = Vec::new();
    if cluster.voters().contains(&id) {
        listeners.push(listener(CONTROLLER, ports::CONTROLLER.number));
    }
    if Role::of(id) == Role::Broker {
        listeners.push(listener(REPLICATION, ports::REPLICATION.number));
        listeners.push(listener(INTERNAL, cluster.internal_port));
        listeners.extend(cluster.external.as_ref().map(|_| listener(EXTERNAL, ports::EXTERNAL.number)));
    }
    listeners.join(",")
}

/// The names of the headless service: a pod that is replaced keeps them. `None`: the address outside is not known yet.
fn advertised(cluster: &ValidCluster, id: i32, address: Option<&ExternalAddress>) -> Option<String> {
    let host = cluster.host(id);
    let mut advertised = vec![
        format!("{REPLICATION}://{host}:{}", ports::REPLICATION.number),
        format!("{INTERNAL}://{host}:{}", cluster.internal_port),
    ];
    if let Some(listener) = &cluster.external {
        let (host, port) = external::advertised(listener, id, address)?;
        advertised.push(format!("{EXTERNAL}://{}:{port}", in_brackets(&host)));
    }
    Some(advertised.join(","))
}

/// An IPv6 address, which alone has several colons, as it is written before a port.
fn in_brackets(host: &str) -> Cow<'_, str> {
    if host.matches(':').count() > 1 { format!("[{host}]").into() } else { host.into() }
}

/// The host and port for clients outside in a file that was written before.
pub fn told_outside(file: &str) -> Option<(&str, i32)> {
    let advertised = file.lines().find_map(|line| line.strip_prefix("advertised.listeners="))?;
    let outside = advertised.split(',').find_map(|one| one.strip_prefix(EXTERNAL)?.strip_prefix("://"))?;
    let (host, port) = outside.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    Some((bare.unwrap_or(host), port.parse().ok()?))
}

/// As a properties file, in the order of the names.
pub fn file(properties: &Properties) -> String {
    let mut text = String::from("# Written by barnabas-operator from a KafkaCluster: what is changed here is lost.\n");
    for (key, value) in properties {
        text.push_str(&escaped(key, |character| "=:#! ".contains(character)));
        text.push('=');
        text.push_str(&escaped_value(value));
        text.push('\n');
    }
    text
}

/// Blanks before a value belong to it only if they are escaped.
fn escaped_value(value: &str) -> String {
    let text = escaped(value, |_| false);
    if text.starts_with(' ') { format!("\\{text}") } else { text }
}

fn escaped(text: &str, also: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            '\u{c}' => escaped.push_str("\\f"),
            '\\' => escaped.push_str("\\\\"),
            other if also(other) => escaped.extend(['\\', other]),
            other => escaped.push(other),
        }
    }
    escaped
}
