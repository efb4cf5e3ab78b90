//! `KafkaTopic`: what people say of a topic, and what the operator says of it.

use super::condition::Condition;
use super::scalar::{ConfigValue, null_is_empty};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is wanted of the topic.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "barnabas.dev",
    version = "v1alpha1",
    kind = "KafkaTopic",
    plural = "kafkatopics",
    shortname = "kt",
    category = "barnabas",
    category = "kafka",
    namespaced,
    status = "KafkaTopicStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A topic of a KafkaCluster in the same namespace.",
    selectable = ".spec.clusterRef.name",
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.clusterRef.name"),
    printcolumn(name = "Topic", type_ = "string", json_path = ".status.topicName"),
    printcolumn(name = "Partitions", type_ = "integer", json_path = ".status.partitions"),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".status.replicationFactor"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Doing", type_ = "string", json_path = ".status.message"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("has(self.spec.topicName) || size(self.metadata.name) <= 249").message("metadata.name: a topic's name has at most 249 characters; set spec.topicName"),
    validation = Rule::new("(has(self.spec.topicName) ? self.spec.topicName : self.metadata.name) == (has(oldSelf.spec.topicName) ? oldSelf.spec.topicName : oldSelf.metadata.name)").message("topicName cannot change: a topic cannot be renamed").field_path(".spec.topicName")
)]
#[cfg_attr(test, kube(cel))]
#[x_kube(
    validation = Rule::new("self.clusterRef == oldSelf.clusterRef").message("clusterRef cannot change: a topic cannot move to another cluster").field_path(".clusterRef"),
    validation = Rule::new("!has(oldSelf.partitions) || !has(self.partitions) || self.partitions >= oldSelf.partitions").message("partitions cannot decrease: the records of the others would be lost").field_path(".partitions"),
    validation = Rule::new("!has(self.placement) || !has(self.placement.brokers) || !has(self.replicationFactor) || size(self.placement.brokers) >= self.replicationFactor").message("placement.brokers must name at least replicationFactor brokers: each replica of a partition is on another broker").field_path(".placement.brokers"),
    validation = Rule::new("!has(self.topicName) || self.topicName != '.' && self.topicName != '..'").message("topicName: a topic cannot be named '.' or '..'").field_path(".topicName"),
    validation = Rule::new("!has(self.topicName) || !self.topicName.startsWith('__')").message("topicName: names that begin with two underscores are the brokers' own").field_path(".topicName")
)]
#[serde(rename_all = "camelCase")]
pub struct KafkaTopicSpec {
    /// The cluster that has the topic. Fixed at creation.
    pub cluster_ref: ClusterRef,

    /// The name of the topic. Default: that of this resource. Fixed at creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 249), regex(pattern = r"^[a-zA-Z0-9._-]+$"))]
    pub topic_name: Option<String>,

    /// How many partitions it has. May grow, never shrinks. Default: what the topic has, or the cluster's `num.partitions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub partitions: Option<i32>,

    /// On how many brokers each partition is. A change moves replicas. Default: what the topic has; for a new one, 3 or as
    /// many as there are brokers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 250))]
    pub replication_factor: Option<i32>,

    /// Configuration of the topic by Apache Kafka's names. What is set on the topic and is not here is unset.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 100))]
    pub config: BTreeMap<String, ConfigValue>,

    /// Where its replicas may be. A change moves them. Default: anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,

    /// What becomes of the topic when this resource is deleted. `Delete` deletes its records too.
    #[serde(default)]
    pub deletion_policy: TopicDeletionPolicy,

    /// Whether a topic that exists already becomes this one: it is given what is said here. One with a configuration that
    /// `config` does not name is left alone until it is named there, or removed from the topic (`UnnamedConfig`): unset, it
    /// might cost records. `false`: any topic that exists is left alone, and this resource says so.
    #[serde(default = "yes")]
    pub adopt: bool,
}

/// A KafkaCluster in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRef {
    /// Its name.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
}

/// Where replicas may be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// Only on these brokers, by number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 250), inner(range(min = 0)), extend("x-kubernetes-list-type" = "set"))]
    pub brokers: Option<Vec<i32>>,
    /// Only in these racks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 253)), extend("x-kubernetes-list-type" = "set"))]
    pub racks: Option<Vec<String>>,
}

/// What becomes of a topic when its resource is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TopicDeletionPolicy {
    #[default]
    Delete,
    Retain,
}

/// What the operator says of a topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaTopicStatus {
    /// The generation of the resource that this was said of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready: the topic is as it is wanted. Progressing: it is being changed. Degraded: it cannot be as it is wanted.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// What is happening now, in words.
    #[serde(default)]
    pub message: String,
    /// The name of the topic.
    #[serde(default)]
    pub topic_name: String,
    /// The id of the topic. Once it is here, a topic of the same name with another id is somebody else's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_id: Option<String>,
    /// How many partitions it has.
    #[serde(default)]
    pub partitions: i32,
    /// On how many brokers each partition is; of the fewest, where they differ.
    #[serde(default)]
    pub replication_factor: i32,
    /// The brokers of each partition from 0 on, the preferred leader first: `1,2,0`. Of the first 100 partitions.
    #[serde(default)]
    pub assignment: Vec<String>,
    /// Partitions that are being moved.
    #[serde(default)]
    pub moving: i32,
}

fn yes() -> bool {
    true
}
