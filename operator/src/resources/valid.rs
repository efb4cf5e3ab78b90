//! A cluster as the builders take it: everything resolved, every part of its own type.

use super::names;
use crate::crd::{Availability, DeletionPolicy, ExternalListener, ImagePullPolicy, Quantity, Rebalance, Storage};
use k8s_openapi::api::core::v1::{
    Affinity, EnvVar, PodSecurityContext, ResourceRequirements, Toleration, TopologySpreadConstraint, Volume,
    VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use std::collections::BTreeMap;

/// What somebody wants of a cluster, checked and resolved. Made by `cluster::validate` alone.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidCluster {
    pub name: String,
    pub namespace: String,
    /// The KafkaCluster: what is built goes when it goes.
    pub owner: OwnerReference,
    /// The domain of Kubernetes' services, `cluster.local` almost everywhere.
    pub cluster_domain: String,
    pub image: String,
    pub image_pull_policy: ImagePullPolicy,
    pub image_pull_secrets: Vec<String>,
    pub brokers: Nodes,
    pub controllers: Quorum,
    /// The label of Kubernetes' nodes that names a broker's rack. `None`: no racks.
    pub rack_label: Option<String>,
    /// Where clients inside Kubernetes connect.
    pub internal_port: i32,
    pub external: Option<ExternalListener>,
    /// Whether there is a NetworkPolicy.
    pub network_policy: bool,
    /// The operator's own pods. `None`: it does not know which they are.
    pub operator: Option<OperatorPods>,
    /// What nodes read when they start: a change restarts them.
    pub static_config: BTreeMap<String, String>,
    /// What is set while they run, for all brokers alike. Not in any file.
    pub dynamic_config: BTreeMap<String, String>,
    pub fsync_before_ack: bool,
    pub scrape_annotations: bool,
    pub availability: Availability,
    pub rebalance: Rebalance,
    pub deletion_policy: DeletionPolicy,
    pub stopped: bool,
    /// What is accepted and may not have the effect that somebody hopes for.
    pub warnings: Vec<String>,
}

/// What the operator's own pods are selected by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorPods {
    pub namespace: String,
    pub labels: BTreeMap<String, String>,
}

/// The nodes of one StatefulSet.
#[derive(Clone, Debug, PartialEq)]
pub struct Nodes {
    pub replicas: i32,
    pub storage: Storage,
    pub resources: ResourceRequirements,
    pub pod: Pod,
}

/// Where the controllers are.
#[derive(Clone, Debug, PartialEq)]
pub enum Quorum {
    /// In the first brokers, so many of them.
    Combined(i32),
    Dedicated(Box<Nodes>),
}

/// What is different in the pods of some nodes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pod {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub node_selector: BTreeMap<String, String>,
    pub affinity: Option<Affinity>,
    pub tolerations: Vec<Toleration>,
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    pub security_context: Option<PodSecurityContext>,
    pub env: Vec<EnvVar>,
    pub volumes: Vec<Volume>,
    pub volume_mounts: Vec<VolumeMount>,
    pub priority_class_name: Option<String>,
    pub service_account_name: Option<String>,
    pub scheduler_name: Option<String>,
    pub termination_grace_period_seconds: Option<i64>,
}

/// What the pods of a StatefulSet are. Brokers may be controllers as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Broker,
    Controller,
}

impl Role {
    /// As labels and names have it.
    pub fn component(self) -> &'static str {
        match self {
            Role::Broker => "broker",
            Role::Controller => "controller",
        }
    }

    /// The id of the first node of this role.
    pub fn first_id(self) -> i32 {
        match self {
            Role::Broker => 0,
            Role::Controller => names::FIRST_CONTROLLER_ID,
        }
    }

    /// The role of the node of this id.
    pub fn of(id: i32) -> Role {
        if id < names::FIRST_CONTROLLER_ID { Role::Broker } else { Role::Controller }
    }
}

impl ValidCluster {
    /// `None`: there is no StatefulSet for it, since the brokers are the controllers.
    pub fn nodes(&self, role: Role) -> Option<&Nodes> {
        match (role, &self.controllers) {
            (Role::Broker, _) => Some(&self.brokers),
            (Role::Controller, Quorum::Dedicated(nodes)) => Some(nodes),
            (Role::Controller, Quorum::Combined(_)) => None,
        }
    }

    /// The ids of all controllers. Fixed when the cluster is created.
    pub fn voters(&self) -> std::ops::Range<i32> {
        let (first, count) = match &self.controllers {
            Quorum::Combined(count) => (Role::Broker.first_id(), *count),
            Quorum::Dedicated(nodes) => (Role::Controller.first_id(), nodes.replicas),
        };
        first..first + count
    }

    /// The name by which other nodes and clients inside Kubernetes reach a node.
    pub fn host(&self, id: i32) -> String {
        let service = self.service_host(&names::nodes_service(&self.name));
        format!("{}.{service}", names::pod(&self.name, id))
    }

    /// The name by which a service is reached inside Kubernetes.
    pub fn service_host(&self, service: &str) -> String {
        format!("{service}.{}.svc.{}", self.namespace, self.cluster_domain)
    }

    /// Where clients inside Kubernetes begin.
    pub fn internal_bootstrap(&self) -> String {
        let host = self.service_host(&names::bootstrap_service(&self.name));
        format!("{host}:{}", self.internal_port)
    }

    /// The tag of the image, or its digest.
    pub fn version(&self) -> &str {
        let (name, digest) = match self.image.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (self.image.as_str(), None),
        };
        let last = name.rsplit('/').next().unwrap_or(name);
        let tag = last.split_once(':').map(|(_, tag)| tag);
        tag.or(digest).unwrap_or("latest")
    }
}

/// As Kubernetes' own types have it.
pub(super) fn amount(quantity: &Quantity) -> k8s_openapi::apimachinery::pkg::api::resource::Quantity {
    k8s_openapi::apimachinery::pkg::api::resource::Quantity(quantity.0.clone())
}
