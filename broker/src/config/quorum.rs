//! Which part a node has in its cluster: its roles, the voters of the quorum, and how soon a failure is one.

use super::listeners::host_and_port;
use super::settings::Settings;
use super::{ConfigError, Notice, broker};
use std::collections::BTreeMap;

/// Which node of which cluster this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// `node.id`, or `broker.id`, or 1.
    pub id: i32,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// `process.roles`: whether clients are served.
    pub is_broker: bool,
    /// `process.roles`: whether it votes.
    pub is_controller: bool,
    /// `cluster.id`.
    pub cluster_id: Option<String>,
    /// `broker.heartbeat.interval.ms`.
    pub heartbeat_interval_ms: i64,
    /// `controlled.shutdown.enable`.
    pub controlled_shutdown: bool,
}

impl NodeConfig {
    /// Errors: `InvalidValue`.
    pub fn from_settings(settings: &Settings) -> Result<NodeConfig, ConfigError> {
        let roles = settings.get(broker::PROCESS_ROLES);
        let has = |name: &str| roles.as_ref().is_none_or(|roles| roles.iter().any(|role| role == name));
        Ok(NodeConfig {
            id: node_id(settings)?,
            rack: settings.get(broker::BROKER_RACK).filter(|rack| !rack.is_empty()),
            is_broker: has("broker"),
            is_controller: has("controller"),
            cluster_id: settings.get(broker::CLUSTER_ID).filter(|id| !id.is_empty()),
            heartbeat_interval_ms: milliseconds(settings.get(broker::BROKER_HEARTBEAT_INTERVAL_MS)),
            controlled_shutdown: settings.get(broker::CONTROLLED_SHUTDOWN_ENABLE),
        })
    }
}

fn node_id(settings: &Settings) -> Result<i32, ConfigError> {
    let older = Some(settings.get(broker::BROKER_ID)).filter(|id| *id >= 0);
    match (settings.get(broker::NODE_ID), older) {
        (Some(id), Some(older)) if id != older => {
            Err(ConfigError::invalid("broker.id", &older.to_string(), format!("it must be the same as node.id, {id}")))
        }
        (id, older) => Ok(id.or(older).unwrap_or(1)),
    }
}

/// The quorum of controllers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumConfig {
    /// `controller.quorum.voters`: where each listens; empty for a node that is a quorum of one.
    pub voters: BTreeMap<i32, (String, u16)>,
    /// `controller.quorum.election.timeout.ms`.
    pub election_timeout_ms: i64,
    /// `controller.quorum.fetch.timeout.ms`.
    pub fetch_timeout_ms: i64,
    /// `controller.quorum.election.backoff.max.ms`.
    pub election_backoff_max_ms: i64,
    /// `controller.quorum.request.timeout.ms`.
    pub request_timeout_ms: i64,
    /// `controller.quorum.retry.backoff.ms`.
    pub retry_backoff_ms: i64,
    /// `broker.session.timeout.ms`.
    pub session_timeout_ms: i64,
}

impl QuorumConfig {
    /// Errors: `InvalidValue`, also where the roles of `node` do not go with the voters.
    pub fn from_settings(settings: &Settings, node: &NodeConfig) -> Result<QuorumConfig, ConfigError> {
        let voters = voters(settings)?;
        check_bootstrap(settings, &voters)?;
        check_roles(settings, node, &voters)?;
        Ok(QuorumConfig {
            voters,
            election_timeout_ms: milliseconds(settings.get(broker::CONTROLLER_QUORUM_ELECTION_TIMEOUT_MS)),
            fetch_timeout_ms: milliseconds(settings.get(broker::CONTROLLER_QUORUM_FETCH_TIMEOUT_MS)),
            election_backoff_max_ms: milliseconds(settings.get(broker::CONTROLLER_QUORUM_ELECTION_BACKOFF_MAX_MS)),
            request_timeout_ms: milliseconds(settings.get(broker::CONTROLLER_QUORUM_REQUEST_TIMEOUT_MS)),
            retry_backoff_ms: milliseconds(settings.get(broker::CONTROLLER_QUORUM_RETRY_BACKOFF_MS)),
            session_timeout_ms: milliseconds(settings.get(broker::BROKER_SESSION_TIMEOUT_MS)),
        })
    }
}

/// At least one: nobody waits no time at all.
fn milliseconds(value: i32) -> i64 {
    i64::from(value).max(1)
}

