//! `KafkaCluster`: what people say of a cluster.

use super::cluster_status::KafkaClusterStatus;
use super::scalar::{ConfigValue, Quantity};
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A cluster of Barnabas: brokers that speak Apache Kafka's protocol, and the controllers that keep its metadata.
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
    validation = Rule::new("!has(self.availability) || !has(self.availability.maxUnavailable) || self.availability.maxUnavailable < self.brokers.replicas || self.brokers.replicas == 1").message("availability.maxUnavailable must be below brokers.replicas").field_path(".availability")
)]
#[serde(rename_all = "camelCase")]
pub struct KafkaClusterSpec {
    /// The image of brokers and controllers. Default: the one that the operator was installed with, with `version` as its tag
    /// if that is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
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
    #[schemars(length(max = 16))]
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

    /// Configuration of the brokers by Apache Kafka's names. What Kafka can change while it runs is applied without a
    /// restart; anything else restarts the brokers, one at a time. What the operator decides itself (node.id, listeners,
    /// log.dirs, process.roles, controller.quorum.voters and others) is refused here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
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
    /// are emptied first; refused where a topic has more replicas than brokers would be left.
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
    #[schemars(length(max = 316))]
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

/// CPU and memory, as of a container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// What is set aside, by name (cpu, memory).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub requests: BTreeMap<String, Quantity>,
    /// What is not to be exceeded, by name (cpu, memory).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub limits: BTreeMap<String, Quantity>,
}

/// A volume.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, x_kube(cel))]
#[x_kube(validation = Rule::new("!quantity(string(self.size)).isLessThan(quantity(string(oldSelf.size)))").message("storage.size cannot shrink: volumes only grow").field_path(".size"))]
#[x_kube(validation = Rule::new("has(self.className) == has(oldSelf.className) && (!has(self.className) || self.className == oldSelf.className)").message("storage.className cannot change: volumes stay in the class in which they were made").field_path(".className"))]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// Its size. May grow, if the storage class allows it; never shrinks.
    pub size: Quantity,
    /// Its StorageClass. Default: that of the Kubernetes cluster. Fixed at creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: Option<String>,
}

impl Default for Storage {
    fn default() -> Self {
        Storage { size: "10Gi".into(), class_name: None }
    }
}

/// What is changed of the pods that the operator makes. Objects are written as in a Pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodOverrides {
    /// More labels. Those of the operator stay.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub labels: BTreeMap<String, String>,
    /// More annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub annotations: BTreeMap<String, String>,
    /// Labels that a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub node_selector: BTreeMap<String, String>,
    /// In place of the operator's own affinity, which spreads the pods over nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "embedded")]
    pub affinity: Option<Value>,
    /// Taints of nodes that are tolerated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "embedded_list")]
    pub tolerations: Vec<Value>,
    /// In place of the operator's own constraints, which spread the pods over racks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "embedded_list")]
    pub topology_spread_constraints: Vec<Value>,
    /// In place of the operator's own security context of the pod (not root, the volume belongs to its group).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "embedded")]
    pub security_context: Option<Value>,
    /// More environment variables of the container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "embedded_list")]
    pub env: Vec<Value>,
    /// More volumes of the pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "embedded_list")]
    pub volumes: Vec<Value>,
    /// Where those volumes are in the container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "embedded_list")]
    pub volume_mounts: Vec<Value>,
    /// The name of a PriorityClass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
    /// The name of a ServiceAccount in the namespace. Default: one without any rights, made by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// The name of another scheduler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduler_name: Option<String>,
    /// Seconds for a stop in order: leaders move away, logs are closed whole. Default: 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub termination_grace_period_seconds: Option<i64>,
}

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
#[x_kube(validation = Rule::new("self.type == 'LoadBalancer' || !has(self.loadBalancerClass) && !has(self.loadBalancerSourceRanges)").message("loadBalancerClass and loadBalancerSourceRanges are for type LoadBalancer"))]
#[serde(rename_all = "camelCase")]
pub struct ExternalListener {
    /// `NodePort`: a port of Kubernetes' nodes for each broker. `LoadBalancer`: a load balancer for each broker.
    #[serde(rename = "type")]
    pub type_: ExternalType,
    /// The port of the nodes at which any broker answers, for `NodePort`. Default: chosen by Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub bootstrap_node_port: Option<i32>,
    /// The name that clients are told for each broker, in which `{id}` stands for its number. Default: the address of the
    /// node that the broker runs on, or of its load balancer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub advertised_host: Option<String>,
    /// Annotations of the services, as cloud providers and DNS controllers read them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub annotations: BTreeMap<String, String>,
    /// The class of the load balancers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer_class: Option<String>,
    /// Addresses (CIDR) from which the load balancers may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub load_balancer_source_ranges: Option<Vec<String>>,
}

/// How a broker is reached from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExternalType {
    NodePort,
    LoadBalancer,
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
    /// `OnScale`: after brokers were added. `Always`: whenever replicas or leaders are spread unevenly. `Off`: never, but for
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
    Off,
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

fn kafka_port() -> i32 {
    9092
}

fn moves_at_once() -> i32 {
    20
}

fn zone_label() -> String {
    "topology.kubernetes.io/zone".to_owned()
}

fn embedded(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

fn embedded_list(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "items": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
    })
}
