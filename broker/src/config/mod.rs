//! Configuration: every setting with its Kafka name, unit, default and meaning, and how a broker comes by their values.
//!
//! Invariants:
//! - One table for brokers (`broker`) and one for topics (`topic`); reading, validation, `barnabas config`, DescribeConfigs
//!   and defaults all come from them. Names, types, defaults and ranges are Apache Kafka 4.1's.
//! - A value is checked when it is stored; reading one never fails. References to what stands elsewhere are looked up before
//!   (`providers`): nothing behind `Config::load` sees one.
//! - A room receives its own small struct (`rooms`). Only `main` and `server` see the whole `Config`.
//!
//! Deliberately absent: settings that do nothing. Those of Apache Kafka that have no effect here are accepted and named
//! (`inert`), but not described to clients.

pub mod broker;
mod inert;
pub mod listeners;
mod print;
mod properties;
mod providers;
mod quorum;
mod references;
mod rooms;
pub mod setting;
mod settings;
pub mod topic;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub use listeners::{Advertised, Listener, Listeners};
pub use print::{describe, describe_some};
pub use quorum::{NodeConfig, QuorumConfig};
pub use rooms::{
    AdminConfig, ConnectionLimits, FetchConfig, GroupConfig, LogDirsConfig, MetadataLogConfig, MetricsConfig,
    NetworkConfig, OffsetsConfig, ReplicationConfig, ThrottledRates, TopicsConfig,
};
pub use settings::{Settings, Source, Values, validate_dynamic};

/// Why a configuration is refused. The texts are Kafka's where Kafka has one: clients and operators know them.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("Invalid value {value} for configuration {name}: {reason}")]
    InvalidValue { name: String, value: String, reason: String },
    /// Values that do not go together.
    #[error("{0}")]
    Conflict(String),
    #[error("Unknown topic config name: {0}")]
    UnknownTopicSetting(String),
    /// A setting that cannot change while the broker runs.
    #[error("Cannot update these configs dynamically: Set({0})")]
    ReadOnly(String),
    #[error("cannot read {path}: {error}")]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{path}, {malformed}")]
    Malformed { path: PathBuf, malformed: properties::Malformed },
    /// A value that stands elsewhere, where it is not.
    #[error("Cannot resolve {reference} for configuration {name}: {reason}")]
    Unresolved { name: String, reference: String, reason: String },
}

impl ConfigError {
    fn invalid(name: &str, value: &str, reason: impl Into<String>) -> ConfigError {
        ConfigError::InvalidValue { name: name.to_owned(), value: value.to_owned(), reason: reason.into() }
    }

    /// With all that the setting accepts, for whoever reads it without Kafka's documentation at hand.
    fn with_accepted(self, setting: &setting::Setting) -> ConfigError {
        match self {
            ConfigError::InvalidValue { name, value, reason } => {
                let reason = format!("{reason} (accepted: {})", setting.accepts());
                ConfigError::InvalidValue { name, value, reason }
            }
            other => other,
        }
    }
}

/// Something in a configuration that is accepted and has not the effect it may be thought to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Neither Apache Kafka nor Barnabas knows it: probably misspelt.
    Unknown(String),
    /// Apache Kafka knows it.
    NoEffect { name: String, reason: &'static str },
    /// A session timeout that nobody chose, and that goes with the heartbeats that somebody did.
    SessionFollows { heartbeat_ms: i32, session_ms: i32 },
}

impl Notice {
    /// Whether somebody should see it who reads little.
    pub fn is_warning(&self) -> bool {
        !matches!(self, Notice::NoEffect { reason, .. } if *reason != inert::UNPROTECTED)
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Unknown(name) => write!(formatter, "{name} is not a known setting; it has no effect"),
            Notice::NoEffect { name, reason } => write!(formatter, "{name} has no effect: {reason}"),
            Notice::SessionFollows { heartbeat_ms, session_ms } => write!(
                formatter,
                "broker.session.timeout.ms is {session_ms}, 4.5 times the broker.heartbeat.interval.ms of {heartbeat_ms} as in \
                 Apache Kafka, since it is not set; controllers enforce it, so all nodes need the same"
            ),
        }
    }
}

