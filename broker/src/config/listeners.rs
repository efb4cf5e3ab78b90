//! Listeners: `NAME://host:port`, the security protocol of each name, and the addresses that clients are told.

use std::collections::BTreeMap;
use std::fmt;

use super::quorum::{NodeConfig, QuorumConfig};
use super::settings::Settings;
use super::{ConfigError, broker};

/// Where connections are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub name: String,
    /// `None`: every address of the machine.
    pub host: Option<String>,
    /// 0: one that the operating system chooses.
    pub port: u16,
}

/// The address of a listener that clients are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    pub name: String,
    pub host: String,
    /// 0: the port that the listener of this name got from the operating system.
    pub port: u16,
}

/// The listeners of one node, sorted by what they are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listeners {
    /// For clients and other brokers. Empty for a node that is only a controller.
    pub broker: Vec<Listener>,
    /// Those of `controller.listener.names`.
    pub controller: Vec<Listener>,
    /// For listeners of `broker`; one that is not among them is used only by those who know it.
    pub advertised: Vec<Advertised>,
    /// Where other nodes reach the controller of this one, as the voters say it; `None` for a quorum of one.
    pub advertised_controller: Option<Advertised>,
    /// The name of the listener that brokers use among themselves.
    pub inter_broker: String,
}

impl Listeners {
    /// `machine` is the name of this machine, for listeners without a host. Errors: `InvalidValue`.
    pub fn from_settings(
        settings: &Settings,
        node: &NodeConfig,
        quorum: &QuorumConfig,
        machine: &str,
    ) -> Result<Listeners, ConfigError> {
        let given = settings.get(broker::LISTENERS);
        let all = parse("listeners", &given)?;
        unique(&given, &all)?;
        let controllers = names(&settings.get(broker::CONTROLLER_LISTENER_NAMES).unwrap_or_default());
        let protocols = Protocols::from_settings(settings, &controllers)?;
        all.iter().try_for_each(|listener| protocols.plaintext("listeners", &given, &listener.name))?;
        let (controller, broker): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|listener| controllers.contains(&listener.name));
        let (broker, controller) = by_role(node, &given, broker, controller)?;
        let advertised_controller = advertised_controller(node, quorum, &controllers, &controller)?;
        if broker.is_empty() {
            let inter_broker = settings.get(broker::INTER_BROKER_LISTENER_NAME).unwrap_or_else(|| "PLAINTEXT".into());
            let inter_broker = inter_broker.to_ascii_uppercase();
            return Ok(Listeners { broker, controller, advertised: Vec::new(), advertised_controller, inter_broker });
        }
        let advertised = advertised(settings, &broker, &controllers, machine)?;
        let inter_broker = inter_broker(settings, &broker, &controllers, &protocols)?;
        Ok(Listeners { broker, controller, advertised, advertised_controller, inter_broker })
    }
}

/// What a node listens on for clients and for controllers, if that goes with its roles.
fn by_role(
    node: &NodeConfig,
    given: &str,
    broker: Vec<Listener>,
    controller: Vec<Listener>,
) -> Result<(Vec<Listener>, Vec<Listener>), ConfigError> {
    let fault = |reason: &str| Err(ConfigError::invalid("listeners", given, reason));
    match (node.is_broker, node.is_controller) {
        (true, _) if broker.is_empty() => fault("there must be one for clients, not only for controllers"),
        (true, false) if !controller.is_empty() => {
            fault("a node that is no controller has none of the listeners that controller.listener.names names")
        }
        (false, _) if !broker.is_empty() => {
            fault("a node that is only a controller has no others than those that controller.listener.names names")
        }
        _ => Ok((broker, controller)),
    }
}

/// Errors: a quorum of several nodes, and nowhere that the others of it could connect to.
fn advertised_controller(
    node: &NodeConfig,
    quorum: &QuorumConfig,
    names: &[String],
    listeners: &[Listener],
) -> Result<Option<Advertised>, ConfigError> {
    let Some((host, port)) = quorum.voters.get(&node.id) else { return Ok(None) };
    match listeners.first() {
        Some(listener) => Ok(Some(Advertised { name: listener.name.clone(), host: host.clone(), port: *port })),
        None if quorum.voters.len() == 1 && names.is_empty() => Ok(None),
        None => {
            let reason =
                "controllers talk to one another, and brokers to them: it must name a listener that is in listeners";
            Err(ConfigError::invalid("controller.listener.names", &names.join(","), reason))
        }
    }
}

