//! `KafkaCluster`: what people say of a cluster.

use super::cluster_listeners::Listeners;
use super::cluster_pods::{PodOverrides, Resources, Storage};
use super::cluster_status::KafkaClusterStatus;
use super::scalar::{ConfigValue, null_is_empty};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is wanted of the cluster.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "barnabas.dev",
    version = "v1alpha1",
    kind = "KafkaCluster",
    plural = "kafkaclusters",
    shortname = "kc",
    category = "barnabas",
    category = "kafka",
    namespaced,
    status = "KafkaClusterStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A cluster of Barnabas: brokers that speak Apache Kafka's protocol, and the controllers that keep its metadata.",
    scale(
        spec_replicas_path = ".spec.brokers.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Brokers", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(name = "Wanted", type_ = "integer", json_path = ".spec.brokers.replicas"),
    printcolumn(name = "Doing", type_ = "string", json_path = ".status.message"),
    printcolumn(name = "Bootstrap", type_ = "string", json_path = ".status.bootstrap.internal", priority = 1),
    printcolumn(name = "Offline", type_ = "integer", json_path = ".status.partitions.offline", priority = 1),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 40").message("metadata.name: at most 40 characters, since names of pods and services are made of it"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')").message("metadata.name: lower-case letters, digits and '-', beginning with a letter, since names of services are made of it")
)]
#[cfg_attr(test, kube(cel))]
#[x_kube(
    validation = Rule::new("self.controllers.mode != 'Combined' || self.controllers.replicas <= self.brokers.replicas").message("brokers.replicas must not be below controllers.replicas, since the first brokers are the controllers; for one or two brokers set controllers.replicas to 1 when the cluster is created").field_path(".brokers.replicas"),
    validation = Rule::new("self.controllers.mode != 'Combined' || self.controllers.replicas <= 3").message("combined controllers are 1 or 3: for 5 use controllers.mode Dedicated").field_path(".controllers.replicas"),
    validation = Rule::new("self.controllers.mode != 'Dedicated' || has(self.controllers.storage)").message("controllers.storage is needed where controllers.mode is Dedicated").field_path(".controllers"),
    validation = Rule::new("self.controllers.mode == 'Dedicated' || !has(self.controllers.storage) && !has(self.controllers.resources) && !has(self.controllers.pod)").message("controllers.storage, controllers.resources and controllers.pod are for controllers.mode Dedicated: combined controllers live in the brokers' pods").field_path(".controllers"),
    validation = Rule::new("self.availability.maxUnavailable < self.brokers.replicas || self.brokers.replicas == 1").message("availability.maxUnavailable must be below brokers.replicas").field_path(".availability.maxUnavailable"),
    validation = Rule::new("!has(self.image) || !has(self.version)").message("either image or version: version is the tag of the operator's own image").field_path(".version"),
    validation = Rule::new("!has(self.listeners.external) || self.listeners.external.type != 'LoadBalancer' || !has(self.listeners.external.advertisedHost) || self.listeners.external.advertisedHost.contains('{id}') || self.brokers.replicas == 1").message("listeners.external.advertisedHost must have {id} in it: each broker has a load balancer of its own, and clients could not tell the brokers apart").field_path(".listeners.external.advertisedHost")
)]
#[serde(rename_all = "camelCase")]
pub struct KafkaClusterSpec {
    /// The image of brokers and controllers. Default: the one that the operator was installed with, with `version` as its tag
    /// if that is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^\S+$"))]
    pub image: Option<String>,

    /// The version of Barnabas: the tag of the operator's default image. Not together with `image`. Default: the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"))]
    pub version: Option<String>,

    /// When the image is pulled. Default: IfNotPresent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<ImagePullPolicy>,

    /// Names of Secrets in the same namespace that give access to the image's registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 253)))]
    pub image_pull_secrets: Vec<String>,

    /// The brokers, which hold the records.
    pub brokers: Brokers,

    /// The controllers, which keep the metadata and elect leaders.
    #[serde(default)]
    #[schemars(default)]
    pub controllers: Controllers,

    /// How clients reach the brokers.
    #[serde(default)]
    #[schemars(default)]
    pub listeners: Listeners,

    /// Who may connect to the nodes.
    #[serde(default)]
    #[schemars(default)]
    pub network_policy: NetworkPolicy,

    /// Configuration of the brokers by Apache Kafka's names. What Kafka can change while it runs is applied without a
    /// restart; anything else restarts the brokers, one at a time. What the operator decides itself (node.id, listeners,
    /// log.dirs, process.roles, controller.quorum.voters and others) must not be here: the operator says so, and changes nothing.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 200))]
    pub config: BTreeMap<String, ConfigValue>,

    /// When records count as written.
    #[serde(default)]
    #[schemars(default)]
    pub durability: Durability,

    /// What monitoring sees.
    #[serde(default)]
    #[schemars(default)]
    pub metrics: Metrics,

    /// How partitions are moved between brokers.
    #[serde(default)]
    #[schemars(default)]
    pub rebalance: Rebalance,

    /// How many brokers may be down on purpose, and in which order they are restarted.
    #[serde(default)]
    #[schemars(default)]
    pub availability: Availability,

    /// Stops all brokers and controllers and keeps their volumes: `false` starts them again with all their data.
    #[serde(default)]
    pub stopped: bool,

    /// Leaves everything as it is: the operator changes nothing of this cluster until it is `false` again. The brokers run on.
    #[serde(default)]
    pub paused: bool,