/// The whole configuration of one broker.
#[derive(Clone, Debug)]
pub struct Config {
    pub node: NodeConfig,
    pub quorum: QuorumConfig,
    pub network: NetworkConfig,
    pub topics: TopicsConfig,
    pub fetch: FetchConfig,
    pub replication: ReplicationConfig,
    pub log_dirs: LogDirsConfig,
    pub metadata_log: MetadataLogConfig,
    pub groups: GroupConfig,
    pub offsets: OffsetsConfig,
    pub metrics: Option<MetricsConfig>,
    pub admin: Option<AdminConfig>,
    /// Every value by name: what topics inherit (`topic::resolve`) and what DescribeConfigs shows.
    pub settings: Settings,
    /// To be logged at the start.
    pub notices: Vec<Notice>,
}

impl Config {
    /// The configuration of a properties file, if there is one, with single values over it; references in either are looked
    /// up (`providers`).
    /// Errors: all but `UnknownTopicSetting` and `ReadOnly`.
    pub fn load(file: Option<&Path>, overrides: &[(String, String)]) -> Result<Config, ConfigError> {
        let mut given = file.map(read).transpose()?.unwrap_or_default();
        given.extend(overrides.iter().cloned());
        Config::from_given(&providers::resolve(given)?, &machine())
    }

    /// The configuration of these values, as they stand, on a machine of this name. Errors: `InvalidValue`, `Conflict`.
    pub fn from_given(given: &BTreeMap<String, String>, machine: &str) -> Result<Config, ConfigError> {
        let mut settings = Settings::from_given(given)?;
        check_together(&settings)?;
        let follows = quorum::settle_session(&mut settings)?;
        let node = NodeConfig::from_settings(&settings)?;
        let quorum = QuorumConfig::from_settings(&settings, &node)?;
        let offsets = OffsetsConfig::from_settings(&settings, &quorum);
        // What this node makes of settings that say less: DescribeConfigs shows what is in effect.
        settings.settle(broker::NODE_ID, node.id);
        settings.settle(broker::BROKER_ID, node.id);
        settings.settle(broker::OFFSETS_TOPIC_REPLICATION_FACTOR, offsets.topic_replication_factor);
        Ok(Config {
            network: NetworkConfig::from_settings(&settings, &node, &quorum, machine)?,
            node,
            quorum,
            topics: TopicsConfig::from_settings(&settings)?,
            fetch: FetchConfig::from_settings(&settings),
            replication: ReplicationConfig::from_settings(&settings)?,
            log_dirs: LogDirsConfig::from_settings(&settings)?,
            metadata_log: MetadataLogConfig::from_settings(&settings),
            groups: GroupConfig::from_settings(&settings),
            offsets,
            metrics: MetricsConfig::from_settings(&settings),
            admin: AdminConfig::from_settings(&settings),
            settings,
            notices: given.keys().filter_map(|name| notice(name, given)).chain(follows).collect(),
        })
    }
}

fn read(path: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    let bytes = std::fs::read(path).map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
    let entries = properties::parse(&String::from_utf8_lossy(&bytes));
    let malformed = |malformed| ConfigError::Malformed { path: path.to_owned(), malformed };
    Ok(entries.map_err(malformed)?.into_iter().collect())
}

/// What holds between settings (`KafkaConfig.validateValues`).
fn check_together(settings: &Settings) -> Result<(), ConfigError> {
    let (least, most) =
        (settings.get(broker::GROUP_MIN_SESSION_TIMEOUT_MS), settings.get(broker::GROUP_MAX_SESSION_TIMEOUT_MS));
    if least > most {
        let text =
            format!("group.min.session.timeout.ms ({least}) must not be above group.max.session.timeout.ms ({most})");
        return Err(ConfigError::Conflict(text));
    }
    topic::validate_all(settings, &Values::new())
}

fn notice(name: &str, given: &BTreeMap<String, String>) -> Option<Notice> {
    if providers::is_known(name, given) {
        return None;
    }
    match (broker::find(name), inert::reason(name)) {
        (Some(_), _) => None,
        (None, Some(reason)) => Some(Notice::NoEffect { name: name.to_owned(), reason }),
        (None, None) => Some(Notice::Unknown(name.to_owned())),
    }
}

/// The name of this machine, which clients are told when a listener is configured without a host.
fn machine() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