fn advertised(
    settings: &Settings,
    listeners: &[Listener],
    controllers: &[String],
    machine: &str,
) -> Result<Vec<Advertised>, ConfigError> {
    let key = "advertised.listeners";
    let given = settings.get(broker::ADVERTISED_LISTENERS);
    // Without any configuration this is a developer's machine, whose own name often leads nowhere.
    let machine = if settings.is_given(broker::LISTENERS.setting) { machine } else { "localhost" };
    let chosen = match &given {
        Some(given) => parse(key, given)?,
        None => listeners.to_vec(),
    };
    let fault = |reason: String| {
        let shown = given.clone().unwrap_or_else(|| settings.get(broker::LISTENERS));
        Err(ConfigError::invalid(if given.is_some() { key } else { "listeners" }, &shown, reason))
    };
    if let Some(one) = chosen.iter().find(|one| one.host.as_deref() == Some("0.0.0.0")) {
        let how = "no client can connect to 0.0.0.0: name a host, in advertised.listeners or in listeners";
        return fault(format!("{how} ({})", one.name));
    }
    let chosen: Vec<Listener> = chosen.into_iter().filter(|one| !controllers.contains(&one.name)).collect();
    if chosen.is_empty() {
        return fault("there must be one for clients, not only for controllers".to_owned());
    }
    if let Some(one) = chosen.iter().find(|one| !listeners.iter().any(|listener| listener.name == one.name)) {
        return fault(format!("there is no listener {} in listeners", one.name));
    }
    if let Some(name) = twice(&chosen) {
        return fault(format!("each listener must have a different name, {name} is there twice"));
    }
    let host = |host: Option<String>| host.unwrap_or_else(|| machine.to_owned());
    Ok(chosen.into_iter().map(|one| Advertised { host: host(one.host), name: one.name, port: one.port }).collect())
}

fn inter_broker(
    settings: &Settings,
    listeners: &[Listener],
    controllers: &[String],
    protocols: &Protocols,
) -> Result<String, ConfigError> {
    let known = |name: &str| listeners.iter().any(|listener| listener.name == name);
    if let Some(name) = settings.get(broker::INTER_BROKER_LISTENER_NAME).map(|name| name.to_ascii_uppercase()) {
        let reason = match controllers.contains(&name) {
            true => "controller.listener.names has it: brokers replicate over a listener that serves clients",
            false => "there is no such listener in listeners",
        };
        let fault = || ConfigError::invalid("inter.broker.listener.name", &name, reason);
        return if known(&name) { Ok(name) } else { Err(fault()) };
    }
    let protocol = settings.get(broker::SECURITY_INTER_BROKER_PROTOCOL);
    if protocol != "PLAINTEXT" {
        return Err(ConfigError::invalid("security.inter.broker.protocol", &protocol, ONLY_PLAINTEXT));
    }
    // Kafka wants a listener that is named like the protocol. One that speaks it does as well while there is but one node.
    let speaks = listeners.iter().find(|listener| protocols.of(&listener.name) == Some(&protocol));
    let named = listeners.iter().find(|listener| listener.name == protocol);
    Ok(named.or(speaks).unwrap_or(&listeners[0]).name.clone())
}

const ONLY_PLAINTEXT: &str =
    "this release speaks PLAINTEXT only; SSL, SASL_PLAINTEXT and SASL_SSL are not supported yet";

/// The security protocol of each listener name.
struct Protocols(BTreeMap<String, String>);

impl Protocols {
    /// Names of controllers' listeners speak PLAINTEXT unless the map is given (as in Kafka).
    fn from_settings(settings: &Settings, controllers: &[String]) -> Result<Protocols, ConfigError> {
        let key = broker::LISTENER_SECURITY_PROTOCOL_MAP;
        let given = settings.is_given(key.setting);
        let text = settings.get(key);
        let mut map = BTreeMap::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let allowed = "NAME:PROTOCOL, several by commas, with PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL";
            let fault =
                || ConfigError::invalid("listener.security.protocol.map", &text, format!("'{entry}': {allowed}"));
            let (name, protocol) = entry.rsplit_once(':').ok_or_else(fault)?;
            let protocol = protocol.trim().to_ascii_uppercase();
            if !["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"].contains(&protocol.as_str()) {
                return Err(fault());
            }
            map.insert(name.trim().to_ascii_uppercase(), protocol);
        }
        if !given {
            controllers.iter().for_each(|name| {
                map.entry(name.clone()).or_insert_with(|| "PLAINTEXT".to_owned());
            });
        }
        Ok(Protocols(map))
    }

    fn of(&self, name: &str) -> Option<&String> {
        self.0.get(name)
    }

    fn plaintext(&self, key: &str, value: &str, name: &str) -> Result<(), ConfigError> {
        let reason = match self.of(name).map(String::as_str) {
            Some("PLAINTEXT") => return Ok(()),
            Some(protocol) => format!("the listener {name} is to speak {protocol}; {ONLY_PLAINTEXT}"),
            None => {
                format!("no security protocol is defined for the listener {name} in listener.security.protocol.map")
            }
        };
        Err(ConfigError::invalid(key, value, reason))
    }
}

