//! How clients outside Kubernetes reach the brokers: a service to begin with, and one for each broker, whose address the
//! broker tells them.

use super::valid::{Role, ValidCluster};
use super::{labels, names, ports, properties};
use crate::crd::{ExternalListener, ExternalType};
use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use std::collections::BTreeMap;

/// Where a broker's service is reached from outside, as far as Kubernetes has said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalAddress {
    /// The name or the address of the load balancer. `None`: any of Kubernetes' nodes.
    pub host: Option<String>,
    pub port: i32,
}

/// What the value of `advertised.listeners` has for the address of the machine that a pod runs on. The broker resolves it.
const HOST_IP: &str = "${env:HOST_IP}";

/// The host and port that clients are told of a broker. `None`: Kubernetes has not given it an address yet.
pub fn advertised(listener: &ExternalListener, id: i32, address: Option<&ExternalAddress>) -> Option<(String, i32)> {
    let named = listener.advertised_host.as_ref().map(|host| host.replace("{id}", &id.to_string()));
    let given = address.and_then(|address| address.host.clone());
    let (host, port) = match listener.type_ {
        ExternalType::NodePort => {
            (named.or(given).unwrap_or_else(|| HOST_IP.to_owned()), address.map(|address| address.port))
        }
        ExternalType::LoadBalancer => (named.or(given)?, Some(ports::EXTERNAL.number)),
    };
    Some((host, port?))
}

/// Those of the first `brokers` whose address outside is not known yet: they have no file.
pub fn missing(cluster: &ValidCluster, brokers: i32, addresses: &BTreeMap<i32, ExternalAddress>) -> Vec<i32> {
    let Some(listener) = &cluster.external else { return Vec::new() };
    (0..brokers).filter(|id| advertised(listener, *id, addresses.get(id)).is_none()).collect()
}

/// The address that Kubernetes has given a broker's service.
pub fn address(listener: &ExternalListener, service: &Service) -> Option<ExternalAddress> {
    match listener.type_ {
        ExternalType::NodePort => {
            let port = service.spec.as_ref()?.ports.as_ref()?.first()?.node_port?;
            Some(ExternalAddress { host: None, port })
        }
        ExternalType::LoadBalancer => {
            let ingress = service.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref()?.first()?;
            let host = ingress.hostname.clone().or_else(|| ingress.ip.clone())?;
            Some(ExternalAddress { host: Some(host), port: ports::EXTERNAL.number })
        }
    }
}

/// The address that a load balancer had when a broker's file was written. It is kept until there is another one: a load
/// balancer that is without an address for a moment must not take its broker's file away.
pub fn kept(listener: &ExternalListener, file: &str) -> Option<ExternalAddress> {
    let is_given = listener.type_ == ExternalType::LoadBalancer && listener.advertised_host.is_none();
    let (host, port) = properties::told_outside(file).filter(|_| is_given)?;
    // Another port is that of a node: the listener was of the other type.
    (port == ports::EXTERNAL.number).then(|| ExternalAddress { host: Some(host.to_owned()), port })
}

/// The service to begin with, and those of the first `brokers`. Nothing without a listener for clients outside.
pub fn services(cluster: &ValidCluster, brokers: i32) -> Vec<Service> {
    let Some(listener) = &cluster.external else { return Vec::new() };
    let of_broker = |id| of_broker(cluster, listener, id);
    std::iter::once(bootstrap(cluster, listener)).chain((0..brokers).map(of_broker)).collect()
}

fn bootstrap(cluster: &ValidCluster, listener: &ExternalListener) -> Service {
    let mut port = ports::EXTERNAL.of_service();
    port.node_port = listener.bootstrap_node_port;
    let spec = ServiceSpec {
        selector: Some(labels::selector(&cluster.name, Some(Role::Broker))),
        ports: Some(vec![port]),
        ..spec(listener)
    };
    service(cluster, listener, names::external_bootstrap_service(&cluster.name), spec)
}

/// A broker that is not ready is reached as well: it says itself what it can do, as it does inside.
fn of_broker(cluster: &ValidCluster, listener: &ExternalListener, id: i32) -> Service {
    let spec = ServiceSpec {
        selector: Some(labels::pod_selector(&cluster.name, &names::pod(&cluster.name, id))),
        ports: Some(vec![ports::EXTERNAL.of_service()]),
        publish_not_ready_addresses: Some(true),
        ..spec(listener)
    };
    service(cluster, listener, names::external_service(&cluster.name, id), spec)
}

fn spec(listener: &ExternalListener) -> ServiceSpec {
    let type_ = match listener.type_ {
        ExternalType::NodePort => "NodePort",
        ExternalType::LoadBalancer => "LoadBalancer",
    };
    ServiceSpec {
        type_: Some(type_.to_owned()),
        // Any of Kubernetes' nodes answers, whether it has the broker or not. A pod may come back on another node, and its clients
        // go on asking the address they have: `Local` would have that node drop what they send, without a word, for ever.
        external_traffic_policy: Some("Cluster".to_owned()),
        load_balancer_class: listener.load_balancer_class.clone(),
        load_balancer_source_ranges: listener.load_balancer_source_ranges.clone(),
        ..ServiceSpec::default()
    }
}

fn service(cluster: &ValidCluster, listener: &ExternalListener, name: String, spec: ServiceSpec) -> Service {
    let mut metadata = labels::meta(cluster, name, Some(Role::Broker));
    metadata.annotations = Some(listener.annotations.clone()).filter(|annotations| !annotations.is_empty());
    Service { metadata, spec: Some(spec), status: None }
}
