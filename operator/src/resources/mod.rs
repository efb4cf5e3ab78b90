//! What a cluster is made of in Kubernetes: one builder for each kind.
//!
//! - Pure: the same cluster and the same observations give the same resources. No client, no clock.
//! - Each resource is whole, as it is to be applied on the server's side: fields that are left out belong to others.
//! - What a resource is called, labelled and selected by is in `names` and `labels` alone.
//! - Deliberately absent: any decision when something changes. How many replicas run, how large volumes are and how many pods
//!   may be missing come in as `Inputs`.

mod config_maps;
mod disruption_budget;
pub mod external;
pub mod labels;
pub mod names;
mod network_policy;
mod placement;
pub mod pod;
pub mod ports;
mod probes;
pub mod properties;
mod revision;
mod service_account;
mod services;
mod stateful_set;
pub mod valid;

pub use config_maps::racks;
pub use external::ExternalAddress;
pub use stateful_set::revision_of;
pub use valid::{Nodes, OperatorPods, Pod, Quorum, Role, ValidCluster};

use crate::crd::Quantity;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use std::collections::BTreeMap;

/// How large a StatefulSet is for now.
#[derive(Clone, Debug, PartialEq)]
pub struct Size {
    /// Nodes that there are, whether they run or not: each has a file, and an address for clients outside.
    pub nodes: i32,
    /// Pods that the StatefulSet has: `nodes`, or none while the cluster is stopped.
    pub replicas: i32,
    /// The size of each volume, as the StatefulSet was made with: that of a StatefulSet never changes.
    pub storage: Quantity,
}

/// What is decided or known of a cluster while it runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Inputs {
    pub brokers: Size,
    /// Of no account where brokers are the controllers.
    pub controllers: Size,
    /// By broker, as far as Kubernetes has said so.
    pub external: BTreeMap<i32, ExternalAddress>,
    /// The rack of each of Kubernetes' nodes (`racks`).
    pub racks: BTreeMap<String, String>,
    /// Pods that an eviction may take at the same time.
    pub brokers_unavailable_max: i32,
    pub controllers_unavailable_max: i32,
}

/// All that a cluster is made of, in the order in which it is applied: what pods need to start, then the pods.
#[derive(Clone, Debug, PartialEq)]
pub struct Resources {
    pub service_account: ServiceAccount,
    pub network_policy: Option<NetworkPolicy>,
    pub services: Vec<Service>,
    pub config_maps: Vec<ConfigMap>,
    pub disruption_budgets: Vec<PodDisruptionBudget>,
    pub stateful_sets: Vec<StatefulSet>,
}

/// Everything. A broker whose address outside is not known yet has no file (`external::missing`).
pub fn all(cluster: &ValidCluster, inputs: &Inputs) -> Resources {
    let services = [services::nodes(cluster), services::bootstrap(cluster)];
    let config = config_maps::config(cluster, nodes(cluster, inputs), &inputs.external);
    let racks = config_maps::racks_map(cluster, &inputs.racks);
    let budgets = [
        disruption_budget::disruption_budget(cluster, Role::Broker, inputs.brokers_unavailable_max),
        disruption_budget::disruption_budget(cluster, Role::Controller, inputs.controllers_unavailable_max),
    ];
    let stateful_sets = [
        stateful_set::stateful_set(cluster, Role::Controller, &inputs.controllers),
        stateful_set::stateful_set(cluster, Role::Broker, &inputs.brokers),
    ];
    Resources {
        service_account: service_account::service_account(cluster),
        network_policy: network_policy::network_policy(cluster),
        services: services.into_iter().chain(external::services(cluster, inputs.brokers.nodes)).collect(),
        config_maps: std::iter::once(config).chain(racks).collect(),
        disruption_budgets: budgets.into_iter().flatten().collect(),
        stateful_sets: stateful_sets.into_iter().flatten().collect(),
    }
}

/// The ids of all nodes that there are.
fn nodes(cluster: &ValidCluster, inputs: &Inputs) -> impl Iterator<Item = i32> {
    let of = |role: Role, size: &Size| {
        let count = cluster.nodes(role).map_or(0, |_| size.nodes);
        role.first_id()..role.first_id() + count
    };
    of(Role::Broker, &inputs.brokers).chain(of(Role::Controller, &inputs.controllers))
}

#[cfg(test)]
mod golden_test;
#[cfg(test)]
mod network_policy_test;
#[cfg(test)]
mod properties_test;
