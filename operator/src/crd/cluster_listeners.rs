//! What a `KafkaCluster` says of its listeners.

use super::scalar::null_is_empty;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How clients reach the brokers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Listeners {
    /// For clients inside Kubernetes.
    #[serde(default)]
    #[schemars(default)]
    pub internal: InternalListener,
    /// For clients outside. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalListener>,
}

/// The listener for clients inside Kubernetes.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, x_kube(cel))]
#[x_kube(validation = Rule::new("!(self.port in [9090, 9091, 9094, 9095, 9404])").message("listeners.internal.port: 9090, 9091, 9094, 9095 and 9404 are used for other things").field_path(".port"))]
#[serde(rename_all = "camelCase")]
pub struct InternalListener {
    /// Its port.
    #[serde(default = "kafka_port")]
    #[schemars(range(min = 1024, max = 65535))]
    pub port: i32,
}

impl Default for InternalListener {
    fn default() -> Self {
        InternalListener { port: kafka_port() }
    }
}

/// The listener for clients outside Kubernetes. Each broker has an address of its own.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, x_kube(cel))]
#[x_kube(validation = Rule::new("self.type == 'NodePort' || !has(self.bootstrapNodePort)").message("bootstrapNodePort is for type NodePort").field_path(".bootstrapNodePort"))]
#[x_kube(validation = Rule::new("self.type == 'LoadBalancer' || !has(self.loadBalancerClass) && !has(self.loadBalancerSourceRanges)").message("loadBalancerClass and loadBalancerSourceRanges are for type LoadBalancer").field_path(".type"))]
#[x_kube(validation = Rule::new("!has(self.advertisedHost) || self.advertisedHost.matches('^(([A-Za-z0-9_.-]|[{]id[}])+|[0-9A-Fa-f]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)$')").message("advertisedHost: a host name or an address without a port, in which {id} stands for the number of the broker").field_path(".advertisedHost"))]
#[serde(rename_all = "camelCase")]
pub struct ExternalListener {
    /// `NodePort`: a port of Kubernetes' nodes for each broker. `LoadBalancer`: a load balancer for each broker.
    #[serde(rename = "type")]
    pub type_: ExternalType,
    /// The port of the nodes at which any broker answers, for `NodePort`. Default: chosen by Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub bootstrap_node_port: Option<i32>,
    /// The name that clients are told for each broker, in which `{id}` stands for its number; needed for `LoadBalancer`,
    /// unless there is one broker only. Default: the address of the node that the broker runs on, or of its load balancer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub advertised_host: Option<String>,
    /// Annotations of the services, as cloud providers and DNS controllers read them.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub annotations: BTreeMap<String, String>,
    /// The class of the load balancers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer_class: Option<String>,
    /// Addresses (CIDR) from which the load balancers may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 64)))]
    pub load_balancer_source_ranges: Option<Vec<String>>,
}

/// How a broker is reached from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExternalType {
    NodePort,
    LoadBalancer,
}

fn kafka_port() -> i32 {
    9092
}
