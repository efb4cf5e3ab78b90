//! `spec.config`: which settings nodes start with, which are set while they run, and which cannot be as they are.

use super::Invalid;
use super::{nearest, reserved};
use crate::crd::KafkaClusterSpec;
use crate::resources::{ExternalAddress, Role, ValidCluster, ports, properties};
use barnabas::config::setting::{Setting, Update};
use barnabas::config::{Config, ConfigError, Notice, Settings, broker, topic};
use std::collections::BTreeMap;

const REPLICATION_FACTOR: &str = "default.replication.factor";
const OFFSETS_REPLICATION_FACTOR: &str = "offsets.topic.replication.factor";
const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

/// Replicas of what nobody chose a number for: one may be down for a restart while another fails, and nothing is lost.
const REPLICAS: i32 = 3;

type Values = BTreeMap<String, String>;

/// Settings by when they reach a node.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parts {
    pub at_start: Values,
    pub while_running: Values,
    pub warnings: Vec<String>,
}

/// Each setting for itself, and those that are about the number of brokers.
pub fn read(spec: &KafkaClusterSpec, invalid: &mut Vec<Invalid>) -> Parts {
    let mut values = Values::new();
    let mut warnings = Vec::new();
    for (name, value) in &spec.config {
        let text = value.text().ok_or_else(|| format!("{} is no text, number, true or false", value.0));
        match text.and_then(|text| checked(name, text, spec.durability.fsync_before_ack)) {
            Ok((text, warning)) => {
                values.insert(name.clone(), text);
                warnings.extend(warning);
            }
            Err(message) => invalid.push(Invalid::new(field(name), message)),
        }
    }
    with_replicas(&mut values, spec.brokers.replicas, invalid);
    let (while_running, at_start) = values.into_iter().partition(|(name, _)| is_dynamic(name));
    Parts { at_start, while_running, warnings }
}

/// Where a setting is in the resource.
fn field(name: &str) -> String {
    format!("spec.config[{name}]")
}

fn is_dynamic(name: &str) -> bool {
    broker::find(name).is_some_and(|setting| setting.update == Update::ClusterWide)
}

/// The value as the broker writes it, and what is to be said about it. Errors: why it cannot be there.
fn checked(name: &str, value: String, fsync_before_ack: bool) -> Result<(String, Option<String>), String> {
    if let Some(reason) = reserved::reason(name, fsync_before_ack) {
        return Err(reason);
    }
    let Some(setting) = broker::find(name) else {
        return match notice_of(name) {
            Some(Notice::NoEffect { .. }) => Ok((value, notice_of(name).map(|notice| notice.to_string()))),
            _ => Err(unknown(name)),
        };
    };
    normal(setting, value).map(|value| (value, None))
}

fn normal(setting: &'static Setting, value: String) -> Result<String, String> {
    let settings = Settings::from_given(&Values::from([(setting.name.to_owned(), value)]));
    let settings = settings.map_err(|error| error.to_string())?;
    Ok(settings.text(setting).unwrap_or_default().to_owned())
}

/// What the broker says of a setting that it has no use for.
fn notice_of(name: &str) -> Option<Notice> {
    let config = Config::from_given(&Values::from([(name.to_owned(), String::new())]), "").ok()?;
    config.notices.into_iter().next()
}

fn unknown(name: &str) -> String {
    if let Some(synonym) = topic::synonyms(name).first() {
        return format!("this is a setting of topics; for all topics of a cluster it is {}", synonym.setting.name);
    }
    let known = broker::all().filter(|setting| !setting.internal).map(|setting| setting.name);
    match nearest::nearest(name, known) {
        Some(nearest) => format!("Apache Kafka has no setting of this name; did you mean {nearest}?"),
        None => "Apache Kafka has no setting of this name".to_owned(),
    }
}

/// Adds the number of replicas where nobody chose it. Errors: more replicas than there are brokers for.
fn with_replicas(values: &mut Values, brokers: i32, invalid: &mut Vec<Invalid>) {
    let few = brokers.min(REPLICAS);
    let mut at_most = |name: &str, default: i32, most: i32, what: &str| {
        let value = values.entry(name.to_owned()).or_insert_with(|| default.to_string());
        let number = value.parse().unwrap_or(default);
        if number > most {
            invalid.push(Invalid::new(field(name), format!("{number} is above {what}, which is {most}")));
        }
        number
    };
    let factor = at_most(REPLICATION_FACTOR, few, brokers, "brokers.replicas");
    at_most(OFFSETS_REPLICATION_FACTOR, few, brokers, "brokers.replicas");
    // With two of two every restart would be an outage.
    let in_sync = if factor >= REPLICAS { REPLICAS - 1 } else { 1 };
    at_most(MIN_INSYNC_REPLICAS, in_sync, factor.max(1), REPLICATION_FACTOR);
}

/// Whether a node of each role starts with what is put together for it: the broker's own check of the whole. What the broker
/// has to say about a configuration that it accepts becomes a warning.
pub fn check_nodes(cluster: &mut ValidCluster, invalid: &mut Vec<Invalid>) {
    for role in [Role::Broker, Role::Controller] {
        if cluster.nodes(role).is_none() {
            continue;
        }
        match check_node(cluster, role) {
            Ok(notices) => {
                let notices = notices.iter().map(Notice::to_string);
                let new: Vec<_> = notices.filter(|notice| !cluster.warnings.contains(notice)).collect();
                cluster.warnings.extend(new);
            }
            Err(error) => {
                let fault = fault(cluster, &error);
                if !invalid.contains(&fault) {
                    invalid.push(fault);
                }
            }
        }
    }
}

fn check_node(cluster: &ValidCluster, role: Role) -> Result<Vec<Notice>, ConfigError> {
    // Addresses are known only later: some address, where the listener is not told which.
    let address = ExternalAddress { host: Some("127.0.0.1".to_owned()), port: ports::EXTERNAL.number };
    let mut properties = properties::of_node(cluster, role.first_id(), Some(&address)).unwrap_or_default();
    // References are for the machine that the node runs on to resolve.
    properties.retain(|name, _| !name.starts_with("config.providers"));
    properties.extend(cluster.dynamic_config.clone());
    Ok(Config::from_given(&properties, "")?.notices)
}

/// Where the user wrote what the broker finds fault with.
fn fault(cluster: &ValidCluster, error: &ConfigError) -> Invalid {
    let host = cluster.external.as_ref().and_then(|listener| listener.advertised_host.as_ref());
    let place = match error {
        ConfigError::InvalidValue { name, .. } if name == "advertised.listeners" && host.is_some() => {
            "spec.listeners.external.advertisedHost".to_owned()
        }
        ConfigError::InvalidValue { name, .. } => field(name),
        _ => "spec.config".to_owned(),
    };
    Invalid::new(place, error.to_string())
}