/// Reads `NAME://host:port`, several by commas. Errors: `InvalidValue` with the one at fault.
pub fn parse(key: &str, value: &str) -> Result<Vec<Listener>, ConfigError> {
    let entries = value.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let listeners = entries
        .map(|entry| parse_one(entry).ok_or(entry))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|entry| ConfigError::invalid(key, value, format!("'{entry}': NAME://host:port is expected")))?;
    match listeners.is_empty() {
        true => Err(ConfigError::invalid(key, value, "at least one NAME://host:port is expected")),
        false => Ok(listeners),
    }
}

fn parse_one(entry: &str) -> Option<Listener> {
    let (name, address) = entry.split_once("://").filter(|(name, _)| !name.is_empty())?;
    let (host, port) = host_and_port(address)?;
    Some(Listener { name: name.to_ascii_uppercase(), host: (!host.is_empty()).then(|| host.to_owned()), port })
}

/// The host, without the brackets of an IPv6 address, and the port.
pub(super) fn host_and_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-%._:".contains(&byte);
    (bare.bytes().all(plain) && port.bytes().all(|byte| byte.is_ascii_digit())).then_some(())?;
    Some((bare, port.parse().ok()?))
}

/// Two listeners need two names, and two ports unless one has an IPv4 address and the other an IPv6 address (KIP-797).
fn unique(value: &str, listeners: &[Listener]) -> Result<(), ConfigError> {
    let is_v6 = |listener: &Listener| listener.host.as_deref().is_some_and(|host| host.contains(':'));
    let fault = |what: String| Err(ConfigError::invalid("listeners", value, what));
    if let Some(name) = twice(listeners) {
        return fault(format!("each listener must have a different name, {name} is there twice"));
    }
    for (position, one) in listeners.iter().enumerate() {
        for other in &listeners[..position] {
            let both_families = one.host.is_some() && other.host.is_some() && is_v6(one) != is_v6(other);
            if one.port != 0 && one.port == other.port && !both_families {
                return fault(format!("each listener must have a different port, {} is there twice", one.port));
            }
        }
    }
    Ok(())
}

/// A name that more than one listener has.
fn twice(listeners: &[Listener]) -> Option<&str> {
    let before = |position: usize| &listeners[..position];
    let again = |(position, one): &(usize, &Listener)| before(*position).iter().any(|other| other.name == one.name);
    listeners.iter().enumerate().find(again).map(|(_, one)| one.name.as_str())
}

fn names(text: &str) -> Vec<String> {
    text.split(',').map(|name| name.trim().to_ascii_uppercase()).filter(|name| !name.is_empty()).collect()
}

/// The limits of `max.connections.per.ip.overrides` by host.
pub fn ip_overrides(text: &str) -> Option<BTreeMap<String, u32>> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries
        .map(|entry| {
            let (host, limit) = entry.rsplit_once(':')?;
            Some((host.trim().to_owned(), limit.trim().parse().ok()?))
        })
        .collect()
}

pub(super) fn check_ip_overrides(text: &str) -> Result<(), String> {
    ip_overrides(text).map(drop).ok_or_else(|| "host:limit is expected, several by commas".to_owned())
}

pub(super) fn check_metrics_listener(text: &str) -> Result<(), String> {
    let right = text.is_empty() || host_and_port(text).is_some();
    right.then_some(()).ok_or_else(|| "host:port is expected, or nothing for no metrics".to_owned())
}

pub(super) fn check_admin_listener(text: &str) -> Result<(), String> {
    let right = text.is_empty() || host_and_port(text).is_some();
    right.then_some(()).ok_or_else(|| "host:port is expected, or nothing for no administration".to_owned())
}