    /// What becomes of the volumes when this resource is deleted. `Retain` keeps them: the same resource created again has
    /// all its data.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ImagePullPolicy {
    Always,
    IfNotPresent,
    Never,
}

/// What becomes of data when a resource is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    #[default]
    Retain,
    Delete,
}

/// The brokers.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, x_kube(cel))]
#[serde(rename_all = "camelCase")]
pub struct Brokers {
    /// How many brokers there are. More: they join, and partitions are moved to them. Fewer: those with the highest numbers
    /// are emptied first, and end with their volumes; refused where a topic has more replicas than brokers would be left.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 250))]
    pub replicas: i32,

    /// CPU and memory of each broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// The volume of each broker.
    pub storage: Storage,

    /// The label of Kubernetes' nodes that names the rack of a broker (`broker.rack`): replicas of a partition are spread
    /// over racks, and pods over the same label. An empty text: no racks.
    #[serde(default = "zone_label")]
    #[schemars(
        length(max = 316),
        regex(pattern = r"^(([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")
    )]
    pub rack_topology_key: String,

    /// Changes of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodOverrides>,
}

/// The controllers.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, x_kube(cel))]
#[x_kube(validation = Rule::new("self.mode == oldSelf.mode").message("controllers.mode cannot change: the voters of a quorum are fixed when it is created").field_path(".mode"))]
#[x_kube(validation = Rule::new("self.replicas == oldSelf.replicas").message("controllers.replicas cannot change: the voters of a quorum are fixed when it is created").field_path(".replicas"))]
#[x_kube(validation = Rule::new("self.replicas % 2 == 1").message("controllers.replicas must be odd (1, 3 or 5): an even number survives no more failures than one less").field_path(".replicas"))]
#[serde(rename_all = "camelCase")]
pub struct Controllers {
    /// `Combined`: the first brokers are controllers too. `Dedicated`: controllers have pods of their own. Fixed at creation.
    #[serde(default)]
    pub mode: ControllerMode,

    /// How many controllers there are: 1 survives no failure, 3 survive one, 5 survive two. Fixed at creation.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 5))]
    pub replicas: i32,

    /// CPU and memory of each dedicated controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// The volume of each dedicated controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,

    /// Changes of the pods of dedicated controllers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodOverrides>,
}

impl Default for Controllers {
    fn default() -> Self {
        Controllers { mode: ControllerMode::default(), replicas: 3, resources: None, storage: None, pod: None }
    }
}

/// Where controllers run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ControllerMode {
    #[default]
    Combined,
    Dedicated,
}

/// Who may connect to the nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicy {
    /// Whether there is a NetworkPolicy that lets nobody but the cluster's own pods connect to the ports by which nodes follow
    /// one another, and nobody but the operator to the one by which it administers them. Clients and monitoring are let in from
    /// anywhere. `false`: there is none, and whoever reaches a pod can administer the cluster, unless another policy forbids
    /// it. It has no effect where Kubernetes' network does not enforce policies.
    #[serde(default = "yes")]
    pub enabled: bool,
}

impl Default for NetworkPolicy {
    fn default() -> Self {
        NetworkPolicy { enabled: true }
    }
}

/// When records count as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Durability {
    /// Whether each replica has its records on the disk before they are acknowledged (`log.flush.interval.messages=1`). A
    /// loss of power everywhere at once loses nothing then; without it, what the operating system had not written yet.
    #[serde(default)]
    pub fsync_before_ack: bool,
}

/// What monitoring sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// Whether pods carry the annotations `prometheus.io/scrape`, `port` and `path`. /metrics is served at port 9404 anyway.
    #[serde(default = "yes")]
    pub scrape_annotations: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics { scrape_annotations: true }
    }
}

/// How partitions are moved between brokers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rebalance {
    /// `OnScale`: after brokers were added. `Always`: whenever replicas or leaders are spread unevenly. `Never`: not, but for
    /// brokers that leave.
    #[serde(default)]
    pub mode: RebalanceMode,
    /// Bytes a second that each broker may send and receive for moves. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub throttle_bytes_per_second: Option<i64>,
    /// Partitions that are moved at the same time.
    #[serde(default = "moves_at_once")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_moves_at_once: i32,
}

impl Default for Rebalance {
    fn default() -> Self {
        Rebalance {
            mode: RebalanceMode::default(),
            throttle_bytes_per_second: None,
            max_moves_at_once: moves_at_once(),
        }
    }
}

/// When partitions are moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RebalanceMode {
    #[default]
    OnScale,
    Always,
    Never,
}

/// How many brokers may be down on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Availability {
    /// Brokers that may be down at the same time on purpose: in a rolling restart, and by eviction (`kubectl drain`).
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 250))]
    pub max_unavailable: i32,
    /// `Broker`: restart one after the other. `Rack`: restart the brokers of one rack at a time, at most `maxUnavailable` of
    /// them together.
    #[serde(default)]
    pub restart_by: RestartBy,
}

impl Default for Availability {
    fn default() -> Self {
        Availability { max_unavailable: 1, restart_by: RestartBy::default() }
    }
}

/// What is restarted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RestartBy {
    #[default]
    Broker,
    Rack,
}

fn one() -> i32 {
    1
}

fn three() -> i32 {
    3
}

fn yes() -> bool {
    true
}

fn moves_at_once() -> i32 {
    20
}

fn zone_label() -> String {
    "topology.kubernetes.io/zone".to_owned()
}