/// A broker whose heartbeats come seldom would be fenced between two of them: a session lasts more than two. One that nobody
/// chose follows the heartbeats. Errors: `Conflict`.
pub(super) fn settle_session(settings: &mut Settings) -> Result<Option<Notice>, ConfigError> {
    let heartbeat_ms = settings.get(broker::BROKER_HEARTBEAT_INTERVAL_MS);
    let session_ms = settings.get(broker::BROKER_SESSION_TIMEOUT_MS);
    let both = (milliseconds(heartbeat_ms), milliseconds(session_ms));
    if 2 * both.0 < both.1 {
        return Ok(None);
    }
    if settings.is_given(broker::BROKER_SESSION_TIMEOUT_MS.setting) {
        return Err(ConfigError::Conflict(format!(
            "broker.heartbeat.interval.ms ({heartbeat_ms}) must be below half of broker.session.timeout.ms ({session_ms}): \
             raise the session, which all nodes need alike, or lower the interval"
        )));
    }
    let session_ms = i32::try_from(both.0 * 9 / 2).map_err(|_| {
        let reason = "broker.session.timeout.ms would be more than 2147483647: it must be 4.5 times as long";
        ConfigError::invalid("broker.heartbeat.interval.ms", &heartbeat_ms.to_string(), reason)
    })?;
    settings.settle(broker::BROKER_SESSION_TIMEOUT_MS, session_ms);
    Ok(Some(Notice::SessionFollows { heartbeat_ms, session_ms }))
}

fn voters(settings: &Settings) -> Result<BTreeMap<i32, (String, u16)>, ConfigError> {
    let given = settings.get(broker::CONTROLLER_QUORUM_VOTERS);
    let fault = |reason: String| ConfigError::invalid("controller.quorum.voters", &given.join(","), reason);
    let mut voters = BTreeMap::new();
    for voter in &given {
        let parsed = voter.split_once('@').and_then(|(id, address)| {
            let (host, port) = host_and_port(address).filter(|(host, port)| !host.is_empty() && *port > 0)?;
            Some((id.trim().parse::<i32>().ok().filter(|id| *id >= 0)?, (host.to_owned(), port)))
        });
        let (id, address) =
            parsed.ok_or_else(|| fault(format!("'{voter}': id@host:port is expected, with a port from 1 to 65535")))?;
        if voters.insert(id, address).is_some() {
            return Err(fault(format!("the id {id} is there twice")));
        }
    }
    Ok(voters)
}

/// A node finds its quorum by the list of voters. One address is taken for a quorum of one (Apache Kafka's own files of
/// a single node have it).
fn check_bootstrap(settings: &Settings, voters: &BTreeMap<i32, (String, u16)>) -> Result<(), ConfigError> {
    let bootstrap = settings.get(broker::CONTROLLER_QUORUM_BOOTSTRAP_SERVERS);
    if bootstrap.len() <= 1 || !voters.is_empty() {
        return Ok(());
    }
    let reason = "the voters of a quorum of several nodes are named in controller.quorum.voters, as id@host:port";
    Err(ConfigError::invalid("controller.quorum.bootstrap.servers", &bootstrap.join(","), reason))
}

fn check_roles(
    settings: &Settings,
    node: &NodeConfig,
    voters: &BTreeMap<i32, (String, u16)>,
) -> Result<(), ConfigError> {
    let shown = settings.get(broker::CONTROLLER_QUORUM_VOTERS).join(",");
    let id = node.id;
    let fault = |reason: String| Err(ConfigError::invalid("controller.quorum.voters", &shown, reason));
    match (node.is_controller, voters.is_empty(), voters.contains_key(&id)) {
        (true, true, _) | (true, _, true) | (false, false, false) => Ok(()),
        (true, false, false) => {
            fault(format!("this node is a controller, so its node.id {id} must be among the voters"))
        }
        (false, true, _) => fault("a node that is no controller must be told where the controllers are".to_owned()),
        (false, false, true) => {
            fault(format!("this node is no controller (process.roles), but its node.id {id} is among the voters"))
        }
    }
}

/// Kafka's form of an id: 16 bytes in URL-safe base64.
pub(super) fn check_cluster_id(text: &str) -> Result<(), String> {
    let right = text.is_empty() || crate::protocol::Uuid::parse(text).is_some();
    right.then_some(()).ok_or_else(|| {
        "an id of 22 letters, digits, - and _ is expected, as kafka-storage.sh random-uuid gives it".to_owned()
    })
}