impl fmt::Display for Listener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.as_deref().unwrap_or_default();
        match host.contains(':') {
            true => write!(formatter, "{}://[{host}]:{}", self.name, self.port),
            false => write!(formatter, "{}://{host}:{}", self.name, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listeners(settings: &[(&str, &str)]) -> Result<Listeners, String> {
        let given = settings.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let settings = Settings::from_given(&given).map_err(|error| error.to_string())?;
        let node = NodeConfig::from_settings(&settings).map_err(|error| error.to_string())?;
        let quorum = QuorumConfig::from_settings(&settings, &node).map_err(|error| error.to_string())?;
        Listeners::from_settings(&settings, &node, &quorum, "machine").map_err(|error| error.to_string())
    }

    fn addresses(listeners: &Listeners) -> Vec<String> {
        listeners.advertised.iter().map(|one| format!("{}={}:{}", one.name, one.host, one.port)).collect()
    }

    #[test]
    fn nothing_configured_listens_everywhere_and_advertises_localhost() {
        let listeners = listeners(&[]).unwrap();
        assert_eq!(listeners.broker, [Listener { name: "PLAINTEXT".into(), host: None, port: 9092 }]);
        assert_eq!(addresses(&listeners), ["PLAINTEXT=localhost:9092"]);
        assert_eq!(listeners.inter_broker, "PLAINTEXT");
    }

    #[test]
    fn a_configured_listener_without_a_host_advertises_the_machine() {
        assert_eq!(addresses(&listeners(&[("listeners", "PLAINTEXT://:1")]).unwrap()), ["PLAINTEXT=machine:1"]);
    }

    #[test]
    fn the_quickstart_file_of_kafka_gives_one_broker_and_one_controller_listener() {
        let listeners = listeners(&[
            ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
            ("inter.broker.listener.name", "PLAINTEXT"),
            ("advertised.listeners", "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093"),
            ("controller.listener.names", "CONTROLLER"),
        ])
        .unwrap();
        assert_eq!(addresses(&listeners), ["PLAINTEXT=localhost:9092"]);
        assert_eq!(listeners.controller, [Listener { name: "CONTROLLER".into(), host: None, port: 9093 }]);
    }

    #[test]
    fn several_named_listeners_and_ipv6_are_read() {
        let listeners = listeners(&[
            ("listeners", "inside://10.0.0.1:9092, OUTSIDE://[::1]:9092,CONTROLLER://:9093"),
            ("advertised.listeners", "OUTSIDE://[::1]:19092,INSIDE://b-0.b:9092"),
            ("listener.security.protocol.map", "INSIDE:PLAINTEXT,OUTSIDE:plaintext,CONTROLLER:PLAINTEXT"),
            ("inter.broker.listener.name", "INSIDE"),
            ("controller.listener.names", "CONTROLLER"),
        ])
        .unwrap();
        let shown: Vec<String> = listeners.broker.iter().map(Listener::to_string).collect();
        assert_eq!(shown, ["INSIDE://10.0.0.1:9092", "OUTSIDE://[::1]:9092"]);
        assert_eq!(listeners.controller.len(), 1);
        assert_eq!(addresses(&listeners), ["OUTSIDE=::1:19092", "INSIDE=b-0.b:9092"]);
        assert_eq!(listeners.inter_broker, "INSIDE");
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_reason() {
        let refused = |settings: &[(&str, &str)], reason: &str| {
            let error = listeners(settings).unwrap_err();
            assert!(error.contains(reason), "{error}");
        };
        refused(&[("listeners", "SSL://:9093")], "PLAINTEXT only");
        refused(&[("listeners", "A://:9093")], "no security protocol is defined for the listener A");
        refused(&[("listeners", "PLAINTEXT://0.0.0.0:9092")], "0.0.0.0");
        refused(&[("listeners", "PLAINTEXT://a:99999")], "'PLAINTEXT://a:99999': NAME://host:port");
        refused(&[("listeners", "localhost:9092")], "NAME://host:port");
        refused(&[("listeners", "")], "at least one");
        refused(&[("listeners", "PLAINTEXT://:1,SSL://:1")], "different port");
        refused(&[("listeners", "PLAINTEXT://:1,PLAINTEXT://:2")], "different name");
        refused(&[("listener.security.protocol.map", "PLAINTEXT")], "NAME:PROTOCOL");
        refused(&[("advertised.listeners", "")], "at least one");
        refused(&[("advertised.listeners", "PLAINTEXT://a:1,PLAINTEXT://b:1")], "different name");
        refused(&[("advertised.listeners", "X://a:1")], "no listener X");
        refused(&[("inter.broker.listener.name", "X")], "no such listener");
        refused(&[("controller.listener.names", "PLAINTEXT")], "one for clients");
        let one = ("controller.quorum.voters", "1@a:9093");
        refused(&[one, ("controller.listener.names", "CONTROLLER")], "name a listener that is in listeners");
        let named = ("controller.listener.names", "CONTROLLER");
        let right = [one, named, ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093")];
        refused(
            &[&right[..], &[("inter.broker.listener.name", "CONTROLLER")]].concat(),
            "controller.listener.names has it",
        );
        for port in [0, 9093, 19093] {
            let given = format!("PLAINTEXT://:9092,CONTROLLER://:{port}");
            assert!(listeners(&[one, named, ("listeners", &given)]).is_ok());
        }
        refused(&[("metrics.listener", "nowhere")], "host:port");
        refused(&[("admin.listener", "nowhere")], "host:port");
        refused(&[("max.connections.per.ip.overrides", "a")], "host:limit");
    }
}
