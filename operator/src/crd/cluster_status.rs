//! What the operator says of a cluster.

use super::condition::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator says of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaClusterStatus {
    /// The generation of the resource that this was said of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready: the brokers serve, but for those that restarts may take (`availability.maxUnavailable`), every partition has a leader,
    /// and enough replicas in sync for acks=all. Progressing: the operator is changing something. Degraded: something is wrong.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// What is happening now, in words.
    #[serde(default)]
    pub message: String,
    /// Brokers that there are, for `kubectl scale` and autoscalers.
    #[serde(default)]
    pub replicas: i32,
    /// Brokers that are ready.
    #[serde(default)]
    pub ready_replicas: i32,
    /// Selects the pods of the brokers, for autoscalers.
    #[serde(default)]
    pub selector: String,
    /// Where clients begin.
    #[serde(default)]
    pub bootstrap: Bootstrap,
    /// The id of the cluster, as Kafka's clients see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// The tag or the digest of the image that all brokers run, or the one that they are being given.
    #[serde(default)]
    pub version: String,
    /// The node that is the active controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_controller: Option<i32>,
    /// Each broker and dedicated controller.
    #[serde(default)]
    pub nodes: Vec<NodeStatus>,
    /// How the partitions are.
    #[serde(default)]
    pub partitions: PartitionHealth,
    /// Moves of replicas, while there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebalance: Option<RebalanceStatus>,
    /// The brokers over which partitions were spread last. The operator's own note: other brokers than these are new.
    #[serde(default)]
    pub balanced_over: Vec<i32>,
}

/// Addresses that clients begin with (`bootstrap.servers`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bootstrap {
    /// For clients inside Kubernetes.
    #[serde(default)]
    pub internal: String,
    /// For clients outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<String>,
}

/// One broker or controller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// Its number (node.id).
    pub id: i32,
    /// Its pod.
    pub pod: String,
    /// broker, controller, or both.
    pub roles: String,
    /// How it is.
    pub state: NodeState,
    /// Its rack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rack: Option<String>,
    /// Kubernetes' node that it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// How a node of the cluster is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NodeState {
    /// It has no pod, or its pod waits for a place, a volume or an image.
    #[default]
    Pending,
    /// Its process starts.
    Starting,
    /// It serves clients.
    Running,
    /// It runs and is to lead nothing, because it will be restarted or removed.
    Draining,
    /// The controllers do not hear it.
    Fenced,
    /// Its process ends in order.
    Stopping,
    /// Its process ends with errors again and again.
    Failing,
}

/// How the partitions are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartitionHealth {
    /// Topics.
    pub topics: i64,
    /// Partitions of all topics.
    pub total: i64,
    /// Without a leader: nobody can write to them or read from them.
    pub offline: i64,
    /// With a replica that is not in sync.
    pub under_replicated: i64,
    /// With fewer replicas in sync than min.insync.replicas: acks=all is refused.
    pub under_min_isr: i64,
}

/// Moves of replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RebalanceStatus {
    /// Why partitions are moved.
    pub reason: String,
    /// Partitions that are being moved.
    pub moving: i64,
    /// Partitions that are still to be moved.
    pub left: i64,
}
